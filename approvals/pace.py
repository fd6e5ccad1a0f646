"""How quickly a person decides, beside the people they share teams with. For themselves only: nobody else's page
shows it, and the figures of fewer than :data:`FEWEST` others are not shown, for they would be those of one or two people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Membership, Role, User
from approvals.states import PEOPLES_VERDICTS, Verdict

OVER = timedelta(days=30)
FEWEST = 3
QUICK = 3  # seconds: hardly time to read what will happen

# decision_by holds all that is read here, so the table itself is not.
_FIGURES = """
SELECT count(*), count(seconds_open), count(*) FILTER (WHERE seconds_open < %s),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds_open), {verdicts}
FROM approvals_decision WHERE decided_by_id = ANY(%s) AND decided_at > %s AND verdict = ANY(%s) AND via <> %s
""".format(verdicts=", ".join(f"count(*) FILTER (WHERE verdict = '{verdict}')" for verdict in PEOPLES_VERDICTS))


@dataclass(frozen=True, slots=True)
class Pace:
    """Decisions within :data:`OVER`: how many, of how many it is known how long they were open, how many of these under
    :data:`QUICK` seconds, the median of the seconds (None: not known), and how many of each verdict."""

    decided: int
    timed: int
    quick: int
    median: float | None
    verdicts: dict[Verdict, int]

    @property
    def quick_percent(self) -> int:
        return round(100 * self.quick / self.timed) if self.timed else 0

    def percent_of(self, verdict: Verdict) -> int:
        return round(100 * self.verdicts[verdict] / self.decided) if self.decided else 0


@dataclass(frozen=True, slots=True)
class Paces:
    """One's own, and the one of the other reviewers of one's teams together."""

    own: Pace
    others: Pace


def paces_of(user: User) -> Paces:
    """Three queries."""
    others = Membership.objects.filter(team__in=user.team_ids(Role.REVIEWER), role=Role.REVIEWER).exclude(user=user)
    people = set(others.values_list("user", flat=True))
    return Paces(_pace([user.pk]), _pace(people if len(people) >= FEWEST else []))


def _pace(people: Collection[UUID]) -> Pace:
    with connection.cursor() as cursor:
        verdicts = [verdict.value for verdict in PEOPLES_VERDICTS]
        cursor.execute(_FIGURES, [QUICK, list(people), timezone.now() - OVER, verdicts, AuditEntry.Via.STANDING.value])
        decided, timed, quick, median, *counts = cursor.fetchone()
    return Pace(decided, timed, quick, median, dict(zip(PEOPLES_VERDICTS, counts, strict=True)))
