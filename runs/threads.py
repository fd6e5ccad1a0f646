"""A run's thread: its checkpoints, listed, and copied for a fork. By SQL, for any process; no graph is loaded.

Table layout: langgraph-checkpoint-postgres 3 (``checkpoints``, ``checkpoint_blobs``, ``checkpoint_writes``). Checkpoint ids
sort by time. The writes of the checkpoint at the cut are left behind: its tasks run again, and ask again.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

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
    with connection.cursor() as cursor:
        cursor.execute(LIST, (thread_id, limit + 1))
        rows = cursor.fetchall()
    ran = {row[0]: _ran(row[6]) for row in rows}
    return [
        Checkpoint(id, step, source, datetime.fromisoformat(at), ran.get(parent, []), ran[id] or _waiting(channels))
        for id, step, source, at, parent, channels, _paths in rows[:limit]
    ]


def hold(run_id: UUID) -> None:
    """Keep the run's checkpoints from being taken away until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM runs_run WHERE id = %s FOR KEY SHARE", (run_id,))


def copy(source: str, target: str, cut: str) -> bool:
    """Copy the thread up to and with the checkpoint ``cut``. False when the thread has no such checkpoint."""
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
    """Take all of the thread's checkpoints away. The caller holds the run's row, so that no fork is half made."""
    with connection.cursor() as cursor:
        for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = %s", (thread_id,))  # noqa: S608 - our own names


def _ran(paths: list[str]) -> list[str]:
    nodes = {path.removeprefix(PULL) for path in paths if path.startswith(PULL)} - {"__start__"}
    return sorted(nodes | ({SENT} if any(path.startswith(PUSH) for path in paths) else set()))


def _waiting(channels: list[str]) -> list[str]:
    nodes = {channel.removeprefix(BRANCH) for channel in channels if channel.startswith(BRANCH)}
    return sorted(nodes | ({SENT} if TASKS in channels else set()))
