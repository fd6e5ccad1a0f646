"""Decisions that turned out wrong."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from agentdesk.ids import new_id
from approvals.models.approvals import Approval


class Regret(models.Model):
    """What somebody says, afterwards, of a decision that turned out wrong. It changes nothing of it: later reviewers of such
    actions read it. At most one of an approval stands; ``reason`` is empty once the run's content was erased."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="regrets")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    by_label = models.CharField(max_length=200)
    reason = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by_label = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["approval"], condition=Q(withdrawn_at__isnull=True), name="regret_once"),
        ]

    def __str__(self) -> str:
        return f"{self.by_label}: {self.reason[:40]}"
