"""Taking away what is kept of runs: checkpoints when they are old enough, all content when somebody asks for it."""

from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.live.push import push
from approvals.erasure import erase_content
from approvals.models import Approval
from approvals.states import OPEN
from runs import access, threads
from runs.errors import InvalidReason, NotAllowed, NotEnded
from runs.lifecycle import SOURCE
from runs.models import Run, Step, ToolCall
from runs.states import ENDED, RunStatus

BATCH = 200
# What of a step's data names other rows and outcomes; the rest is what was said.
KEPT = frozenset({"approval", "approvals", "call", "verdict", "outcome", "tool", "input_tokens", "output_tokens"})


def ages() -> dict[RunStatus, timedelta]:
    """How long the checkpoints of ended runs are kept, by state; a state that is missing keeps them for good. Raises ValueError
    for a setting that says something else."""
    found = {RunStatus(status): timedelta(days=float(days)) for status, days in settings.CHECKPOINTS_KEEP_DAYS.items()}
    if wrong := sorted(set(found) - ENDED):
        raise ValueError(f"checkpoints of runs that have not ended are always kept: {', '.join(wrong)}")
    return found


def due(limit: int = BATCH) -> list[Run]:
    """Runs whose checkpoints are old enough to be taken away, oldest first."""
    now = timezone.now()
    if not threads.are_removable():
        return []
    old = [Q(status=status, finished_at__lt=now - age) for status, age in ages().items()]
    if not old:
        return []
    wanted = Run.objects.filter(reduce(or_, old), pruned_at__isnull=True, finished_at__isnull=False)
    return list(wanted.exclude(pk__in=_asked_of()).order_by("finished_at")[:limit])


def prune(runs: Iterable[Run]) -> int:
    """Take these runs' checkpoints away, each in a transaction of its own. Returns of how many; one that goes on again
    meanwhile, or that somebody holds, is left."""
    return sum(_prune(run) for run in runs)


@transaction.atomic
def erase(run_id: UUID, *, actor: Actor, reason: str) -> Run:
    """Erase what an ended run was given, said, did and brought, its checkpoints and what its approvals asked. That it ran, who
    decided what and when, and all digests stay. Raises NotAllowed, NotEnded, InvalidReason.

    Contents of the record are beyond the desk's own rights: ``agentdesk.audit.erasure`` takes those, as the owner.
    """
    run = Run.objects.select_for_update(of=("self",)).select_related("agent", "team").filter(pk=run_id).first()
    if run is None or (actor.user is not None and not access.may_erase(actor.user, run)):
        raise NotAllowed
    if not reason.strip():
        raise InvalidReason
    if run.status not in ENDED:
        raise NotEnded(_("The run has not ended: cancel it first."))
    if Approval.objects.filter(source=SOURCE, source_ref=str(run.pk), status__in=OPEN).exists():
        raise NotEnded(_("A call of this run is still in doubt: somebody has to say what became of it."))
    now = timezone.now()
    threads.delete(run.thread_id)
    erase_content(SOURCE, str(run.pk))
    for step in Step.objects.filter(run=run).iterator():
        Step.objects.filter(pk=step.pk).update(data={key: step.data[key] for key in KEPT & set(step.data)})
    ToolCall.objects.filter(run=run).update(asked_args={}, approved_args=None, executed_args=None, result=None, error=None)
    error = {"kind": run.error["kind"], "message": ""} if run.error else None
    Run.objects.filter(pk=run.pk).update(
        input={}, next_input=None, output=None, error=error, traceback="", title="", config={}, context={},
        pruned_at=run.pruned_at or now, erased_at=run.erased_at or now, revision=F("revision") + 1,
    )  # fmt: skip
    _record(run, "run.erased", actor, reason)
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


@transaction.atomic
def _prune(run: Run) -> bool:
    age = ages().get(RunStatus(run.status))
    held = Run.objects.select_for_update(skip_locked=True, of=("self",)).select_related("agent", "team")
    still = held.filter(pk=run.pk, status=run.status, finished_at=run.finished_at, pruned_at__isnull=True).first()
    if still is None or age is None:
        return False
    threads.delete(still.thread_id)
    Run.objects.filter(pk=still.pk).update(pruned_at=timezone.now(), revision=F("revision") + 1)
    _record(still, "run.pruned", Actor.desk(), f"{still.status} for more than {age.days} days")
    return True


def _asked_of() -> list[UUID]:
    """Ended runs that people are still asked about: what a call in doubt did."""
    open_ = Approval.objects.filter(source=SOURCE, status__in=OPEN, kind="in_doubt").values_list("source_ref", flat=True)
    return [UUID(ref) for ref in open_]


def _record(run: Run, action: str, actor: Actor, because: str) -> None:
    record(
        action, actor=actor, object_type="run", object_id=run.pk, object_label=run.record_label, team_id=run.team_id,
        run_id=run.pk, after={"because": because, "thread": run.thread_id},
    )  # fmt: skip
