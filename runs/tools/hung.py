"""Tools whose threads nobody can stop. A tool that is no coroutine works in a thread; past its timeout the run goes on without
it, and the thread works on, perhaps for ever. Such threads are counted here, for the worker process to be replaced."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runs.tools.context import Permit, permit

_guard = threading.Lock()
_hung: dict[int, "Hung"] = {}  # by the identity of the permit, which each of its threads holds
_listeners: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Hung:
    """A tool at work past its timeout, since ``at`` (of the monotonic clock, seconds)."""

    tool: str
    at: float


class Threads(ThreadPoolExecutor):
    """The threads of a worker's event loop, which know for which permit they work."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        leave = permit.get()
        if leave is None:
            return super().submit(fn, *args, **kwargs)

        def work() -> T:
            with _guard:
                leave.at_work += 1
            try:
                return fn(*args, **kwargs)
            finally:
                _rest(leave)

        return super().submit(work)


def note(leave: Permit) -> None:
    """The time of the tool that works with this permit is over. Nothing, where no thread is at work on it any more."""
    with _guard:
        if not leave.at_work:
            return
        _hung[id(leave)] = Hung(leave.tool, time.monotonic())
    for listener in _listeners:
        listener()


def tools() -> list[str]:
    """The names of the tools that hang now."""
    with _guard:
        return sorted({one.tool for one in _hung.values()})


def listen(listener: Callable[[], None]) -> None:
    """Have ``listener`` called, in any thread, each time that a tool hangs."""
    _listeners.append(listener)


def forget(listener: Callable[[], None]) -> None:
    """Call it no more."""
    _listeners.remove(listener)


def _rest(leave: Permit) -> Any:
    with _guard:
        leave.at_work -= 1
        if not leave.at_work:
            _hung.pop(id(leave), None)
