"""Tasks: they may be lost, doubled or late; the sweep finds what is left."""

from celery import shared_task

from agentdesk.live.push import hint
from agentdesk.notices import outbox, sending


@shared_task
def spread() -> None:
    outbox.spread()


@shared_task
def deliver(lane: str) -> None:
    sending.deliver(lane)


@shared_task
def sweep() -> None:
    """Spread what was announced, and send what is due."""
    outbox.spread()
    for lane in outbox.due_lanes():
        hint(outbox.DELIVER, lane)


@shared_task
def prune() -> None:
    outbox.prune()
