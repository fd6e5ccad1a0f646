"""The order in which approvals wait, what of it a page shows, and how a search is put to the database."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk.figures import figure
from agentdesk.people.models import Team, User
from approvals.models import Approval, Claim, Snooze
from approvals.models.approvals import GUEST_TEAMS
from approvals.states import Risk, Status
from approvals.web import display
from approvals.web.filters import Filter, Wanted
from approvals.web.fragments import for_display, known_row, render_row

PAGE = 50  # rows of one risk, and of the decided list
BESIDE = 25  # rows in the rail of the decision page
MOST = 1000  # counts stop here
FEW = 1000  # so many that have a facet are looked up; among more, the first in order are soon found

ROW_VERSION = F("revision") + Coalesce(F("claim__revision"), 0)


class Tab(StrEnum):
    """What the inbox can list."""

    MINE = "mine"
    TEAM = "team"
    SNOOZED = "snoozed"
    DONE = "done"


class _AmongThese(Func):
    """``id = ANY(ARRAY(…))``: the ids are found first, whatever the planner thinks of it."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one risk, or all decided ones."""

    value: str
    label: str
    risk: Risk | None
    rows: list[SafeString]
    count: str
    more: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the list shows, and where it goes on."""

    groups: list[Group]
    next_before: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Approvals that one index serves in order: those of one team (and risk), or those where the reader's teams are guests."""

    approvals: QuerySet[Approval]
    team: UUID | None = None
    risk: Risk | None = None

    def filter(self, *conditions: Q, **facts: Any) -> Self:
        return replace(self, approvals=self.approvals.filter(*conditions, **facts))

    def of(self, risk: Risk) -> Self:
        return replace(self, approvals=self.approvals.filter(risk=risk), risk=risk)


class Reader:
    """One person's view of the queue, read once for a request."""

    def __init__(self, user: User) -> None:
        self.user = user

    @cached_property
    def _everything(self) -> bool:
        return self.user.is_superuser and self.user.is_active

    @cached_property
    def teams(self) -> list[UUID]:
        """The teams whose approvals are shown."""
        return sorted(Team.objects.values_list("pk", flat=True) if self._everything else self.user.team_ids())

    @cached_property
    def snoozes(self) -> list[tuple[UUID, int, datetime]]:
        """What this person has put off: approval, its version then, until when. What has changed since is awake."""
        mine = Snooze.objects.filter(user=self.user, until__gt=timezone.now(), version=F("approval__version"))
        return list(mine.values_list("approval", "version", "until"))

    def seen(self, team: str = "") -> list[Part]:
        """All that the person's memberships show, or of the team of this slug or name only."""
        teams = self.teams
        if team:
            named = Q(slug__iexact=team) | Q(name__iexact=team)
            teams = list(Team.objects.filter(named, pk__in=teams).values_list("pk", flat=True))
        own = [Part(Approval.objects.filter(team=each), each) for each in teams]
        if self._everything or not teams or team:
            return own
        guests = Approval.objects.alias(guests=GUEST_TEAMS).filter(guests__overlap=teams).exclude(team__in=teams)
        return [*own, Part(guests)]

    def waiting(self, tab: Tab = Tab.TEAM, team: str = "") -> list[Part]:
        """What waits under a tab."""
        snoozed = [pk for pk, _version, _until in self.snoozes]
        waiting = Q(status=Status.PENDING)
        match tab:
            case Tab.MINE:
                claims = Claim.objects.filter(user=self.user).exclude(until__lte=timezone.now())
                waiting &= Q(pk__in=claims.values("approval")) & ~Q(pk__in=snoozed)
            case Tab.SNOOZED:
                waiting &= Q(pk__in=snoozed)
            case _:
                if snoozed:
                    waiting &= ~Q(pk__in=snoozed)
        return [part.filter(waiting) for part in self.seen(team)]

    def knows_team(self, name: str) -> bool:
        """Whether a team of this slug or name is shown to the person."""
        return Team.objects.filter(Q(slug__iexact=name) | Q(name__iexact=name), pk__in=self.teams).exists()


def checked(reader: Reader, wanted: Filter) -> Filter:
    """``wanted`` with the mistakes that only the reader's teams show."""
    if not wanted.team or reader.knows_team(wanted.team):
        return wanted
    names = ", ".join(Team.objects.filter(pk__in=reader.teams).values_list("slug", flat=True)[:10])
    mistake = _("No team of yours is called “%(name)s”. Yours are: %(teams)s.") % {"name": wanted.team, "teams": names or "–"}
    return replace(wanted, mistakes=(*wanted.mistakes, mistake))


