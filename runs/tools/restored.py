"""After a restore from a backup: what was at work when the backup was made may have gone on since, and nothing here knows.

So nothing goes on by itself. Calls that had leave, or were at work, are in doubt. Runs that were at work, or had been decided
about, are stopped until an operator continues them. What still waited for people is asked anew, with a word of caution.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agentdesk.audit.record import Actor, record
from agentdesk.live.push import push
from approvals import handover, requests
from approvals.models import Approval, Decision
from approvals.states import OPEN, Kind, Verdict
from runs import calls, lifecycle
from runs.lifecycle import SOURCE
from runs.models import Run, ToolCall
from runs.states import LIVE, CallStatus, RunStatus
from runs.tools import endings, ledger

DOUBT = "The desk was restored from a backup. When that was made, this call had leave to run: it may have run since."
CAUTION = (
    "The desk was restored from a backup. This may have been decided, and carried out, after that was made: look before you"
    " decide again."
)
STOPPED = "What this run did after the backup was made is not known here. Look before you continue it."


@dataclass(slots=True)
class Parked:
    """What a restore left: runs stopped, calls in doubt, questions asked anew."""

    stopped: int = 0
    in_doubt: int = 0
    asked_anew: int = 0


def park(*, actor: Actor) -> Parked:
    """Call once after a restore, before any worker starts; calling it again does no harm."""
    parked = Parked()
    for run_id in list(Run.objects.filter(status__in=LIVE).order_by("pk").values_list("pk", flat=True)):
        _park(run_id, parked, actor)
    return parked


@transaction.atomic
def _park(run_id: UUID, parked: Parked, actor: Actor) -> None:
    run = Run.objects.select_for_update(of=("self",)).select_related("agent").get(pk=run_id)
    mine = Approval.objects.filter(source=SOURCE, source_ref=str(run.pk))
    decided = Decision.objects.filter(approval__in=mine, delivered_at__isnull=True, voided_at__isnull=True)
    if run.status == RunStatus.WAITING and not decided.exists():
        anew = mine.filter(status__in=OPEN).exclude(kind=Kind.IN_DOUBT)
        parked.asked_anew += sum(requests.caution(one.pk, CAUTION, actor) for one in anew)
        return
    parked.in_doubt += _doubt(run)
    before, now = run.status, timezone.now()
    Run.objects.filter(pk=run.pk).update(
        status=RunStatus.STOPPED, stop_reason="restored", error={"kind": "restored", "message": STOPPED}, claimed_by=None,
        held_at=None, finished_at=now, changed_at=now, revision=F("revision") + 1,
    )  # fmt: skip
    record(
        "run.stopped", actor=actor, object_type="run", object_id=run.pk, object_label=run.record_label, team_id=run.team_id,
        run_id=run.pk, before={"status": before}, after={"status": RunStatus.STOPPED, "reason": "restored"},
    )  # fmt: skip
    lifecycle.close(run, RunStatus.STOPPED)
    push("run", run.pk, run.revision + 1)
    parked.stopped += 1


def _doubt(run: Run) -> int:
    """Put every call in doubt that the old desk would have started, or had started."""
    found = 0
    for row in ToolCall.objects.select_for_update().filter(run=run):
        if row.status == CallStatus.WAITING and not _took_leave(row):
            continue
        if row.status in (CallStatus.WAITING, CallStatus.APPROVED, CallStatus.EXECUTING):
            ledger.leave_in_doubt(endings.context_of(run), row.pk, DOUBT)
            found += 1
    return found


def _took_leave(row: ToolCall) -> bool:
    """Take people's decision on a call that waits, as the old desk may have. False: they gave no leave."""
    said = Decision.objects.filter(approval=row.approval, voided_at__isnull=True).first()
    if said is None or said.verdict not in (Verdict.APPROVE, Verdict.MODIFY) or not handover.consume(said.pk, said.digest):
        return False
    leave = {"decision": said, "approved_args": said.args, "approved_digest": said.digest}
    return calls.move(row.run_id, row.pk, CallStatus.APPROVED, **leave)
