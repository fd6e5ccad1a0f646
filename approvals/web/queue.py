"""The order in which approvals wait, and what of it a page shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk.people.models import User
from approvals.models import Approval
from approvals.states import OPEN, Risk
from approvals.web import display
from approvals.web.filters import Filter
from approvals.web.fragments import for_display, render_row

PAGE = 50  # rows of one risk, and of the decided list
BESIDE = 25  # rows in the rail of the decision page
MOST = 1000  # counts stop here

MOST_URGENT = (F("expires_at").asc(nulls_last=True), "id")


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


def waiting_for(user: User, wanted: Filter | None = None) -> QuerySet[Approval]:
    """Pending approvals that the user's teams see."""
    return Approval.objects.visible_to(user).pending().filter(wanted.condition() if wanted else Q())


def capped_count(approvals: QuerySet[Approval]) -> str:
    """How many there are, counted up to a thousand: ``23`` or ``1,000+``."""
    count = approvals.order_by()[: MOST + 1].count()
    return f"{MOST:,}+" if count > MOST else str(count)


def waiting(user: User, wanted: Filter) -> Page:
    """The pending approvals by risk, most urgent first. A constant number of queries."""
    ids: dict[Risk, list[UUID]] = {}
    for risk in reversed(Risk):
        of_risk = waiting_for(user, wanted).filter(risk=risk).order_by(*MOST_URGENT)
        ids[risk] = list(of_risk.values_list("pk", flat=True)[: PAGE + 1])
    shown = [pk for found in ids.values() for pk in found[:PAGE]]
    approvals = {approval.pk: approval for approval in for_display(Approval.objects.filter(pk__in=shown))}
    groups = []
    for risk, found in ids.items():
        more = len(found) > PAGE
        count = capped_count(waiting_for(user, wanted).filter(risk=risk)) if more else str(len(found))
        rows = [render_row(approvals[pk]) for pk in found[:PAGE] if pk in approvals]
        groups.append(Group(risk.value, str(risk.label), risk, rows, count, more))
    return Page(groups)


def decided(user: User, wanted: Filter, before: datetime | None) -> Page:
    """The closed approvals, newest first, from ``before`` on backwards."""
    closed = Approval.objects.visible_to(user).exclude(status__in=OPEN).filter(wanted.condition(), closed_at__isnull=False)
    if before is not None:
        closed = closed.filter(closed_at__lt=before)
    found = list(for_display(closed).order_by("-closed_at", "-id")[: PAGE + 1])
    more = len(found) > PAGE
    last = found[PAGE - 1].closed_at if more else None
    rows = [render_row(approval) for approval in found[:PAGE]]
    group = Group("done", _("Newest first"), None, rows, str(len(rows)) + ("+" if more else ""), more)
    return Page([group], last.isoformat() if last else "")


def beside(user: User, approval: Approval) -> dict[str, Any]:
    """The queue around one approval: the rail's rows, its place, the ones before and after it."""
    rank = {risk.value: -risk.rank for risk in Risk}
    rows: list[Approval] = []
    for risk in reversed(Risk):
        if len(rows) < BESIDE:
            rows += waiting_for(user).filter(risk=risk).order_by(*MOST_URGENT)[: BESIDE - len(rows)]
    rows.sort(key=lambda row: rank[row.risk])
    ids = [row.pk for row in rows]
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
