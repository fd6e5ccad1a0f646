"""Finding what a lost hint, a dead worker or a restart left behind. It only gives hints: ``advance`` decides."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from agentdesk import faults
from agentdesk.live.push import hint
from approvals.handover import mark_delivered, undelivered
from runs import queues
from runs.engine.locks import ALIVE
from runs.errors import InvalidLimit
from runs.lifecycle import SOURCE
from runs.limits import CONCURRENT_RUNS, limits_of_agent
from runs.models import Agent, Run
from runs.queues import ADVANCE
from runs.states import ENDED, RunStatus

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=3)  # what is younger than this is probably on its way
AGAIN = timedelta(seconds=5)  # after which a hint that brought nothing is given again
AGAIN_ORPHANED = timedelta(seconds=2)  # the same for a run whose process died: it was at work, and people may wait for it
BATCH = 200  # hints that may wait in a queue: while workers are slow or away, more of them would only be in their way
LOOK = 5_000  # rows looked at


def _empty(queue: str) -> int:
    return 0


def sweep(waiting: Callable[[str], int] = _empty) -> int:
    """Hint at every run that somebody should look at, each at most every :data:`AGAIN` or :data:`AGAIN_ORPHANED`, and at those
    first that were not hinted at for the longest time. ``waiting`` says how many messages wait in a queue: it is filled up to
    :data:`BATCH`, and the next sweep gives the rest. Returns how many. Raises what ``waiting`` raises."""
    faults.at("sweep.before")
    now = timezone.now()
    due = _due(now, PATIENCE, AGAIN)
    found: list[UUID] = []
    for queue, share in queues.shares():
        of_queue = list(due.filter(share).values_list("pk", flat=True)[:BATCH])
        if of_queue:
            found += of_queue[: max(0, BATCH - waiting(queue))]
    Run.objects.filter(pk__in=found).update(dispatched_at=now)
    faults.at("sweep.after")
    for run_id in found:
        hint(ADVANCE, str(run_id))
    return len(found)


def take(share: Q, most: int) -> list[UUID]:
    """At most ``most`` of the runs that somebody should look at and that ``share`` names, for a worker that no hints reach. Two
    that take at the same moment get different ones, and nobody gets a run again before :data:`AGAIN_ORPHANED` has passed."""
    now = timezone.now()
    due = _due(now, timedelta(0), AGAIN_ORPHANED).filter(share)
    with transaction.atomic():
        found = list(due.select_for_update(of=("self",), no_key=True, skip_locked=True).values_list("pk", flat=True)[:most])
        Run.objects.filter(pk__in=found).update(dispatched_at=now)
    return found


def _due(now: datetime, patience: timedelta, again: timedelta) -> QuerySet[Run]:
    """Runs that somebody should look at, save those that somebody was told to look at less than ``again`` ago; those first that
    nobody was told of for the longest time. What is younger than ``patience`` is left to its own hint."""
    orphaned = _orphaned()
    wanted = (Q(held_at__isnull=True) | Q(pk__in=_with_room())) & (
        Q(status=RunStatus.QUEUED, changed_at__lte=now - patience)
        | Q(status=RunStatus.WAITING, cancel_requested_at__isnull=False)
        | Q(status=RunStatus.WAITING, pk__in=_decided(patience))
        | Q(pk__in=orphaned)
    )
    died = Q(pk__in=orphaned)
    hinted = (~died & Q(dispatched_at__gt=now - again)) | (died & Q(dispatched_at__gt=now - AGAIN_ORPHANED))
    return Run.objects.filter(wanted).exclude(hinted).order_by(F("dispatched_at").asc(nulls_first=True), "changed_at")


def _orphaned() -> list[UUID]:
    """Running under a process that is no longer there."""
    running = Run.objects.filter(status=RunStatus.RUNNING).extra(where=[f"NOT {ALIVE}"])  # noqa: S610 - a constant
    return list(running.values_list("pk", flat=True)[:LOOK])


def _with_room() -> list[UUID]:
    """Of the runs that wait until their agent has room, as many as it has room for; to hint at more would bring nothing."""
    found: list[UUID] = []
    line = Run.objects.filter(held_at__isnull=False, status=RunStatus.QUEUED)
    for agent in Agent.objects.filter(pk__in=line.values("agent")):
        try:
            most = int(limits_of_agent(agent)[CONCURRENT_RUNS])
        except InvalidLimit:  # written by a script: the runs of other agents are looked after all the same
            log.exception("the limits of agent %s cannot be read", agent.slug)
            continue
        room = most - Run.objects.filter(agent=agent, status=RunStatus.RUNNING).count()
        if room > 0:
            found += line.filter(agent=agent).order_by("held_at").values_list("pk", flat=True)[:room]
    return found


def _decided(patience: timedelta) -> list[UUID]:
    """Runs whose people have decided, and that were not told yet. What comes after a run's end reaches no graph: it is written
    down and marked, so that it keeps nothing else waiting."""
    found = undelivered(patience).filter(approval__source=SOURCE).order_by("decided_at")
    rows = dict(found.values_list("pk", "approval__source_ref")[:LOOK])
    ended = {str(pk) for pk in Run.objects.filter(pk__in=set(rows.values()), status__in=ENDED).values_list("pk", flat=True)}
    if ended:
        from runs.tools.endings import settle  # it loads LangChain, which few sweeps need

        for run_id in ended:
            settle(UUID(run_id))
        late = [decision for decision, run in rows.items() if run in ended]
        mark_delivered(late, unused="The run had ended.")
    return [UUID(run) for run in rows.values() if run not in ended]
