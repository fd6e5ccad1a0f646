"""Tasks: ids in, one verb called. Any of them may be lost, doubled or late."""

import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import Celery, Task, bootsteps, shared_task
from celery.concurrency.thread import TaskPool
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from kombu.exceptions import ChannelError

from agentdesk.groups import groups
from agentdesk.live.push import flush, hint
from runs import queues

if TYPE_CHECKING:
    from runs.lookout import Lookout


@shared_task(name=queues.ADVANCE)
def advance(run_id: str) -> None:
    from runs.engine import registry
    from runs.engine.advance import advance

    if queues.is_for(run_id, registry.only()):
        advance(UUID(run_id))
    else:  # its agent has moved to another manifest
        hint(queues.ADVANCE, run_id)


@shared_task(name=queues.PREVIEW)
def preview(run_id: str, approval_id: str) -> None:
    from runs.engine import registry
    from runs.engine.previewing import make

    if queues.is_for(run_id, registry.only()):
        make(UUID(approval_id))
    else:
        hint(queues.PREVIEW, run_id, approval_id)


@shared_task(name="runs.tasks.sweep", bind=True)
def sweep(self: "Task[[], None]") -> None:
    from runs.sweep import sweep

    sweep(partial(_waiting, self.app))


def _waiting(app: Celery, queue: str) -> int:
    """How many messages nobody has taken from the queue. Raises what the broker's client raises."""
    with app.connection_for_read() as connection:
        try:
            channel: Any = connection.default_channel
            return int(channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:  # Redis has no empty queues
            return 0


@shared_task(name="runs.tasks.prune")
def prune() -> None:
    from runs.retention import due, prune

    prune(due())


@worker_ready.connect
def prepare(sender: Any, **facts: Any) -> None:
    """Load the agents before the first run comes, where runs are driven: those of the manifests whose queues this worker has
    been given, or of all of them where it has the one that they share."""
    from runs.engine import registry
    from runs.engine.recycling import Recycling

    given = {queue.name for queue in sender.task_consumer.queues}
    if settings.QUEUE_RUNS in given:
        for group in groups(settings.AGENTS):
            sender.add_task_queue(group.queue(settings.INSTANCE))
    if queues.share_of(given) is not None:
        registry.serve(queues.manifests_of(given))
        registry.load_all()
        Recycling(partial(os.kill, os.getpid(), signal.SIGTERM)).start()


@worker_shutting_down.connect
def let_go(**facts: Any) -> None:
    """SIGTERM: no new messages from here on, and what is being driven is let go at its next step, for other workers."""
    from runs.engine import stopping

    stopping.ask()


@worker_shutdown.connect
def leave(**facts: Any) -> None:
    """End this process's loop, pool and presence."""
    from runs.engine import process, recycling

    flush()  # the hints at what was let go
    process.close()
    recycling.leave()


LOOKOUT_SHARE = 16  # a worker process has so many times more threads than it drives runs in while it looks for them itself


class LookoutStep(bootsteps.StartStopStep):
    """The part of a worker that looks for runs while no hints reach it. It begins before the worker has its broker, for one may
    be started while there is none, and ends before the pool that drives the runs."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, parent: Any) -> bool:
        """Whether this worker drives runs, in threads: what it takes is not for processes that it forked."""
        return isinstance(parent.pool, TaskPool) and queues.share_of(parent.app.amqp.queues.consume_from) is not None

    def create(self, parent: Any) -> "Lookout":  # type: ignore[override]  # the part that is started and stopped
        from runs.engine import registry
        from runs.lookout import Lookout

        given = set(parent.app.amqp.queues.consume_from)
        registry.serve(queues.manifests_of(given))
        share = queues.share_of(given)
        if share is None:  # then it is not included
            raise ValueError(f"no runs come from {sorted(given)}")
        # Found once a second, runs come in a heap, not one by one: with a part of the threads they leave time to the pages.
        threads = max(1, parent.pool.limit // LOOKOUT_SHARE)
        return Lookout(partial(_hears, parent), lambda do, run: parent.pool.apply_async(do, (run,)), threads, share)


def _hears(worker: Any) -> bool:
    """Whether messages reach the worker: it is connected, and the broker answers. One that hangs leaves it connected."""
    return worker.consumer.connection is not None and worker.app.broker_answers()
