"""Somebody can always administer the desk: its last active superuser stays. A trigger (migration 0004) refuses it to
every role and every way; what is here says so before, at the field of a form."""

from uuid import UUID

from django.db import connection
from django.db.transaction import TransactionManagementError

from agentdesk.people.models import User

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('agentdesk.people.superusers', 0))"  # the trigger's own


def is_last(user_id: UUID) -> bool:
    """Whether this is the only active superuser, until the end of the current transaction: others who would switch one off
    wait for it. Raises TransactionManagementError outside of a transaction."""
    known = User.objects.filter(is_superuser=True, is_active=True, kind=User.Kind.PERSON)
    # Locked before the count, as the trigger does: of two at once the second counts what the first has left.
    if not connection.in_atomic_block:
        raise TransactionManagementError("the answer holds within a transaction only")
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
    return known.filter(pk=user_id).exists() and not known.exclude(pk=user_id).exists()
