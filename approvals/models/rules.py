"""What admins allow, ask about and deny."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team


class Effect(models.TextChoices):
    """The verdict of a rule, and of an evaluation. Deny before ask before allow; nothing matches: ask."""

    ALLOW = "allow", _("Allow without asking")
    ASK = "ask", _("Ask people")
    DENY = "deny", _("Deny")


class Rule(models.Model):
    """One policy row over actions. All its parts must match: agent, action, effects and every condition."""

    class Mode(models.TextChoices):
        ACTIVE = "active", _("Active")
        SHADOW = "shadow", _("Shadow: recorded, without effect")
        OFF = "off", _("Off")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="rules",
        help_text=_("Applies to this team's agents; empty: to every agent of the desk."),
    )  # fmt: skip
    agent = models.CharField(max_length=64, default="*", help_text=_("Slug or pattern such as support-*."))
    action = models.CharField(max_length=200, default="*", help_text=_("Tool name, action or interrupt:<node>; * matches."))
    effects = models.JSONField(default=list, blank=True, help_text=_("Only tools with one of these effects; empty: any."))
    conditions = models.JSONField(default=list, blank=True)
    verdict = models.CharField(max_length=5, choices=Effect)
    mode = models.CharField(max_length=6, choices=Mode, default=Mode.ACTIVE)
    reviewer_teams = models.ManyToManyField(
        Team, blank=True, related_name="+", help_text=_("Who decides; empty: the agent's own team.")
    )
    count = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text=_("How many reviewers must agree.")
    )
    expires_after = models.DurationField(null=True, blank=True, help_text=_("Then it is refused. Empty: the desk's default."))
    self_approval = models.BooleanField(default=False, help_text=_("The person who started the run may decide too."))
    second_factor = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0, help_text=_("Orders what people read; never verdicts."))
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-priority", "name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(verdict__in=Effect.values), name="rule_verdict"),
            models.CheckConstraint(condition=models.Q(count__gte=1), name="rule_count"),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """All active and shadow rules as they stood after one change. Its id is the policy version frozen on every call."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    digest = models.CharField(max_length=71)
    rules = models.JSONField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"v{self.pk}"
