"""Telling others that something changed: open pages by live events, workers by task messages.

Both are hints: they may be lost, doubled or late. They leave after the transaction that made the change has committed,
by the background sender; calling these functions never waits and never raises.
"""

from collections.abc import Callable
from typing import Any, Literal, overload
from uuid import UUID

from django.db import connection, transaction

from agentdesk.live.sender import Hint, sender

type Kind = Literal["approval", "claim", "comment", "preview", "row", "run"]
type PartOfRun = Literal["step", "call"]


@overload
def push(kind: Kind, id: UUID | str | int, version: int) -> None: ...
@overload
def push(kind: PartOfRun, id: UUID | str | int, version: int, *, run: UUID | str) -> None: ...
def push(kind: str, id: UUID | str | int, version: int, *, run: UUID | str | None = None) -> None:
    """Tell open pages that the object ``(kind, id)`` is now at ``version``.

    ``run`` names the run that a step or a call belongs to: pages watch runs, not single steps.
    """
    event: dict[str, Any] = {"kind": kind, "id": str(id), "version": version}
    if run is not None:
        event["run"] = str(run)
    _after_commit(lambda: sender().events.offer(event))


def hint(task_name: str, *args: str | int) -> None:
    """Ask a worker to run a task soon. Arguments are ids only."""
    _after_commit(lambda: sender().hints.offer(Hint(task_name, args)))


def token(run_id: UUID | str, step_key: UUID | str, seq: int, text: str) -> None:
    """Send a piece of a model's live output to pages that watch the run. Not bound to a transaction; losing it is harmless."""
    event = {"kind": "token", "run": str(run_id), "step": str(step_key), "seq": seq, "text": text}
    sender().events.offer(event)


def flush(timeout: float = 3.0) -> bool:
    """Wait until what was told so far has left, at most ``timeout`` seconds: for commands, before they exit."""
    return sender().flush(timeout)


def _after_commit(tell: Callable[[], object]) -> None:
    # Outside a transaction there is nothing to wait for; asking Django would open a connection, and fails in an event loop.
    if connection.in_atomic_block:
        transaction.on_commit(tell, robust=True)
    else:
        tell()
