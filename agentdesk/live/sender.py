"""The background sender: hints and pushes leave the process here, so that no caller ever waits for a broker.

There is one lane for task messages and one for live events, each a bounded queue and a daemon thread, started by the first
item. Whatever does not fit, has grown too old or fails is dropped and counted: the sweep (tasks) and the pages' refetch
(events) recover it.
"""

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from agentdesk import faults

log = logging.getLogger(__name__)

GROUP = "live"
LIMIT = 5_000
MAX_AGE = 5.0  # seconds; an older hint is worth nothing: the sweep has been there
SEND_TIMEOUT = 2.0  # seconds
WARN_EVERY = 60.0  # seconds
HINT_EXPIRES = 60.0  # seconds; with no worker to take them, hints must not pile up


@dataclass(frozen=True, slots=True)
class Hint:
    """A task to run soon: its name and plain arguments."""

    task: str
    args: tuple[Any, ...]


@dataclass(slots=True)
class Counts:
    """What became of the items of one lane since the process began."""

    sent: int = 0
    dropped: int = 0
    failed: int = 0


class Lane[Item]:
    """A bounded queue, and the daemon thread that hands what is in it to ``send``, in batches of at most ``batch``."""

    def __init__(self, name: str, send: Callable[[Sequence[Item]], None], *, limit: int = LIMIT, batch: int = 200) -> None:
        self.counts = Counts()
        self.is_failing = False  # the last thing that was to leave did not
        self._name = name
        self._send = send
        self._limit = limit
        self._batch = batch
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, Item]] = deque()
        self._in_hand = 0
        self._thread: threading.Thread | None = None
        self._warned_at = -WARN_EVERY

    def offer(self, item: Item) -> bool:
        """Queue ``item`` and return at once; False when the lane is full and the item was dropped."""
        with self._changed:
            fits = len(self._waiting) < self._limit
            if fits:
                self._waiting.append((time.monotonic(), item))
                self._changed.notify_all()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=f"send {self._name}", daemon=True)
                    self._thread.start()
            else:
                self.counts.dropped += 1
        if not fits:
            self._warn("the queue is full")
        return fits

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued so far has left or was given up; False when ``timeout`` (seconds) passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._in_hand, timeout)

    def _run(self) -> None:
        while True:
            batch = self._take()
            try:
                if batch:
                    self._send(batch)
                    self.counts.sent += len(batch)
                    self.is_failing = False
            except Exception as error:  # whatever a broker's client raises must not end the lane
                self.counts.failed += len(batch)
                self.is_failing = True
                self._warn(f"{type(error).__name__}: {error}")
            finally:
                with self._changed:
                    self._in_hand = 0
                    self._changed.notify_all()

    def _take(self) -> list[Item]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            taken = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            self._in_hand = len(taken)
        oldest = time.monotonic() - MAX_AGE
        fresh = [item for at, item in taken if at >= oldest]
        if len(fresh) < len(taken):
            with self._changed:
                self.counts.dropped += len(taken) - len(fresh)
            self.is_failing = True
            self._warn("the broker is too slow")
        return fresh

    def _warn(self, why: str) -> None:
        """Say so in the log, at most once a minute."""
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning(
                "%s are being lost (%s): %d dropped, %d failed so far; the sweep recovers",
                self._name, why, self.counts.dropped, self.counts.failed,
            )  # fmt: skip


class Sender:
    """The two lanes of one process."""

    def __init__(self) -> None:
        self.hints: Lane[Hint] = Lane("hints", send_hints, batch=1)
        self.events: Lane[dict[str, Any]] = Lane("live events", EventSender())

    @property
    def is_failing(self) -> bool:
        """Whether a broker was away when this process last needed it."""
        return self.hints.is_failing or self.events.is_failing

    def flush(self, timeout: float) -> bool:
        """Wait until both lanes are empty, ``timeout`` seconds at most; False when they are not."""
        until = time.monotonic() + timeout
        hints = self.hints.flush(timeout)
        return self.events.flush(max(0.0, until - time.monotonic())) and hints


def send_hints(hints: Sequence[Hint]) -> None:
    """Send task messages. Raises what the broker's client raises."""
    from agentdesk.celery import app  # late: without our application loaded, a message goes to a default broker

    for hint in hints:
        faults.at("hint.send.before")
        app.send_task(hint.task, args=hint.args, expires=HINT_EXPIRES)
        faults.at("hint.send.after")


class EventSender:
    """Sends live events over the channel layer, many in one message. Lives in one thread and keeps its loop there."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def __call__(self, events: Sequence[dict[str, Any]]) -> None:
        """Raises TimeoutError and what the channel layer raises."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(self._send(list(events)))

    async def _send(self, events: list[dict[str, Any]]) -> None:
        from channels.layers import get_channel_layer

        layer, message = get_channel_layer(), {"type": "live.events", "events": events}
        async with asyncio.timeout(SEND_TIMEOUT):
            try:
                await layer.group_send(GROUP, message)
            except (OSError, redis.ConnectionError):  # closed by the broker while it stood idle: seen only now
                await layer.group_send(GROUP, message)  # received twice, a hint does no harm


_sender: Sender | None = None
_making = threading.Lock()


def sender() -> Sender:
    """The sender of this process."""
    global _sender
    if _sender is None:
        with _making:
            if _sender is None:
                _sender = Sender()
    return _sender


def _forget() -> None:
    """A forked child has none of the threads and must not use the parent's connections."""
    global _sender, _making
    _sender = None
    _making = threading.Lock()


os.register_at_fork(after_in_child=_forget)
