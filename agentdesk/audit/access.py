"""Who may read which part of the record: operators and admins, their teams' entries; superusers, all of it."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from psycopg.errors import QueryCanceled

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Membership, Role, User

type Entries = QuerySet[AuditEntry]

PATIENCE = 5.0  # seconds


class TooSlow(Exception):
    """The search takes too long: narrow it down by days, object or run."""


def may_read(user: User) -> bool:
    """Whether there is a part of the record that this user may read."""
    return user.is_active and (user.is_superuser or bool(user.team_ids(Role.OPERATOR, Role.ADMIN)))


def readable(user: User) -> list[Q]:
    """Conditions whose union is what ``user`` may read, each served by one index; empty: nothing.

    An entry without a team (a sign-in, a token) is read by the admins of the teams that whoever acted belongs to.
    """
    if not user.is_active:
        return []
    if user.is_superuser:
        return [Q()]
    parts = [Q(team_id=team) for team in sorted(user.team_ids(Role.OPERATOR, Role.ADMIN))]
    administered = user.team_ids(Role.ADMIN)
    if administered:
        members = Membership.objects.filter(team__in=administered).values("user")
        parts.append(Q(team_id=None, actor_id__in=members))
    return parts


def newest(parts: Sequence[Q], entries: Entries, limit: int) -> list[AuditEntry]:
    """The newest ``limit`` of ``entries`` that fall under one of ``parts``. One query that reads ``limit`` rows a part,
    however long the record is, unless they are filtered by something rare; the parts must not overlap. Raises TooSlow."""
    if not parts:
        return []
    slices = [entries.filter(part).order_by("-pk")[:limit] for part in parts]
    whole = slices[0] if len(slices) == 1 else slices[0].union(*slices[1:], all=True).order_by("-id")[:limit]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE * 1000:.0f}"])
            return list(whole)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow(TooSlow.__doc__) from error
        raise


def find(user: User, entry_id: int) -> AuditEntry | None:
    """One entry with its content, if the user may read it."""
    parts = readable(user)
    if not parts:
        return None
    return AuditEntry.objects.filter(reduce(or_, parts), pk=entry_id).select_related("content").first()


def entries_of_run(user: User, run_id: UUID, limit: int = 200) -> list[AuditEntry]:
    """The newest entries about one run that the user may read, for the run's page."""
    return newest(readable(user), AuditEntry.objects.filter(run_id=run_id), limit)
