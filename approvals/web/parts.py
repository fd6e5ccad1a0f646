"""How parts of the queue are read: in one statement each, however many teams and risks there are.

An index serves the approvals of one team (and risk) in order. So a statement goes through the *places*, each a team and a risk,
and takes the first few of each (``CROSS JOIN LATERAL``); Django writes what stands inside, once for all places.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, CharField, F, Func, Q, QuerySet, UUIDField
from django.db.models.expressions import RawSQL

from approvals.models import Approval
from approvals.states import Risk
from approvals.web.filters import Wanted

FEW = 1000  # so many that have a facet are looked up; among more, the first in order are soon found

TEAM: RawSQL = RawSQL("place.team", [], UUIDField())
RISK: RawSQL = RawSQL("place.risk", [], CharField())
_PLACES = "unnest(%s::uuid[], %s::text[]) place (team, risk)"

type Place = tuple[UUID | None, str]
type Query = tuple[str, list[Any]]


class _AmongThese(Func):
    """``id = ANY(ARRAY(…))``: the ids are found first, whatever the planner thinks of it."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class Part:
    """Approvals that one index serves in order, place by place: those of the place's team (and risk), or, without a team, those
    where the reader's teams are guests."""

    approvals: QuerySet[Approval]
    places: tuple[Place, ...]

    @classmethod
    def of_teams(cls, teams: Iterable[UUID]) -> Self:
        return cls(Approval.objects.filter(team=TEAM), tuple((team, "") for team in teams))

    @classmethod
    def of_guests(cls, approvals: QuerySet[Approval]) -> Self:
        return cls(approvals, ((None, ""),))

    def filter(self, *conditions: Q, **facts: Any) -> Self:
        return replace(self, approvals=self.approvals.filter(*conditions, **facts))

    def by_risk(self, risks: Iterable[Risk]) -> Self:
        """Its places divided by risk; places of other risks are left out."""
        places = tuple((team, risk.value) for team, _risk in self.places for risk in risks)
        return replace(self, approvals=self.approvals.filter(risk=RISK), places=places)


def first(parts: Sequence[Part], most: int, order: Sequence[Any], fields: Sequence[Any]) -> list[Any]:
    """The first ``most`` of each place, as rows of the place's risk and ``fields``. One statement; in no order."""
    inside = [(part, part.approvals.order_by(*order).values_list(*fields)[:most]) for part in parts]
    queries = [query for part, each in inside if (query := _each(part, "place.risk, found.*", each)) is not None]
    return _rows(_together(queries)) if queries else []


def tally(named: Mapping[Any, Sequence[Part]], most: int) -> Counter[tuple[str, str]]:
    """How many there are by name and risk, counted up to ``most`` and one more in each place. One statement."""
    queries = []
    for name, parts in named.items():
        for part in parts:
            inside = part.approvals.order_by().values_list("pk")[: most + 1]
            if (query := _each(part, "%s::text, place.risk, count(*)", inside)) is not None:
                queries.append((f"{query[0]} GROUP BY place.risk", [name, *query[1]]))
    counted: Counter[tuple[str, str]] = Counter()
    for name, risk, count in _rows(_together(queries)) if queries else []:
        counted[name, risk] += count
    return counted


def with_facets(parts: Sequence[Part], wanted: Sequence[Wanted], *, waits: bool) -> list[Part]:
    """``parts`` narrowed to what has all the wanted facets.

    What is best depends on how many have them, which the planner cannot know: statistics of texts and numbers mix all
    arguments. So it is asked first, up to :data:`FEW`: few are looked up by their ids; among many, the approvals are gone
    through in their order, and a page is soon full. One statement, however many places and facets there are.
    """
    if not wanted:
        return list(parts)
    narrowed = []
    for part in parts:
        by_rarest: dict[int | None, list[Place]] = {}
        for place, rarest in _rarest(part, wanted, waits=waits):
            by_rarest.setdefault(rarest, []).append(place)
        for rarest, places in by_rarest.items():
            kept = part.approvals.filter(*[each.holds() for at, each in enumerate(wanted) if at != rarest])
            if rarest is not None:
                facets = _facets(wanted[rarest], places[0], waits=waits)
                kept = kept.filter(_AmongThese(F("pk"), ArraySubquery(facets.values("approval"))))
            narrowed.append(Part(kept, tuple(places)))
    return narrowed


def _rarest(part: Part, wanted: Sequence[Wanted], *, waits: bool) -> list[tuple[Place, int | None]]:
    """For each place the number of the facet that fewest have there; None where none is rare, or no index tells."""
    at = [place for place in part.places if place[0] is not None]
    found: list[tuple[Place, int | None]] = [(place, None) for place in part.places if place[0] is None]
    if not at:
        return found
    queries = [_facets(each, at[0], waits=waits).values("pk")[: FEW + 1].query.sql_with_params() for each in wanted]
    counts = ", ".join(f"(SELECT count(*) FROM ({sql}) part)" for sql, _values in queries)  # noqa: S608 - Django's own
    values = [value for _sql, values in queries for value in values]
    for team, risk, *sizes in _rows((f"SELECT place.team, place.risk, {counts} FROM {_PLACES}", [*values, *_columns(at)])):  # noqa: S608
        rarest = min(range(len(sizes)), key=sizes.__getitem__)
        found.append(((team, risk), rarest if sizes[rarest] <= FEW else None))
    return found


def _facets(wanted: Wanted, place: Place, *, waits: bool) -> QuerySet[Any]:
    """The facets wanted in each place of the statement. ``place``: one of them, for they all have a risk or none has."""
    facts: dict[str, Any] = {"waits": waits, "team": TEAM} | ({"risk": RISK} if place[1] else {})
    return wanted.facets(**facts)


def _each(part: Part, columns: str, inside: QuerySet[Any, Any]) -> Query | None:
    """What ``inside`` gives, for each place of ``part``; None where Django sees that it gives nothing."""
    try:
        sql, values = inside.query.sql_with_params()
    except EmptyResultSet:
        return None
    return f"SELECT {columns} FROM {_PLACES} CROSS JOIN LATERAL ({sql}) found", [*_columns(part.places), *values]  # noqa: S608


def _columns(places: Iterable[Place]) -> tuple[list[UUID | None], list[str]]:
    teams, risks = zip(*places, strict=True)
    return list(teams), list(risks)


def _together(queries: Sequence[Query]) -> Query:
    return " UNION ALL ".join(f"({sql})" for sql, _values in queries), [value for _sql, values in queries for value in values]


def _rows(query: Query) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(*query)
        return list(cursor.fetchall())
