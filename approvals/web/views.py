"""The inbox and the decision page."""

from contextlib import nullcontext
from datetime import MAXYEAR, MINYEAR, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.people.absence import away
from agentdesk.people.models import Role, Team, User
from approvals import access, decisions, moves
from approvals.errors import ApprovalError
from approvals.load import calm_of
from approvals.models import Approval, Review, SavedView
from approvals.states import Risk
from approvals.web import display, queue
from approvals.web.comments import render_comments
from approvals.web.exact import previewed
from approvals.web.filters import Filter
from approvals.web.fragments import load, render_card
from approvals.web.held import render_held
from approvals.web.panel import Attempt, render_panel
from approvals.web.posts import Refused, read_post, refusal
from approvals.web.queue import Tab
from approvals.web.signed_in import signed_in
from approvals.web.triaging import render_triage
from approvals.web.working import began_today

SOON = "left<1h"
MOST_TEAMS = 8  # that the rail has room for; a profile lists all


@signed_in
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """What waits for the user's teams, or what another tab lists: ``?tab=mine``, ``snoozed`` or ``done``."""
    reader, wanted, tab = _asked(request)
    counts = queue.count(reader)
    context = {
        "tab": tab.value,
        "tabs": _tabs(tab, counts),
        "query": wanted,
        "held": render_held(request),
        "rows": _rows(request, reader, wanted, tab, counts),
        "views": _views(wanted if tab == Tab.TEAM else None, counts),
        "saved": list(SavedView.objects.filter(user=reader.user)),
        "soon_url": _address(reverse("approvals:inbox"), q=SOON),
        "is_soon": wanted.text == SOON,
        "teams": list(Team.objects.filter(pk__in=reader.teams)[:MOST_TEAMS]),
        "inbox_count": counts.waiting,
        "is_reviewer": bool(reader.user.team_ids(Role.REVIEWER)) or reader.user.is_superuser,
        "is_new": tab == Tab.TEAM and not wanted and _is_new(reader.user),
        "absence": away([reader.user.pk], timezone.now()).get(reader.user.pk),
    }
    return render(request, "approvals/inbox.html", context)


@signed_in
@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """The inbox's list alone, as the page fetches it again."""
    return HttpResponse(_rows(request, *_asked(request)))


@signed_in
@require_GET
def tabs(request: HttpRequest) -> HttpResponse:
    """The tabs with their counts, as the page fetches them again."""
    reader, _wanted, tab = _asked(request)
    return HttpResponse(_tabs(tab, queue.count(reader)))


@signed_in
@require_GET
def count(request: HttpRequest) -> HttpResponse:
    """The number beside Inbox in the bar."""
    reader, _wanted, _tab = _asked(request)
    return render(request, "_count.html", {"inbox_count": queue.count_waiting(reader)})


