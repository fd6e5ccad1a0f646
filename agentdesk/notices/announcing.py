"""Saying that something happened, in the transaction in which it happens: one statement, which writes nothing when nobody has
asked to be told."""

from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from agentdesk.ids import new_id
from agentdesk.live.push import hint
from agentdesk.notices.models import Event

SPREAD = "agentdesk.notices.tasks.spread"

_LISTENED = """EXISTS (SELECT 1 FROM notices_subscription WHERE active AND events @> ARRAY[%(event)s]::varchar[])
    OR EXISTS (SELECT 1 FROM notices_personalrules WHERE mail AND events @> ARRAY[%(event)s]::varchar[])"""
_WRITE = f"""INSERT INTO notices_announcement (id, key, event, kind, object_id, share, person_id, at, facts)
SELECT %(id)s::uuid, %(key)s::varchar, %(event)s::varchar, %(kind)s::varchar, %(object_id)s::varchar, %(share)s::smallint,
    %(person)s::uuid, %(at)s::timestamptz, '{{}}'::jsonb
WHERE {_LISTENED} ON CONFLICT (key) DO NOTHING"""


def announce(
    event: Event, kind: str, object_id: UUID | str, *, mark: object, share: int | None = None, person: UUID | None = None
) -> bool:
    """Tell of ``event`` of the object, once for each ``mark`` (such as its version). ``person``: whom it is about, where it
    concerns one. False: nobody wants to know, or it was announced before."""
    facts: dict[str, Any] = {
        "id": new_id(), "key": f"{event.value}:{object_id}:{mark}", "event": event.value, "kind": kind,
        "object_id": str(object_id), "share": share, "person": person, "at": timezone.now(),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, facts)
        written = bool(cursor.rowcount)
    if written:
        hint(SPREAD)
    return written


def is_listened_to(event: Event) -> bool:
    """Whether anybody wants to be told of such an event."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_LISTENED}", {"event": event.value})
        (found,) = cursor.fetchone()
    return bool(found)
