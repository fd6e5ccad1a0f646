"""What beat asks for every few seconds: whatever a lost hint or the clock left behind."""

from datetime import timedelta

from celery import shared_task

from agentdesk.people import absence
from approvals import decisions, handover, notices, sources, triage
from approvals.signals import decided, tell

BATCH = 200
# For askers that do not look for decisions by themselves. A few at a time, in any order: some that never can be handed over
# must not keep the others waiting, nor fill the broker while no worker is there.
LATE = timedelta(seconds=30)
FEW = 20


@shared_task
def sweep() -> None:
    """Expire, escalate and remind what is due, release what may no longer be recalled, end claims and snoozes whose time is
    over, hand on what people look after who are away from now on, tell again of decisions that still wait for their asker."""
    decisions.expire_due(BATCH)
    decisions.remind_due(BATCH)
    handover.release_due(BATCH)
    triage.lapse_due(BATCH)
    triage.wake_due(BATCH)
    absence.begin_due(BATCH)
    late = handover.undelivered(LATE).exclude(approval__source__in=sources.seeking())
    for decision in late.select_related("approval").order_by("?")[:FEW]:
        tell(decided, decision.approval, again=True)


@shared_task
def tell_due() -> None:
    """Tell people and places outside of approvals whose time is running out."""
    notices.tell_due()
