"""The ledger: one row for each tool call."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from approvals.models import Approval, Decision, Evaluation
from approvals.models.rules import Effect
from runs.models.runs import Run
from runs.states import CallStatus


class ToolCall(models.Model):
    """One call of one tool, found again by where it stands in the run and by what it is (``digest``).

    Three sets of arguments: ``asked`` by the model, ``approved`` by people or a rule, ``executed`` by the tool; all encoded.
    The row's id is the idempotency key that the tool gets.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="calls")
    namespace = models.CharField(max_length=300, blank=True, help_text=_("Checkpoint namespace without task ids."))
    message_id = models.CharField(max_length=200)
    call_id = models.CharField(max_length=200)
    tool = models.CharField(max_length=200)
    digest = models.CharField(max_length=71, help_text=_("Action digest of the asked arguments."))
    schema_version = models.CharField(max_length=71, blank=True)
    status = models.CharField(max_length=10, choices=CallStatus, default=CallStatus.PROPOSED)
    verdict = models.CharField(max_length=5, choices=Effect)
    policy_version = models.BigIntegerField(null=True)
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, null=True, related_name="+")
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, null=True, related_name="calls")
    doubt = models.ForeignKey(Approval, on_delete=models.PROTECT, null=True, related_name="+")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, null=True, related_name="+")
    asked_args = models.JSONField()
    approved_args = models.JSONField(null=True)
    approved_digest = models.CharField(max_length=71, blank=True)
    executed_args = models.JSONField(null=True)
    executed_digest = models.CharField(max_length=71, blank=True)
    result = models.JSONField(null=True, help_text=_("The message or command as the graph got it, serialised."))
    error = models.JSONField(null=True, help_text=_("{kind, message, retryable, hint}."))
    attempt = models.PositiveIntegerField(default=0, help_text=_("Attempt of the run that executes it."))
    tries = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(
        max_digits=18, decimal_places=6, null=True, help_text=_("Of all tries, as its tool was labelled.")
    )
    currency = models.CharField(max_length=12, blank=True)
    failed_tries = models.JSONField(default=list, help_text=_("[{try, at, error}] of tries that were followed by another."))
    revision = models.PositiveBigIntegerField(
        default=1, editable=False, help_text=_("Rises with every change; a trigger counts.")
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["proposed_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "namespace", "message_id", "call_id", "digest"], name="tool_call_once"),
            models.CheckConstraint(condition=Q(status__in=CallStatus.values), name="tool_call_status"),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.call_id}"
