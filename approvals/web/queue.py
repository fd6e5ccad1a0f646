"""The order in which approvals wait, what of it a page shows, and how a search is put to the database."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from agentdesk.figures import figure
from agentdesk.people.models import Team, User
from approvals.models import Approval, Claim, Snooze
from approvals.models.approvals import GUEST_TEAMS
from approvals.states import Risk, Status
from approvals.web import display
from approvals.web.filters import Filter
from approvals.web.fragments import for_display, known_rows, render_row
from approvals.web.parts import Part, first, tally, with_facets
from approvals.web.rendered import Rendered

PAGE = 50  # rows of one risk, and of the decided list
BESIDE = 25  # rows in the rail of the decision page
MOST = 1000  # counts stop here

ROW_VERSION = F("revision") + Coalesce(F("claim__revision"), 0)

_kept_items = Rendered(most=5_000)


class Tab(StrEnum):
    """What the inbox can list."""

    MINE = "mine"
    TEAM = "team"
    SNOOZED = "snoozed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one risk, or all decided ones."""

    value: str
    label: str
    risk: Risk | None
    rows: SafeString
    count: str
    more: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the list shows, and where it goes on."""

    groups: list[Group]
    next_before: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many wait (that the reader has not put off), in all and by risk, and how many there are under each other tab; counted
    up to a thousand: ``23`` or ``1,000+``."""

    waiting: str
    by_risk: dict[Risk, str]
    tabs: dict[Tab, str]


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
        if not team:
            return self._seen
        named = Q(slug__iexact=team) | Q(name__iexact=team)
        teams = list(Team.objects.filter(named, pk__in=self.teams).values_list("pk", flat=True))
        return [Part.of_teams(teams)] if teams else []

    @cached_property
    def _seen(self) -> list[Part]:
        teams = self.teams
        if not teams:
            return []
        if self._everything:
            return [Part.of_teams(teams)]
        guests = Approval.objects.alias(guests=GUEST_TEAMS).filter(guests__overlap=teams).exclude(team__in=teams)
        return [Part.of_teams(teams), Part.of_guests(guests)]

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


def count_waiting(reader: Reader) -> str:
    """How many wait, counted up to a thousand: ``23`` or ``1,000+``."""
    return _capped(tally({"": reader.waiting()}, MOST).total())


def count(reader: Reader) -> Counts:
    """All the numbers that stand beside the list. One statement, beside what the reader's own questions take."""
    named = {
        Tab.TEAM: [part.by_risk(Risk) for part in reader.waiting()],
        Tab.MINE: reader.waiting(Tab.MINE),
        Tab.DONE: [part.filter(closed_at__isnull=False) for part in reader.seen()],
    }
    if reader.snoozes:
        named[Tab.SNOOZED] = reader.waiting(Tab.SNOOZED)
    counted = tally(named, MOST)
    by_risk = {risk: counted[Tab.TEAM, risk] for risk in Risk}
    return Counts(
        waiting=_capped(sum(by_risk.values())),
        by_risk={risk: _capped(many) for risk, many in by_risk.items()},
        tabs={tab: _capped(counted[tab, ""]) for tab in Tab if tab != Tab.TEAM},
    )


def waiting(reader: Reader, wanted: Filter, tab: Tab = Tab.TEAM, known: Counts | None = None) -> Page:
    """The pending approvals of a tab by risk, most urgent first. A constant number of queries. ``known``: counts at hand."""
    risks = [Risk(wanted.risk)] if wanted.risk else list(reversed(Risk))
    parts = [part.filter(wanted.plain).by_risk(risks) for part in reader.waiting(tab, wanted.team)]
    found = _most_urgent(with_facets(parts, wanted.wanted, waits=True), PAGE + 1)
    ids = {risk: [key for at, key in found if at == risk] for risk in risks}
    shown = _rows([key for keys in ids.values() for key in keys[:PAGE]])
    by_risk = known.by_risk if known and tab == Tab.TEAM and not wanted else {}
    if not by_risk and not wanted.wanted and any(len(keys) > PAGE for keys in ids.values()):
        counted = tally({"": parts}, MOST)
        by_risk = {risk: _capped(counted["", risk]) for risk in risks}
    groups = []
    for risk, keys in ids.items():
        more = len(keys) > PAGE
        many = by_risk.get(risk, f"{PAGE}+") if more else str(len(keys))
        groups.append(Group(risk.value, str(risk.label), risk, _lines(shown, keys[:PAGE]), many, more))
    return Page(groups)


