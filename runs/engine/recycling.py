"""Replacing a worker process in which a tool hangs: its runs are let go at their next step, then it ends, and whoever keeps it
running starts another. A process is not replaced before it is :attr:`settings.RECYCLE_SECONDS` old, or a tool that always hangs
would keep a desk busy with starting workers."""

import logging
import os
import threading
import time
from collections.abc import Callable

from django.conf import settings

from runs.engine import stopping
from runs.tools import hung

log = logging.getLogger(__name__)

STATUS = os.EX_TEMPFAIL  # of the process: whoever restarts only what failed restarts it too


class Recycling:
    """One for a worker process. ``end`` asks it to end as SIGTERM does."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end, self._born = end, time.monotonic()

    def start(self) -> None:
        hung.listen(self._heard)

    def stop(self) -> None:
        hung.forget(self._heard)

    def _heard(self) -> None:
        left = settings.RECYCLE_SECONDS - (time.monotonic() - self._born)
        timer = threading.Timer(max(0.0, left), self._look)
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        names = hung.tools()
        if not names or stopping.is_asked():  # it came to its end after all, or this process ends already
            return
        log.warning("this worker is replaced: past its timeout, and not to be stopped, a thread works on %s", ", ".join(names))
        self._end()


def leave() -> None:
    """The last act of a process: without a farewell where a thread hangs, for Python would wait for it."""
    if hung.tools():
        logging.shutdown()
        os._exit(STATUS)
