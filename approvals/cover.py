"""Whether somebody is there to decide: who of some people is away, now and in the days to come. One query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from uuid import UUID

from django.utils import timezone

from agentdesk.people.absence import MARGIN, coming
from agentdesk.people.models import Absence, User

DAYS_AHEAD = 14  # today is the first


@dataclass(frozen=True, slots=True)
class Cover:
    """Who is ``away`` now; the absences ``coming`` within :data:`DAYS_AHEAD` days; and the spans of these days on which nobody
    is there, each from its first to its last day. A day counts as each person has it, in their own zone."""

    away: dict[UUID, Absence]
    coming: list[Absence]
    empty: list[tuple[date, date]]
    is_empty_now: bool


def cover_of(people: Sequence[User], zone: tzinfo | None) -> Cover:
    """The cover that ``people`` give. ``zone``: in which today is the first day."""
    now = timezone.now()
    today = now.astimezone(zone).date()
    last = today + timedelta(days=DAYS_AHEAD - 1)
    planned = coming([person.pk for person in people], today - MARGIN, last)
    away = {absence.user_id: absence for absence in planned if absence.holds(now)}
    later = [absence for absence in planned if absence.begins_on > now.astimezone(absence.user.zone).date()]
    days = [today + timedelta(days=number) for number in range(DAYS_AHEAD)]
    empty = [day for day in days if people and _gone_on(day, planned) >= {person.pk for person in people}]
    return Cover(away, later, _spans(empty), is_empty_now=bool(people) and len(away) == len(people))


def _gone_on(day: date, planned: Sequence[Absence]) -> set[UUID]:
    return {absence.user_id for absence in planned if absence.covers(day)}


def _spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """Days in their order, those that follow one another together."""
    spans: list[tuple[date, date]] = []
    for day in days:
        if spans and day - spans[-1][1] == timedelta(days=1):
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans
