"""Tasks: ids in, one verb called. Any of them may be lost, doubled or late."""

from uuid import UUID

from celery import shared_task


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
