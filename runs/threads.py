"""Copying a thread's checkpoints, by SQL: a fork is a new run on a new thread, and the old one is left as it is.

Table layout: langgraph-checkpoint-postgres 3 (``checkpoints``, ``checkpoint_blobs``, ``checkpoint_writes``). Checkpoint ids
sort by time. The writes of the checkpoint at the cut are left behind: its tasks run again, and ask again.
"""

from django.db import connection

COPY = (
    """INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
       SELECT %(to)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints
       WHERE thread_id = %(from)s AND checkpoint_id <= %(cut)s""",
    """INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
       SELECT %(to)s, checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = %(from)s""",
    """INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
       SELECT %(to)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob FROM checkpoint_writes
       WHERE thread_id = %(from)s AND checkpoint_id < %(cut)s""",
)


def checkpoints(thread_id: str, limit: int = 200) -> list[tuple[str, int, str]]:
    """The checkpoints of a thread's outermost graph, newest first: id, step number, and what came next by source."""
    query = """SELECT checkpoint_id, coalesce((metadata->>'step')::int, 0), coalesce(metadata->>'source', '') FROM checkpoints
               WHERE thread_id = %s AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT %s"""
    with connection.cursor() as cursor:
        cursor.execute(query, (thread_id, limit))
        return [(str(id), int(step), str(source)) for id, step, source in cursor.fetchall()]


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