def count_waiting(reader: Reader, risk: Risk | None = None) -> str:
    """How many wait (at this risk), counted up to a thousand: ``23`` or ``1,000+``."""
    parts = reader.waiting()
    return _capped(parts if risk is None else [part.of(risk) for part in parts])


def counts(reader: Reader) -> dict[Tab, str]:
    """How many there are under each tab but Team's, counted up to a thousand."""
    done = [part.filter(closed_at__isnull=False) for part in reader.seen()]
    return {
        Tab.MINE: _capped(reader.waiting(Tab.MINE)),
        Tab.SNOOZED: _capped(reader.waiting(Tab.SNOOZED)) if reader.snoozes else "0",
        Tab.DONE: _capped(done),
    }


def waiting(reader: Reader, wanted: Filter, tab: Tab = Tab.TEAM) -> Page:
    """The pending approvals of a tab by risk, most urgent first. A constant number of queries."""
    risks = [Risk(wanted.risk)] if wanted.risk else list(reversed(Risk))
    parts = [part.filter(wanted.plain) for part in reader.waiting(tab, wanted.team)]
    by_risk = {risk: [part.of(risk) for part in parts] for risk in risks}
    found = _with_facets([part for parts in by_risk.values() for part in parts], wanted.wanted, waits=True)
    by_risk = {risk: [part for part in found if part.risk == risk] for risk in risks}
    ids = {risk: _most_urgent(by_risk[risk], PAGE + 1) for risk in risks}
    shown = _rows([key for found in ids.values() for key in found[:PAGE]])
    groups = []
    for risk, keys in ids.items():
        more = len(keys) > PAGE
        count = str(len(keys)) if not more else f"{PAGE}+" if wanted.wanted else _capped(by_risk[risk])
        rows = [shown[pk] for pk, _revision in keys[:PAGE] if pk in shown]
        groups.append(Group(risk.value, str(risk.label), risk, rows, count, more))
    return Page(groups)


def decided(reader: Reader, wanted: Filter, before: datetime | None) -> Page:
    """The closed approvals, newest first, from ``before`` on backwards."""
    closed = Q(closed_at__isnull=False) & wanted.plain
    if wanted.risk:
        closed &= Q(risk=wanted.risk)
    if before is not None:
        closed &= Q(closed_at__lt=before)
    parts = _with_facets([part.filter(closed) for part in reader.seen(wanted.team)], wanted.wanted, waits=False)
    ordered = [part.approvals.order_by("-closed_at", "-id") for part in parts]
    found = sorted(_together(ordered, PAGE + 1, "closed_at", "pk", "shown_version"), reverse=True)
    more = len(found) > PAGE
    shown = _rows([(pk, version) for _closed_at, pk, version in found[:PAGE]])
    rows = [shown[pk] for _closed_at, pk, _version in found[:PAGE] if pk in shown]
    group = Group("done", _("Newest first"), None, rows, str(len(rows)) + ("+" if more else ""), more)
    return Page([group], found[PAGE - 1][0].isoformat() if more else "")


def beside(reader: Reader, approval: Approval) -> dict[str, Any]:
    """The queue around one approval: the rail's rows, its place, the ones before and after it."""
    ids: list[UUID] = []
    parts = reader.waiting()
    for risk in reversed(Risk):
        if len(ids) <= BESIDE:
            found = _most_urgent([part.of(risk) for part in parts], BESIDE + 1 - len(ids))
            ids += [pk for pk, _version in found]
    has_more, ids = len(ids) > BESIDE, ids[:BESIDE]
    approvals = Approval.objects.in_bulk(ids)
    rows = [approvals[pk] for pk in ids if pk in approvals]
    at = ids.index(approval.pk) if approval.pk in ids else None
    return {
        "queue": [
            {"id": row.pk, "risk": Risk(row.risk), "sentence": display.sentence(row), "expires_at": row.expires_at}
            for row in rows
        ],
        "place": at + 1 if at is not None else None,
        "total": f"{BESIDE}+" if has_more else len(ids),
        "previous": ids[at - 1] if at else None,
        "next": ids[at + 1] if at is not None and at + 1 < len(ids) else (ids[0] if at is None and ids else None),
    }


