"""Whether this process is about to end: then it drives its runs to the next step only and gives them back, so that a deploy
waits for no long run, and no run for a deploy."""

import threading

_asked = threading.Event()


def ask() -> None:
    """From now on, let go at the next step of whatever is driven."""
    _asked.set()


def is_asked() -> bool:
    return _asked.is_set()


def forget() -> None:
    """For tests, whose process goes on."""
    _asked.clear()
