"""Finding what a lost hint, a dead worker or a restart left behind. It only gives hints: ``advance`` decides."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from agentdesk.live.push import hint
from approvals.decisions import undelivered
from runs.engine.locks import ALIVE
from runs.lifecycle import ADVANCE, SOURCE
from runs.models import Run
from runs.states import ENDED, RunStatus

PATIENCE = timedelta(seconds=3)
BATCH = 200


def sweep() -> int:
    """Hint at every run that somebody should look at. Returns how many."""
    before = timezone.now() - PATIENCE
    found = {str(pk) for pk in _idle(before)} | {str(pk) for pk in _orphaned()} | _decided()
    for run_id in found:
        hint(ADVANCE, run_id)
    return len(found)


def _idle(before: datetime) -> list[UUID]:
    """Queued and never taken up, or to be cancelled while it waits."""
    queued = Q(status=RunStatus.QUEUED, changed_at__lt=before)
    cancelled = Q(status=RunStatus.WAITING, cancel_requested_at__isnull=False)
    return list(Run.objects.filter(queued | cancelled).order_by("changed_at").values_list("pk", flat=True)[:BATCH])


def _orphaned() -> list[UUID]:
    """Running under a process that is no longer there."""
    running = Run.objects.filter(status=RunStatus.RUNNING).extra(where=[f"NOT {ALIVE}"])  # noqa: S610 - a constant
    return list(running.values_list("pk", flat=True)[:BATCH])


def _decided() -> set[str]:
    """Decided by people, and not handed over yet."""
    rows = undelivered(PATIENCE).filter(approval__source=SOURCE).values_list("approval__source_ref", flat=True)[:BATCH]
    ended = Run.objects.filter(pk__in=list(rows), status__in=ENDED).values_list("pk", flat=True)
    return set(rows) - {str(pk) for pk in ended}
