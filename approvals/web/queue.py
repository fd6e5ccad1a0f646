"""The order in which approvals wait, and what of it a page shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk.people.models import Team, User
from approvals.models import Approval
from approvals.models.approvals import GUEST_TEAMS
from approvals.states import Risk, Status
from approvals.web import display
from approvals.web.filters import Filter
from approvals.web.fragments import for_display, known_row, render_row

PAGE = 50  # rows of one risk, and of the decided list
BESIDE = 25  # rows in the rail of the decision page
MOST = 1000  # counts stop here


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


def waiting_for(user: User, wanted: Filter | None = None) -> list[QuerySet[Approval]]:
    """Pending approvals that the user's teams see, as one query for each team and one for where they decide as guests.

    Apart, because each then follows its index in order and stops at its limit; no index serves all of them together.
    """
    condition = wanted.condition() if wanted else Q()
    return [part.filter(condition, status=Status.PENDING) for part in _seen_by(user)]


def count_waiting(user: User, risk: Risk | None = None) -> str:
    """How many wait (at this risk), counted up to a thousand: ``23`` or ``1,000+``."""
    parts = waiting_for(user)
    return _capped(parts if risk is None else [part.filter(risk=risk) for part in parts])


def waiting(user: User, wanted: Filter) -> Page:
    """The pending approvals by risk, most urgent first. A constant number of queries."""
    parts = waiting_for(user, wanted)
    ids = {risk: _most_urgent([part.filter(risk=risk) for part in parts], PAGE + 1) for risk in reversed(Risk)}
    shown = _rows([key for found in ids.values() for key in found[:PAGE]])
    groups = []
    for risk, found in ids.items():
        more = len(found) > PAGE
        count = _capped([part.filter(risk=risk) for part in parts]) if more else str(len(found))
        rows = [shown[pk] for pk, _revision in found[:PAGE] if pk in shown]
        groups.append(Group(risk.value, str(risk.label), risk, rows, count, more))
    return Page(groups)


def decided(user: User, wanted: Filter, before: datetime | None) -> Page:
    """The closed approvals, newest first, from ``before`` on backwards."""
    closed = Q(closed_at__isnull=False) & wanted.condition()
    if before is not None:
        closed &= Q(closed_at__lt=before)
    parts = [part.filter(closed).order_by("-closed_at", "-id") for part in _seen_by(user)]
    found = sorted(_together(parts, PAGE + 1, "closed_at", "pk", "revision"), reverse=True)
    more = len(found) > PAGE
    shown = _rows([(pk, revision) for _closed_at, pk, revision in found[:PAGE]])
    rows = [shown[pk] for _closed_at, pk, _revision in found[:PAGE] if pk in shown]
    group = Group("done", _("Newest first"), None, rows, str(len(rows)) + ("+" if more else ""), more)
    return Page([group], found[PAGE - 1][0].isoformat() if more else "")


def beside(user: User, approval: Approval) -> dict[str, Any]:
    """The queue around one approval: the rail's rows, its place, the ones before and after it."""
    ids: list[UUID] = []
    for risk in reversed(Risk):
        if len(ids) < BESIDE:
            found = _most_urgent([part.filter(risk=risk) for part in waiting_for(user)], BESIDE - len(ids))
            ids += [pk for pk, _revision in found]
    approvals = Approval.objects.in_bulk(ids)
    rows = [approvals[pk] for pk in ids if pk in approvals]
    at = ids.index(approval.pk) if approval.pk in ids else None
    return {
        "queue": [
            {"id": row.pk, "risk": Risk(row.risk), "sentence": display.sentence(row), "expires_at": row.expires_at}
            for row in rows
        ],
        "place": at + 1 if at is not None else None,
        "total": f"{BESIDE}+" if len(ids) >= BESIDE else len(ids),
        "previous": ids[at - 1] if at else None,
        "next": ids[at + 1] if at is not None and at + 1 < len(ids) else (ids[0] if at is None and ids else None),
    }


def most_urgent_but(user: User, approval: Approval) -> Approval | None:
    """The approval to look at next, this one aside: the highest risk first."""
    for risk in reversed(Risk):
        for pk, _revision in _most_urgent([part.filter(risk=risk).exclude(pk=approval.pk) for part in waiting_for(user)], 1):
            return Approval.objects.filter(pk=pk).first()
    return None


def _seen_by(user: User) -> list[QuerySet[Approval]]:
    everything = user.is_superuser and user.is_active
    teams = sorted(Team.objects.values_list("pk", flat=True) if everything else user.team_ids())
    own: list[QuerySet[Approval]] = [Approval.objects.filter(team=team) for team in teams]
    if everything or not teams:
        return own
    return [*own, Approval.objects.alias(guests=GUEST_TEAMS).filter(guests__overlap=teams).exclude(team__in=teams)]


def _most_urgent(parts: list[QuerySet[Approval]], most: int) -> list[tuple[UUID, int]]:
    """Ids and revisions of one risk, the least time left first."""
    ordered = [part.order_by(F("expires_at").asc(nulls_last=True), "id") for part in parts]
    found = _together(ordered, most, "expires_at", "pk", "revision")
    found.sort(key=lambda row: (row[0] is None, row[0] or 0, row[1]))
    return [(pk, revision) for _expires_at, pk, revision in found[:most]]


def _together(parts: list[QuerySet[Approval]], most: int, *fields: str) -> list[Any]:
    """The first ``most`` rows of each part, in one query and in no order."""
    if not parts:
        return []
    first, *others = [part.values_list(*fields)[:most] for part in parts]
    return list(first.union(*others, all=True).order_by() if others else first)


def _capped(parts: list[QuerySet[Approval]]) -> str:
    if not parts:
        return "0"
    first, *others = [part.order_by().values_list("pk")[: MOST + 1] for part in parts]
    count = first.union(*others, all=True).order_by().count() if others else first.count()
    return f"{MOST:,}+" if count > MOST else str(count)


def _rows(keys: list[tuple[UUID, int]]) -> dict[UUID, SafeString]:
    """The rows of these ids and revisions; only those that were not rendered before are loaded."""
    shown = {pk: row for pk, revision in keys if (row := known_row(pk, revision)) is not None}
    missing = Approval.objects.filter(pk__in=[pk for pk, _revision in keys if pk not in shown])
    return shown | {approval.pk: render_row(approval) for approval in for_display(missing)}