def most_urgent_but(user: User, approval: Approval) -> Approval | None:
    """The approval to look at next, this one aside: the highest risk first."""
    parts = Reader(user).waiting()
    for risk in reversed(Risk):
        others = [part.of(risk).filter(~Q(pk=approval.pk)) for part in parts]
        for pk, _version in _most_urgent(others, 1):
            return Approval.objects.filter(pk=pk).first()
    return None


def _with_facets(parts: list[Part], wanted: Sequence[Wanted], *, waits: bool) -> list[Part]:
    """``parts`` narrowed to what has all the wanted facets.

    What is best depends on how many have them, which the planner cannot know: statistics of texts and numbers mix all
    arguments. So it is asked first, up to :data:`FEW`: few are looked up by their ids; among many, the approvals are gone
    through in their order, and a page is soon full. Two queries, however many parts and facets there are.
    """
    if not wanted:
        return parts
    counted = iter(_few([facets for part in parts for facets in _facets_of(part, wanted, waits=waits)]))
    narrowed = []
    for part in parts:
        sizes = [next(counted) for _facets in _facets_of(part, wanted, waits=waits)]
        smallest = min(range(len(sizes)), key=sizes.__getitem__) if sizes else None
        is_few = smallest is not None and sizes[smallest] <= FEW
        conditions = [each.holds() for at, each in enumerate(wanted) if not is_few or at != smallest]
        kept = part.approvals.filter(*conditions)
        if is_few and smallest is not None:
            ids = list(_facets_of(part, wanted, waits=waits))[smallest].values("approval")
            kept = kept.filter(_AmongThese(F("pk"), ArraySubquery(ids)))
        narrowed.append(replace(part, approvals=kept))
    return narrowed


def _facets_of(part: Part, wanted: Sequence[Wanted], *, waits: bool) -> list[QuerySet[Any]]:
    """The facets wanted, among this part's approvals; none where no index tells a part's own."""
    if part.team is None:
        return []
    facts: dict[str, Any] = {"waits": waits, "team": part.team} | ({"risk": part.risk} if part.risk else {})
    return [each.facets(**facts) for each in wanted]


def _few(facets: list[QuerySet[Any]]) -> list[int]:
    """How many there are of each, counted a little beyond :data:`FEW`. One query."""
    if not facets:
        return []
    queries = [each.values("pk")[: FEW + 1].query.sql_with_params() for each in facets]
    counts = ", ".join(f"(SELECT count(*) FROM ({sql}) part)" for sql, _params in queries)  # noqa: S608 - Django's own
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", [value for _sql, params in queries for value in params])
        return list(cursor.fetchone())


def _most_urgent(parts: list[Part], most: int) -> list[tuple[UUID, int]]:
    """Ids and row versions of one risk, the least time left first."""
    ordered = [part.approvals.order_by(F("expires_at").asc(nulls_last=True), "id") for part in parts]
    found = _together(ordered, most, "expires_at", "pk", "shown_version")
    found.sort(key=lambda row: (row[0] is None, row[0] or 0, row[1]))
    return [(pk, version) for _expires_at, pk, version in found[:most]]


def _together(parts: list[QuerySet[Approval]], most: int, *fields: str) -> list[Any]:
    """The first ``most`` rows of each part, in one query and in no order."""
    if not parts:
        return []
    first, *others = [part.annotate(shown_version=ROW_VERSION).values_list(*fields)[:most] for part in parts]
    return list(first.union(*others, all=True).order_by() if others else first)


def _capped(parts: list[Part]) -> str:
    if not parts:
        return "0"
    first, *others = [part.approvals.order_by().values_list("pk")[: MOST + 1] for part in parts]
    count = first.union(*others, all=True).order_by().count() if others else first.count()
    return f"{figure(MOST)}+" if count > MOST else str(count)


def _rows(keys: list[tuple[UUID, int]]) -> dict[UUID, SafeString]:
    """The rows of these ids and versions; only those that were not rendered before are loaded."""
    shown = {pk: row for pk, version in keys if (row := known_row(pk, version)) is not None}
    missing = Approval.objects.filter(pk__in=[pk for pk, _version in keys if pk not in shown])
    return shown | {approval.pk: render_row(approval) for approval in for_display(missing)}
