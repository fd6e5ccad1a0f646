"""What becomes of tool calls whose run ends while they are at work, or in doubt. Nobody guesses: people are asked, and their
answer goes on record also when there is no run left to tell it to."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone
from langchain_core.messages import ToolMessage

from agentdesk.digests import decode
from approvals import handover
from approvals.models import Decision, Tool
from approvals.states import Verdict
from runs import calls, undo
from runs.models import Run, ToolCall
from runs.states import ENDED, CallStatus, RunStatus
from runs.tools import ledger
from runs.tools.context import RunContext
from runs.tools.proposals import record_call
from runs.tools.results import ToolError, dump, error_message

LOST = "Its worker ended while it was at work. It is safe to repeat, and its run has ended."


@transaction.atomic(savepoint=False)
def leave(run: Run, status: RunStatus) -> None:
    """The run has ended in ``status`` under ``run.attempt``: its calls that are still at work are in doubt. One that is safe to
    repeat waits for its run to be continued, or failed where that cannot be."""
    for row in ToolCall.objects.select_for_update().filter(run=run, status=CallStatus.EXECUTING):
        if not Tool.objects.filter(agent=run.agent.slug, name=row.tool, idempotent=True).exists():
            ledger.leave_in_doubt(context_of(run), row.pk, f"The run ended while the tool was at work: {status}.")
        elif status == RunStatus.CANCELLED:
            error = ToolError("lost", LOST, retryable=True)
            calls.move(run.pk, row.pk, CallStatus.FAILED, error=error.as_dict(), ended_at=timezone.now())
            record_call(context_of(run), row, "call.failed", after={"status": CallStatus.FAILED, "error": error.kind})


@transaction.atomic
def settle(run_id: UUID) -> None:
    """Write down what people said became of calls in doubt of a run that has ended. "Run it again" waits for the run to be
    continued; of a cancelled run it says that the call did not happen."""
    run = Run.objects.select_for_update(no_key=True, of=("self",)).select_related("agent").get(pk=run_id)
    if run.status not in ENDED:
        return
    for row in ToolCall.objects.select_for_update().filter(run=run, status=CallStatus.IN_DOUBT):
        said = Decision.objects.filter(approval=row.doubt, voided_at__isnull=True).first()
        if said is None:
            continue
        answer = decode(said.answer) if said.verdict == Verdict.RESPOND else "did_not_happen"
        if answer != "retry" or run.status == RunStatus.CANCELLED:
            handover.consume(said.pk, said.digest)
            _write(run, row, str(answer), said.decided_by_label)


def _write(run: Run, row: ToolCall, answer: str, by: str) -> None:
    record_call(context_of(run), row, "call.resolved", after={"answer": answer, "by": by})
    if answer == "happened":
        text = f"{row.tool} took effect, as {by} confirmed. Its result is not known."
        message = ToolMessage(content=text, name=row.tool, tool_call_id=row.call_id)
        calls.move(run.pk, row.pk, CallStatus.SUCCEEDED, result=dump(message), ended_at=timezone.now())
        if run.undoes_id is not None:
            undo.done(run.undoes_id, run.pk)
        return
    error = ToolError("did_not_happen", f"{row.tool} did not take effect, as {by} confirmed.", retryable=True)
    message = error_message(error, tool=row.tool, call_id=row.call_id)
    calls.move(
        run.pk, row.pk, CallStatus.FAILED, error=error.as_dict(), result=dump(message), ended_at=timezone.now()
    )  # fmt: skip


def context_of(run: Run) -> RunContext:
    """For acts on a run that nobody drives, under its newest attempt."""
    return RunContext(
        run_id=run.pk, attempt=run.attempt, agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id,
        requester_id=run.requester_id, title=run.title, subject="", run_input=None, dry_run=run.dry_run, limits={},
        undoes=run.undoes_id,
    )  # fmt: skip
