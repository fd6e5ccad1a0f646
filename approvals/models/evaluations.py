"""Every policy evaluation on record, the allowed ones too."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from approvals.models.rules import Effect


class Occasion(models.TextChoices):
    """Why the policy was asked. One action has one evaluation of the first kind."""

    PROPOSED = "proposed", _("an action was proposed")
    MODIFIED = "modified", _("a person changed it")
    EXECUTING = "executing", _("it was about to run")


class Evaluation(models.Model):
    """What the policy said about one action: the facts it saw, its verdict and the rules that gave it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(auto_now_add=True)
    source = models.CharField(max_length=32)
    source_ref = models.CharField(max_length=200)
    agent = models.SlugField(max_length=64)
    action = models.CharField(max_length=200)
    digest = models.CharField(max_length=71)
    facts = models.JSONField()
    verdict = models.CharField(max_length=5, choices=Effect)
    rules = models.JSONField(default=list)
    requirements = models.JSONField(default=dict)
    policy_version = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    counted = models.BooleanField(default=True, help_text=_("Counts where rules count calls: it was no rehearsal."))
    occasion = models.CharField(max_length=16, choices=Occasion, default=Occasion.PROPOSED)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["agent", "action", "-at"], name="evaluation_action"),
            models.Index(fields=["source", "source_ref"], name="evaluation_source"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} · {self.action}: {self.verdict}"
