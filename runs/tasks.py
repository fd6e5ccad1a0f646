"""Tasks: ids in, one verb called. Any of them may be lost, doubled or late."""

from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings


@shared_task(name="runs.tasks.advance")
def advance(run_id: str) -> None:
    from runs.engine.advance import advance

    advance(UUID(run_id))


@shared_task(name="runs.tasks.load_agents")
def load_agents() -> None:
    from runs.engine.agents import sync_agents

    sync_agents()


@shared_task(name="runs.tasks.sweep")
def sweep() -> None:
    from runs.sweep import sweep

    sweep()


@shared_task(name="runs.tasks.prune")
def prune() -> None:
    from runs.retention import due, prune

    prune(due())


@worker_ready.connect
def prepare(sender: Any, **facts: Any) -> None:
    """Load the agents before the first run comes, where runs are driven."""
    if settings.QUEUE_RUNS in {queue.name for queue in sender.task_consumer.queues}:
        from runs.engine.registry import load_all

        load_all()


@worker_shutdown.connect
def leave(**facts: Any) -> None:
    """End this process's loop, pool and presence."""
    from runs.engine import process

    process.close()
