"""What waits for a team, and how its people get on with it: figures for those who share the work. A fixed number of queries."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Absence, Membership, Role, Team, User
from approvals.cover import Cover, cover_of
from approvals.models import Approval, Claim, Decision
from approvals.models.approvals import GUEST_TEAMS
from approvals.states import PEOPLES_VERDICTS, Risk, Status

MEDIAN_OVER = timedelta(days=7)

# approval_closed holds all that is read: the newest closed ones of each team. What was approved in advance waited for nobody.
_MEDIAN = """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', closed_at - requested_at))
FROM approvals_approval WHERE team_id = ANY(%s) AND closed_at > %s AND status = 'decided'
    AND NOT EXISTS (SELECT 1 FROM approvals_standinguse WHERE approval_id = approvals_approval.id)
"""


@dataclass(frozen=True, slots=True)
class Share:
    """One reviewer's part of the work: approvals of the team that they look after now, and that they decided today; ``away``
    where they are away now."""

    person: User
    claims: int
    decided: int
    away: Absence | None


@dataclass(frozen=True, slots=True)
class Load:
    """How much waits for the team, by risk and the gravest first; the oldest of it; ``median`` seconds from question to
    decision over :data:`MEDIAN_OVER`, of ``closed`` decided ones (None: there were none); who is there in the days to come."""

    waiting: list[tuple[Risk, int]]
    total: int
    oldest: Approval | None
    closed: int
    median: float | None
    shares: list[Share]
    cover: Cover


def load_of(team: Team, *, since: datetime) -> Load:
    """The load of ``team`` now. ``since``: when today began for who reads it."""
    own = Approval.objects.pending().filter(team=team)
    invited: Any = Approval.objects.pending().alias(guests=GUEST_TEAMS)  # the stubs take the alias for text
    guests = invited.filter(guests__contains=[team.pk]).exclude(team=team)
    counted: Counter[str] = Counter()
    for part in (own, guests):
        counted.update(dict(part.order_by().values_list("risk").annotate(n=Count("*"))))
    oldest = [part.order_by("requested_at").first() for part in (own, guests)]
    people = _reviewers_of(team)
    cover = cover_of(people, since.tzinfo)
    with connection.cursor() as cursor:
        cursor.execute(_MEDIAN, [[team.pk], timezone.now() - MEDIAN_OVER])
        closed, median = cursor.fetchone()
    return Load(
        waiting=[(risk, counted[risk]) for risk in reversed(Risk) if counted[risk]],
        total=counted.total(),
        oldest=min((each for each in oldest if each), key=lambda each: each.requested_at, default=None),
        closed=closed,
        median=None if median is None else float(median),
        shares=_shares(team, people, cover, since),
        cover=cover,
    )


@dataclass(frozen=True, slots=True)
class Calm:
    """What to say where nothing waits: when the last decision was (None: never), and of those closed since today began how
    many there were and the ``median`` seconds that they waited."""

    last: datetime | None
    closed: int
    median: float | None


def calm_of(teams: Collection[UUID], *, since: datetime) -> Calm:
    """Of all ``teams`` together. ``since``: when today began for who reads it. Two queries, each served by an index."""
    last = Approval.objects.filter(team__in=teams, status=Status.DECIDED, closed_at__isnull=False)
    with connection.cursor() as cursor:
        cursor.execute(_MEDIAN, [list(teams), since])
        closed, median = cursor.fetchone()
    at = last.order_by("-closed_at").values_list("closed_at", flat=True).first()
    return Calm(at, closed, None if median is None else float(median))


def _reviewers_of(team: Team) -> list[User]:
    reviewers = Membership.objects.filter(team=team, role=Role.REVIEWER).values("user")
    return list(User.objects.filter(pk__in=reviewers, is_active=True, kind=User.Kind.PERSON))


def _shares(team: Team, people: Sequence[User], cover: Cover, since: datetime) -> list[Share]:
    ids = [person.pk for person in people]
    held = Claim.objects.filter(Q(until=None) | Q(until__gt=timezone.now()), user__in=ids)
    held = held.filter(Q(approval__team=team) | Q(approval__reviewer_teams__contains=[team.pk]))
    claims = dict(held.order_by().values_list("user").annotate(n=Count("*")))
    done = Decision.objects.filter(decided_by__in=ids, decided_at__gte=since, verdict__in=PEOPLES_VERDICTS, voided_at=None)
    done = done.exclude(via=AuditEntry.Via.STANDING)
    done = done.filter(Q(approval__team=team) | Q(approval__reviewer_teams__contains=[team.pk]))
    decided = dict(done.order_by().values_list("decided_by").annotate(n=Count("*")))
    shares = [
        Share(person, claims.get(person.pk, 0), decided.get(person.pk, 0), cover.away.get(person.pk)) for person in people
    ]
    return sorted(shares, key=lambda share: share.person.label.casefold())
