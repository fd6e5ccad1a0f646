"""The inbox and the decision page."""

from contextlib import nullcontext
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
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import access, decisions, moves
from approvals.errors import ApprovalError
from approvals.models import Approval
from approvals.states import Risk
from approvals.web import display, queue
from approvals.web.exact import previewed
from approvals.web.filters import Filter
from approvals.web.fragments import load, render_card
from approvals.web.held import render_held
from approvals.web.panel import Attempt, render_panel
from approvals.web.posts import Refused, read_post, refusal
from approvals.web.signed_in import signed_in


@signed_in
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """What waits for the user's teams, or with ``?status=done`` what was decided."""
    user, wanted, done = _asked(request)
    shown, page = _rows(request)
    count = queue.count_waiting(user)
    known = {} if done or wanted else {group.value: group.count for group in page.groups}
    context = {
        "done": done,
        "query": wanted.text,
        "held": render_held(request),
        "rows": shown,
        "views": _views(user, None if done else wanted, {"all": count, **known}),
        "inbox_count": count,
    }
    return render(request, "approvals/inbox.html", context)


@signed_in
@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """The inbox's list alone, as the page fetches it again."""
    return HttpResponse(_rows(request)[0])


@signed_in
@require_GET
def count(request: HttpRequest) -> HttpResponse:
    """The number beside Inbox in the bar."""
    user, _wanted, _done = _asked(request)
    return render(request, "_count.html", {"inbox_count": queue.count_waiting(user)})


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
    user, _wanted, _done = _asked(request)
    with masking.revealed() if open_secrets else nullcontext():
        shown = render_card(approval)
        panel = render_panel(request, approval, attempt, card=shown)
    context = {
        "approval": approval,
        "sentence": display.sentence(approval),
        "card": shown,
        "held": render_held(request, approval.pk),
        "panel": panel,
        "is_open": open_secrets,
        "may_reveal": not open_secrets and masking.MARK in shown and access.may_reveal(user, approval),
        "inbox_count": queue.count_waiting(user),
        **queue.beside(user, approval),
    }
    return render(request, "approvals/approval.html", context, status=status)


def _visible(request: HttpRequest, approval_id: UUID) -> Approval:
    """The approval, or 404 where the user's teams do not show it."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    return approval


def _asked(request: HttpRequest) -> tuple[User, Filter, bool]:
    if not isinstance(request.user, User):
        raise Http404
    return request.user, Filter.parse(request.GET.get("q", "")), request.GET.get("status") == "done"


def _rows(request: HttpRequest) -> tuple[SafeString, queue.Page]:
    user, wanted, done = _asked(request)
    before = _moment(request.GET.get("before", ""))
    page = queue.decided(user, wanted, before) if done else queue.waiting(user, wanted)
    inbox_url, rows_url = reverse("approvals:inbox"), reverse("approvals:rows")
    status = {"status": "done"} if done else {}
    context = {
        "groups": page.groups,
        "done": done,
        "filtered": bool(wanted),
        "rows_url": _address(rows_url, **status, q=wanted.text, before=request.GET.get("before", "")),
        "clear_url": _address(inbox_url, **status),
        "next_url": _address(inbox_url, **status, q=wanted.text, before=page.next_before) if page.next_before else "",
    }
    return SafeString(render_to_string("approvals/_rows.html", context).strip()), page


def _views(user: User, wanted: Filter | None, known: dict[str, str]) -> list[dict[str, Any]]:
    """The rail: everything that waits, and each risk. ``known``: counts that the page has already."""
    inbox_url = reverse("approvals:inbox")
    everything = {
        "value": "all",
        "label": _("Everything"),
        "url": inbox_url,
        "icon": "filter",
        "tone": "",
        "here": wanted is not None and not wanted,
        "count": known["all"],
    }
    by_risk = [
        {
            "value": risk.value,
            "label": risk.label,
            "url": _address(inbox_url, q=f"risk:{risk}"),
            "icon": f"risk-{risk}",
            "tone": f"mark {risk}",
            "here": wanted is not None and wanted.text == f"risk:{risk}",
            "count": known.get(risk.value) or queue.count_waiting(user, risk),
        }
        for risk in reversed(Risk)
    ]
    return [everything, *by_risk]


def _told(approval: Approval, outcome: decisions.Outcome) -> str:
    if outcome.decision is not None:
        return _("Recorded. The run goes on with exactly this.")
    return _("Your vote is recorded: %(have)s of %(need)s.") % {"have": outcome.have, "need": outcome.need}


def _moment(text: str) -> Any:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _address(path: str, **query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
