"""What beat asks for every few seconds: whatever a lost hint or the clock left behind."""

from datetime import timedelta

from celery import shared_task

from approvals import decisions
from approvals.signals import decided, tell

BATCH = 200
# Askers have sweeps of their own, which are quicker; this one is for whoever has none. A few at a time, in any order:
# some that never can be handed over must not keep the others waiting, nor fill the broker while no worker is there.
LATE = timedelta(seconds=30)
FEW = 20


@shared_task
def sweep() -> None:
    """Expire what is due, release what may no longer be recalled, tell again of decisions that still wait for their asker."""
    decisions.expire_due(BATCH)
    decisions.release_due(BATCH)
    for decision in decisions.undelivered(LATE).select_related("approval").order_by("?")[:FEW]:
        tell(decided, decision.approval)
