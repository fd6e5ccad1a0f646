"""Runs as a source of approvals: what the decision page shows of the run behind a question."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.live.push import hint
from agentdesk.people.models import User
from approvals.errors import ApprovalError
from approvals.models import Approval, Decision, Tool
from approvals.sources import Panel, Read
from approvals.states import OPEN, Kind, Verdict
from runs import lifecycle, reading
from runs.access import may_operate
from runs.errors import RunError
from runs.models import Run, Step, ToolCall
from runs.queues import PREVIEW
from runs.states import LIVE, CallStatus, StepKind

NAME = lifecycle.SOURCE
STEPS = 60


class RunSource:
    def panels(self, ref: str) -> Sequence[Panel]:
        run = Run.objects.select_related("agent").filter(pk=_id(ref)).first()
        if run is None:
            return []
        steps = Step.objects.filter(run=run).exclude(kind=StepKind.NODE).order_by("-id")[:STEPS]
        return [Panel(_("Run"), "runs/_panel.html", {"run": run, "steps": list(reversed(steps))})]

    def preview_answer(self, approval: Approval, decision: Decision) -> Any:
        """What the run will get: for a call, the arguments the tool runs with or the message the model reads; for an agent's
        own question, the adapter's exact answer."""
        if approval.kind == Kind.INTERRUPT:
            from runs.interrupts.preview import is_known, preview

            if is_known(approval):
                return preview(approval, decision)
        if decision.verdict in (Verdict.APPROVE, Verdict.MODIFY):
            return {"tool": approval.action, "args": decision.args}
        if decision.verdict == Verdict.RESPOND:
            return {"result": decode(decision.answer)}
        kind = "question" if decision.verdict == Verdict.ASK else "rejected"
        return {"error": {"kind": kind, "message": decision.message}}

    def make_preview(self, approval: Approval) -> None:
        """By a worker of the run's agent, where the tool's code is."""
        hint(PREVIEW, approval.source_ref, str(approval.pk))

    def read(self, ref: str, steps: Collection[int]) -> Mapping[int, Read]:
        """The run's input (0) and the results of its calls, numbered as :mod:`runs.tools.readings` does."""
        return reading.read(_id(ref), steps)

    def fates(self, approvals: Collection[UUID]) -> Mapping[UUID, str]:
        return dict(ToolCall.objects.filter(approval__in=approvals).values_list("approval_id", "status"))

    def stops(self, ref: str, user: User) -> str:
        run = Run.objects.select_related("agent").filter(pk=_id(ref)).first()
        if run is None or run.status not in LIVE or run.cancel_requested_at is not None or not may_operate(user, run):
            return ""
        others = Approval.objects.filter(source=NAME, source_ref=ref, status__in=OPEN).count()
        told = _("Ends the run “%(run)s”: at once where it waits, and after its present step where it is at work.")
        waits = ngettext("%(n)s open question of it is withdrawn.", "%(n)s open questions of it are withdrawn.", others)
        words = [told % {"run": masking.text(str(run))}, waits % {"n": others}, _("What ran already stays done.")]
        return " ".join(words)

    def stop(self, ref: str, actor: Actor) -> None:
        """Cancel the run. Raises ApprovalError where the run refuses."""
        try:
            lifecycle.cancel(_id(ref), actor=actor)
        except RunError as refused:
            raise ApprovalError(str(refused)) from refused

    def outcome(self, ref: str) -> Any:
        """The run's status and what its calls brought, by approval id."""
        run = Run.objects.select_related("agent").filter(pk=_id(ref)).first()
        if run is None:
            return None
        undo = set(Tool.objects.filter(agent=run.agent.slug).exclude(undo_tool="").values_list("name", flat=True))
        calls = {
            str(call.approval_id): {
                "undo": reverse("runs:undo", args=[run.pk, call.pk])
                if call.tool in undo and call.status == CallStatus.SUCCEEDED
                else "",
                "status": call.status, "result": (call.result or {}).get("shown"), "error": call.error,
                "args": call.executed_args,
                "digest": call.executed_digest, "approved_digest": call.approved_digest,
            }
            for call in ToolCall.objects.filter(run=run, approval__isnull=False)
        }  # fmt: skip
        return {
            "run": {"id": str(run.pk), "status": run.status, "words": run.get_status_display(), "title": str(run)},
            "calls": calls,
        }


def _id(ref: str) -> UUID:
    return UUID(ref)
