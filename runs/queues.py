"""Which workers a run is for: those of its agent's manifest. With one manifest, there is one queue for all of them."""

from collections.abc import Collection
from functools import reduce
from operator import or_
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q

from agentdesk.groups import Group, group_of, groups
from runs.models import Run

ADVANCE, PREVIEW = "runs.tasks.advance", "runs.tasks.preview"
OF_A_RUN = frozenset({ADVANCE, PREVIEW})  # tasks whose first argument is the run that they are about


def queue_of(run_id: UUID | str) -> str:
    """The queue for hints at a run. Asks the database where there is more than one; called by the sender of hints, so that no
    request waits for it."""
    if len(groups(settings.AGENTS)) < 2:
        return str(settings.QUEUE_RUNS)
    group = _group(run_id)
    return group.queue(settings.INSTANCE) if group else str(settings.QUEUE_RUNS)


def is_for(run_id: UUID | str, manifests: frozenset[str] | None) -> bool:
    """Whether workers that load these manifests only (None: all of them) are to drive a run."""
    if manifests is None:
        return True
    group = _group(run_id)
    return group is not None and group.manifest in manifests


def shares() -> list[tuple[str, Q]]:
    """Each queue, and which runs are for it, as :func:`queue_of` says."""
    found = groups(settings.AGENTS)
    if len(found) < 2:
        return [(str(settings.QUEUE_RUNS), Q())]
    others = [group.manifest for group in found[1:]]  # the first one has the runs of manifests that are no longer named
    first = (found[0].queue(settings.INSTANCE), ~Q(agent__manifest__in=others))
    return [first, *((group.queue(settings.INSTANCE), Q(agent__manifest=group.manifest)) for group in found[1:])]


def share_of(given: Collection[str]) -> Q | None:
    """The runs that are for a worker which has been given these queues; None where it drives none."""
    mine = [share for queue, share in shares() if queue in given or settings.QUEUE_RUNS in given]
    return reduce(or_, mine) if mine else None


def manifests_of(given: Collection[str]) -> frozenset[str] | None:
    """The manifests whose agents such a worker loads; None: all of them, where it has the queue that they share."""
    if settings.QUEUE_RUNS in given:
        return None
    return frozenset(group.manifest for group in groups(settings.AGENTS) if group.queue(settings.INSTANCE) in given)


def _group(run_id: UUID | str) -> Group | None:
    try:
        manifest = Run.objects.filter(pk=run_id).values_list("agent__manifest", flat=True).first()
    finally:
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: the sender's thread may not need it again for hours
    return group_of(manifest or "", settings.AGENTS)