@signed_in
@require_GET
def detail(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """One approval: the card, and the viewer's panel beside it."""
    return _page(request, _visible(request, approval_id))


@signed_in
@require_GET
def card(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The card alone."""
    return HttpResponse(render_card(_visible(request, approval_id)))


@signed_in
@require_GET
def panel(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The viewer's panel alone."""
    return HttpResponse(render_panel(request, _visible(request, approval_id)))


@signed_in
@require_POST
def decide(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Decide as the form says. A refusal comes back as the panel with the reason, and with what was typed."""
    approval = _visible(request, approval_id)
    attempt: Attempt | None = None
    try:
        post = read_post(request.POST, approval)
        outcome = decisions.decide(approval_id, actor=Actor.from_request(request), **post)
    except Refused as refused:
        attempt, status = refused.attempt, HTTPStatus.UNPROCESSABLE_ENTITY
    except ApprovalError as error:
        approval = _visible(request, approval_id)
        attempt, status = refusal(error, request.POST, approval), HTTPStatus(error.status)
    else:
        approval, status = _visible(request, approval_id), HTTPStatus.OK
        if not request.headers.get("HX-Request"):
            messages.success(request, _told(approval, outcome))
            return redirect("approvals:detail", approval_id)
    if not request.headers.get("HX-Request"):
        return _page(request, approval, attempt, status)
    shown = render_card(approval)
    beside = render_to_string("approvals/_partial_card.html", {"card": shown})
    return HttpResponse(render_panel(request, approval, attempt, card=shown, is_answer=True) + beside, status=status)


@signed_in
@require_POST
def reveal(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The page once, with what is masked on it open, and an entry in the record. What is pushed to it later is masked again."""
    approval = _visible(request, approval_id)
    if not isinstance(request.user, User) or not access.may_reveal(request.user, approval):
        raise PermissionDenied
    moves.enter(approval, "approval.revealed", actor=Actor.from_request(request), after={"version": approval.version})
    response = _page(request, approval, open_secrets=True)
    response["Cache-Control"] = "no-store"
    return response


@signed_in
@require_POST
def exact(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The JSON that the asker would receive for the form as it stands. It decides nothing."""
    approval = _visible(request, approval_id)
    try:
        attempt, status = previewed(request.POST, approval, Actor.from_request(request)), HTTPStatus.OK
    except Refused as refused:
        attempt, status = refused.attempt, HTTPStatus.UNPROCESSABLE_ENTITY
    except ApprovalError as error:
        attempt, status = refusal(error, request.POST, approval), HTTPStatus(error.status)
    if not request.headers.get("HX-Request"):
        return _page(request, approval, attempt, status)
    return render(request, "approvals/_exact_json.html", {"preview": attempt.preview, "lines": attempt.lines()}, status=status)


def _page(
    request: HttpRequest,
    approval: Approval,
    attempt: Attempt | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    open_secrets: bool = False,
) -> HttpResponse:
    reader, _wanted, _tab = _asked(request)
    with masking.revealed() if open_secrets else nullcontext():
        shown = render_card(approval)
        panel = render_panel(request, approval, attempt, card=shown)
    context = {
        "approval": approval,
        "sentence": display.sentence(approval),
        "card": shown,
        "held": render_held(request, approval.pk),
        "panel": panel,
        "comments": render_comments(request, approval),
        "triage": render_triage(request, reader.user, approval),
        "is_open": open_secrets,
        "may_reveal": not open_secrets and masking.MARK in shown and access.may_reveal(reader.user, approval),
        "inbox_count": queue.count_waiting(reader),
        **queue.beside(reader, approval),
    }
    return render(request, "approvals/approval.html", context, status=status)


def _visible(request: HttpRequest, approval_id: UUID) -> Approval:
    """The approval, or 404 where the user's teams do not show it."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    return approval


def _asked(request: HttpRequest) -> tuple[queue.Reader, Filter, Tab]:
    if not isinstance(request.user, User):
        raise Http404
    reader = queue.Reader(request.user)
    wanted = queue.checked(reader, Filter.parse(request.GET.get("q", "")))
    # ``status=done`` is the older address of the last tab.
    name = request.GET.get("tab") or request.GET.get("status", "")
    return reader, wanted, Tab(name) if name in Tab else Tab.TEAM


def _rows(
    request: HttpRequest, reader: queue.Reader, wanted: Filter, tab: Tab, counts: queue.Counts | None = None
) -> SafeString:
    before = _moment(request.GET.get("before", ""))
    if wanted.mistakes:
        page = queue.Page([])
    elif tab == Tab.DONE:
        page = queue.decided(reader, wanted, before)
    else:
        page = queue.waiting(reader, wanted, tab, counts)
    inbox_url, rows_url = reverse("approvals:inbox"), reverse("approvals:rows")
    where = _where(tab)
    context = {
        "groups": page.groups,
        "tab": tab.value,
        "done": tab == Tab.DONE,
        "filtered": bool(wanted),
        "mistakes": wanted.mistakes,
        "me": reader.user.pk,
        "snoozed": " ".join(f"{pk}:{version}:{until.timestamp():.0f}" for pk, version, until in reader.snoozes),
        "in_no_team": not reader.teams,
        "calm": calm_of(reader.teams, since=began_today(reader.user)) if _is_calm(page, tab, wanted, reader) else None,
        "rows_url": _address(rows_url, **where, q=wanted.text, before=request.GET.get("before", "")),
        "clear_url": _address(inbox_url, **where),
        "next_url": _address(inbox_url, **where, q=wanted.text, before=page.next_before) if page.next_before else "",
    }
    return SafeString(render_to_string("approvals/_rows.html", context).strip())


def _is_calm(page: queue.Page, tab: Tab, wanted: Filter, reader: queue.Reader) -> bool:
    """Whether nothing at all waits for the reader's teams."""
    return tab == Tab.TEAM and not wanted and bool(reader.teams) and not any(group.rows for group in page.groups)


def _where(tab: Tab) -> dict[str, str]:
    return {} if tab == Tab.TEAM else {"tab": tab.value}


def _tabs(here: Tab, counts: queue.Counts) -> SafeString:
    """The tabs with their counts; root id ``tabs``."""
    labels = {Tab.MINE: _("Mine"), Tab.TEAM: _("Team"), Tab.SNOOZED: _("Snoozed"), Tab.DONE: _("Done")}
    shown = {**counts.tabs, Tab.TEAM: counts.waiting}
    inbox_url = reverse("approvals:inbox")
    listed = [
        {"value": tab.value, "label": labels[tab], "url": _address(inbox_url, **_where(tab)), "count": shown[tab]}
        for tab in Tab
    ]
    context = {"tabs": listed, "here": here.value, "tabs_url": _address(reverse("approvals:tabs"), **_where(here))}
    return SafeString(render_to_string("approvals/_tabs.html", context).strip())


def _is_new(user: User) -> bool:
    """Whether the user has never decided anything, and so is shown the way."""
    return not Review.objects.filter(reviewer=user).exists()


def _views(wanted: Filter | None, counts: queue.Counts) -> list[dict[str, Any]]:
    """The rail: everything that waits, and each risk."""
    inbox_url = reverse("approvals:inbox")
    everything = {
        "value": "all",
        "label": _("Everything"),
        "url": inbox_url,
        "icon": "filter",
        "tone": "",
        "here": wanted is not None and not wanted,
        "count": counts.waiting,
    }
    by_risk = [
        {
            "value": risk.value,
            "label": risk.label,
            "url": _address(inbox_url, q=f"risk:{risk}"),
            "icon": f"risk-{risk}",
            "tone": f"mark {risk}",
            "here": wanted is not None and wanted.text == f"risk:{risk}",
            "count": counts.by_risk[risk],
        }
        for risk in reversed(Risk)
    ]
    return [everything, *by_risk]


def _told(approval: Approval, outcome: decisions.Outcome) -> str:
    if outcome.decision is not None:
        return _("Recorded. The run goes on with exactly this.")
    return _("Your vote is recorded: %(have)s of %(need)s.") % {"have": outcome.have, "need": outcome.need}


def _moment(text: str) -> datetime | None:
    """A moment as this page writes it into addresses; None for anything else, and for years that no zone is sure of."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None and MINYEAR < at.year < MAXYEAR else None


def _address(path: str, **query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
