"""The Celery application. Messages are hints: ids only, no results; the sweep finds whatever a lost one left behind."""

import logging
import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from django.conf import settings

log = logging.getLogger(__name__)

BROKER_TIMEOUT = 1  # seconds


def route(name: str, args: Sequence[Any], *rest: Any, **options: Any) -> dict[str, str] | None:
    """What is about a run is for the workers of its manifest; the rest is the desk's own."""
    if not name.startswith("runs."):
        return None
    from runs.queues import OF_A_RUN, queue_of  # late: models are there when the first message leaves

    if name not in OF_A_RUN:
        return None
    return {"queue": queue_of(args[0])}


class Connection(kombu.Connection):
    """Is back within a second of the broker. kombu waits two seconds longer each time, up to thirty: workers and beat would
    notice the end of an outage of a minute sixteen seconds late."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> kombu.Connection:  # type: ignore[override]  # other defaults only
        return super().ensure_connection(*args, **{"interval_start": 1, "interval_step": 0, "interval_max": 1, **kwargs})


class Wire(AMQP):
    """Celery's messaging, over such connections."""

    Connection = Connection


class Messages(Celery):
    """The application, which knows whether its broker is there."""

    def broker_answers(self) -> bool:
        """Ask it, and wait for a second or two at most, or five for one that hangs."""
        try:
            with self.connection_for_write(connect_timeout=BROKER_TIMEOUT) as broker:
                broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT, interval_start=0)
                return bool(broker.connected)
        except Exception as error:  # each broker's client has errors of its own; away is away
            log.warning("the broker does not answer: %s: %s", type(error).__name__, error)
            return False


app = Messages("agentdesk", amqp=Wire)
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # for ever: nobody is there to start a worker that gave up
    broker_transport_options={
        "visibility_timeout": 3600,
        "priority_steps": [0],
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    },
    task_default_queue=settings.QUEUE_DESK,
    task_create_missing_queues=True,
    task_routes=(route,),
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    task_publish_retry=False,
    beat_schedule={
        "sweep runs": {"task": "runs.tasks.sweep", "schedule": settings.SWEEP_SECONDS, "options": {"expires": 10}},
        "prune checkpoints": {"task": "runs.tasks.prune", "schedule": 600, "options": {"expires": 600}},
        "sweep approvals": {
            "task": "approvals.tasks.sweep",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": 10},
        },
        "sweep notices": {
            "task": "agentdesk.notices.tasks.sweep",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": 10},
        },
        "tell of time": {"task": "approvals.tasks.tell_due", "schedule": 15, "options": {"expires": 15}},
        "prune notices": {"task": "agentdesk.notices.tasks.prune", "schedule": 3600, "options": {"expires": 3600}},
    },
    timezone="UTC",
)
app.autodiscover_tasks(["agentdesk.notices", "approvals", "runs"])
app.steps["worker"].add("runs.tasks:LookoutStep")
