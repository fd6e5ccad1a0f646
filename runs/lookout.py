"""While no hints reach a worker, it looks in the database for runs itself: a decision is carried out without a broker too.

With a broker that works this does nothing. Without one each worker process looks about once a second, for runs of its own
queues only, and takes no more than it has threads for; a row lock and the time noted on the run keep two from taking the same
run, and should they, the claim does, as ever.
"""

import logging
import random
import threading
from collections.abc import Callable
from uuid import UUID

from django.db import connections
from django.db.models import Q

from runs.engine import stopping
from runs.engine.advance import advance
from runs.sweep import take

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0
EVERY = 1.0  # seconds between two looks, a quarter more or less: many workers do not look at the same moment


class Lookout:
    """A thread of a worker process. ``hears``: whether hints reach the worker; ``submit``: has the worker's pool call a
    function with a run's id; ``threads``: how many runs it drives at a time; ``share``: which runs are for it."""

    def __init__(
        self, hears: Callable[[], bool], submit: Callable[[Callable[[UUID], None], UUID], object], threads: int, share: Q
    ) -> None:
        self._hears, self._submit, self._threads, self._share = hears, submit, threads, share
        self._guard = threading.Lock()
        self._at_work: set[UUID] = set()
        self._is_more = False  # the last look found as many as there was room for
        self._is_alone = False
        self._over = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more. What was taken is the pool's to end."""
        self._over.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)  # it may be asking a server that does not answer; it takes nothing more

    def look(self) -> int:
        """Take what there is to do, where no hints come. Returns how many runs that were. Raises what the database raises."""
        hears = self._hears()
        if hears == self._is_alone:
            self._is_alone = not hears
            log.warning("hints reach this worker again" if hears else "no hints reach this worker: it looks for runs itself")
        if hears:
            return 0
        with self._guard:
            at_work = set(self._at_work)
        room = self._threads - len(at_work)
        found = take(self._share & ~Q(pk__in=at_work), room) if room > 0 else []
        with self._guard:
            self._at_work.update(found)
            self._is_more = bool(found) and len(found) == room
        for run_id in found:
            try:
                self._submit(self._drive, run_id)
            except Exception:  # such as a pool that was closed meanwhile: another worker finds the run
                log.exception("run %s could not be given to the pool", run_id)
                with self._guard:
                    self._at_work.discard(run_id)
        return len(found)

    def _drive(self, run_id: UUID) -> None:
        try:
            if not self._over.is_set() and not stopping.is_asked():  # it may have waited for a thread until now
                advance(run_id)
        except Exception:  # such as a database that is away: the run is found again
            log.exception("run %s could not be driven", run_id)
        finally:
            connections.close_all()
            with self._guard:
                self._at_work.discard(run_id)
                if self._is_more and len(self._at_work) <= self._threads // 2:
                    self._woken.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._woken.wait(EVERY * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            self._woken.clear()
            if self._over.is_set() or stopping.is_asked():
                return
            try:
                self.look()
            except Exception:  # whatever a broker's or the database's client raises: the next look may find them back
                log.exception("this worker could not look for runs")
            finally:
                connections.close_all()