def decided(reader: Reader, wanted: Filter, before: datetime | None) -> Page:
    """The closed approvals, newest first, from ``before`` on backwards."""
    closed = Q(closed_at__isnull=False) & wanted.plain
    if wanted.risk:
        closed &= Q(risk=wanted.risk)
    if before is not None:
        closed &= Q(closed_at__lt=before)
    parts = with_facets([part.filter(closed) for part in reader.seen(wanted.team)], wanted.wanted, waits=False)
    fields = ("closed_at", "pk", ROW_VERSION)
    found = sorted((row[1:] for row in first(parts, PAGE + 1, ("-closed_at", "-id"), fields)), reverse=True)
    more = len(found) > PAGE
    keys = [(pk, version) for _closed_at, pk, version in found[:PAGE]]
    many = f"{len(keys)}+" if more else str(len(keys))
    group = Group("done", _("Newest first"), None, _lines(_rows(keys), keys), many, more)
    return Page([group], found[PAGE - 1][0].isoformat() if more else "")


def beside(reader: Reader, approval: Approval) -> dict[str, Any]:
    """The queue around one approval: the rail's rows, its place, the ones before and after it."""
    found = _most_urgent([part.by_risk(Risk) for part in reader.waiting()], BESIDE + 1)
    keys = [key for _risk, key in found[:BESIDE]]
    items, ids = _items(keys), [pk for pk, _version in keys]
    at = ids.index(approval.pk) if approval.pk in ids else None
    return {
        "queue": [{"id": pk, "item": items[pk]} for pk in ids if pk in items],
        "place": at + 1 if at is not None else None,
        "total": f"{BESIDE}+" if len(found) > BESIDE else len(ids),
        "previous": ids[at - 1] if at else None,
        "next": ids[at + 1] if at is not None and at + 1 < len(ids) else (ids[0] if at is None and ids else None),
    }


def most_urgent_but(user: User, approval: Approval) -> Approval | None:
    """The approval to look at next, this one aside: the highest risk first."""
    others = [part.by_risk(Risk).filter(~Q(pk=approval.pk)) for part in Reader(user).waiting()]
    for _risk, (pk, _version) in _most_urgent(others, 1):
        return Approval.objects.filter(pk=pk).first()
    return None


def _most_urgent(parts: Sequence[Part], most: int) -> list[tuple[Risk, tuple[UUID, int]]]:
    """Risk, id and row version: the gravest first, of one risk the least time left first, ``most`` of each risk."""
    order = (F("expires_at").asc(nulls_last=True), "id")
    found = first(parts, most, order, ("expires_at", "pk", ROW_VERSION))
    by_risk: dict[Risk, list[Any]] = {risk: [] for risk in reversed(Risk)}
    for risk, *row in found:
        by_risk[Risk(risk)].append(row)
    for rows in by_risk.values():
        rows.sort(key=lambda row: (row[0] is None, row[0] or 0, row[1]))
    return [(risk, (pk, version)) for risk, rows in by_risk.items() for _expires_at, pk, version in rows[:most]]


def _capped(many: int) -> str:
    return f"{figure(MOST)}+" if many > MOST else str(many)


def _rows(keys: Sequence[tuple[UUID, int]]) -> dict[UUID, SafeString]:
    """The rows of these ids and versions; only those that were not rendered before are loaded."""
    shown = known_rows(keys)
    if len(shown) == len(keys):
        return shown
    missing = Approval.objects.filter(pk__in=[pk for pk, _version in keys if pk not in shown])
    return shown | {approval.pk: render_row(approval) for approval in for_display(missing)}


def _lines(shown: dict[UUID, SafeString], keys: Sequence[tuple[UUID, int]]) -> SafeString:
    return mark_safe("\n        ".join(shown[pk] for pk, _version in keys if pk in shown))  # noqa: S308 - rendered templates


def _items(keys: Sequence[tuple[UUID, int]]) -> dict[UUID, SafeString]:
    """What the rail says of these ids and versions; only those that were not rendered before are loaded."""
    shown = _kept_items.known(keys)
    missing = [pk for pk, _version in keys if pk not in shown]
    versions = dict(keys)
    for approval in Approval.objects.filter(pk__in=missing) if missing else ():
        context = {"approval": approval, "sentence": display.sentence(approval)}
        html = SafeString(render_to_string("approvals/_waiting.html", context).strip())
        shown[approval.pk] = _kept_items.keep(approval.pk, versions[approval.pk], html)
    return shown
