"""A run's thread: its checkpoints, listed, copied for a fork, taken away. By SQL, for any process; no graph is loaded.

Table layout: langgraph-checkpoint-postgres 3 (``checkpoints``, ``checkpoint_blobs``, ``checkpoint_writes``). Checkpoint ids
sort by time. The writes of the checkpoint at the cut are left behind: its tasks run again, and ask again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

OWN = "postgres"  # the desk's own checkpointer

COPY = (
    """INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
       SELECT %(to)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints
       WHERE thread_id = %(from)s AND checkpoint_id <= %(cut)s""",
    # What was said after the cut stays behind: only the versions that a copied checkpoint names.
    """INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
       SELECT %(to)s, b.checkpoint_ns, b.channel, b.version, b.type, b.blob FROM checkpoint_blobs b
       WHERE b.thread_id = %(from)s AND (b.checkpoint_ns, b.channel, b.version) IN (
           SELECT c.checkpoint_ns, v.key, v.value FROM checkpoints c, jsonb_each_text(c.checkpoint->'channel_versions') v
           WHERE c.thread_id = %(from)s AND c.checkpoint_id <= %(cut)s)""",
    """INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
       SELECT %(to)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob FROM checkpoint_writes
       WHERE thread_id = %(from)s AND checkpoint_id < %(cut)s""",
)

# What ran from a checkpoint is told by the paths of its tasks ("~__pregel_pull, NODE"); what would, by the channels that wait.
LIST = """
SELECT c.checkpoint_id, coalesce((c.metadata->>'step')::int, 0), coalesce(c.metadata->>'source', ''), c.checkpoint->>'ts',
    coalesce(c.parent_checkpoint_id, ''),
    ARRAY(SELECT jsonb_array_elements_text(coalesce(nullif(c.checkpoint->'updated_channels', 'null'), '[]'))),
    ARRAY(SELECT DISTINCT w.task_path FROM checkpoint_writes w
        WHERE w.thread_id = c.thread_id AND w.checkpoint_ns = '' AND w.checkpoint_id = c.checkpoint_id)
FROM checkpoints c WHERE c.thread_id = %s AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC LIMIT %s
"""
PULL, PUSH = "~__pregel_pull, ", "~__pregel_push, "
BRANCH, TASKS = "branch:to:", "__pregel_tasks"
SENT = "(sent tasks)"  # by Send: their names are in the state only


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint of a thread's outermost graph. ``source``: input, loop, update or fork. ``after``: nodes that led to it;
    ``next``: nodes that ran from it, or would. Both empty where the checkpoint does not tell."""

    id: str
    step: int
    source: str
    at: datetime
    after: list[str]
    next: list[str]


def checkpoints(thread_id: str, limit: int = 200) -> list[Checkpoint]:
    """The checkpoints of a thread's outermost graph, newest first."""
    if not is_own():
        found: list[Checkpoint] = _foreign().checkpoints(thread_id, limit)
        return found
    with connection.cursor() as cursor:
        cursor.execute(LIST, (thread_id, limit + 1))
        rows = cursor.fetchall()
    ran = {row[0]: _ran(row[6]) for row in rows}
    return [
        Checkpoint(id, step, source, datetime.fromisoformat(at), ran.get(parent, []), ran[id] or waiting_nodes(channels))
        for id, step, source, at, parent, channels, _paths in rows[:limit]
    ]


def hold(run_id: UUID) -> None:
    """Keep the run's checkpoints from being taken away until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM runs_run WHERE id = %s FOR KEY SHARE", (run_id,))


def copy(source: str, target: str, cut: str) -> bool:
    """Copy the thread up to and with the checkpoint ``cut``. False when it has no such checkpoint. Raises NotOffered."""
    if not is_own():
        return bool(_foreign().copy(source, target, cut))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = '' AND checkpoint_id = %s", (source, cut)
        )
        if cursor.fetchone() is None:
            return False
        for statement in COPY:
            cursor.execute(statement, {"from": source, "to": target, "cut": cut})
    return True


def delete(thread_id: str) -> None:
    """Take all of the thread's checkpoints away. The caller holds the run's row, so that no fork is half made. Raises
    NotOffered."""
    if not is_own():
        _foreign().delete(thread_id)
        return
    with connection.cursor() as cursor:
        for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = %s", (thread_id,))  # noqa: S608 - our own names


def is_own() -> bool:
    """Whether checkpoints lie in the desk's own tables; else ``CHECKPOINTER`` says where."""
    return bool(settings.CHECKPOINTER == OWN)


def are_removable() -> bool:
    """Whether threads can be taken away."""
    return is_own() or "retention" in _foreign().offers()


def waiting_nodes(channels: list[str]) -> list[str]:
    """The nodes that would run next, by the channels that a checkpoint's step wrote."""
    nodes = {channel.removeprefix(BRANCH) for channel in channels if channel.startswith(BRANCH)}
    return sorted(nodes | ({SENT} if TASKS in channels else set()))


def _foreign() -> Any:
    from runs.engine import foreign  # it loads LangGraph, which pages do without

    return foreign


def _ran(paths: list[str]) -> list[str]:
    nodes = {path.removeprefix(PULL) for path in paths if path.startswith(PULL)} - {"__start__"}
    return sorted(nodes | ({SENT} if any(path.startswith(PUSH) for path in paths) else set()))
