"""What beat asks for every few seconds: whatever a lost hint or the clock left behind."""

from datetime import timedelta

from celery import shared_task

from approvals import decisions
from approvals.signals import decided, tell

LATE = timedelta(seconds=5)
BATCH = 200


@shared_task
def sweep() -> None:
    """Expire what is due, release what may no longer be recalled, tell again of decisions that still wait for their asker."""
    decisions.expire_due(BATCH)
    decisions.release_due(BATCH)
    waiting = decisions.undelivered(LATE).select_related("approval").order_by("decided_at")
    for decision in waiting[:BATCH]:
        tell(decided, decision.approval)
