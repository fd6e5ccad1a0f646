"""Held decisions: the strip that counts down one's own, and taking one back."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import access, decisions, holding
from approvals.errors import ApprovalError
from approvals.states import Verdict
from approvals.web import display
from approvals.web.fragments import load, render_card
from approvals.web.panel import Attempt, Problem, render_panel
from approvals.web.signed_in import signed_in

AFTER_MS = 250  # the strip looks again this long after the next of its decisions counts


def render_held(request: HttpRequest, but: UUID | str | None = None) -> SafeString:
    """The viewer's own decisions that may still be taken back, ``but`` that on the page's own approval; root id ``held``."""
    found = [one for one in holding.held_by(request.user) if str(one.approval_id) != str(but)]
    context: dict[str, Any] = {
        "held": [
            {
                "approval_id": one.approval_id,
                "sentence": display.sentence(one.approval),
                "words": _("approved with changes") if one.verdict == Verdict.MODIFY else _("approved"),
                "release_at": one.release_at,
            }
            for one in found
        ],
        "but": but,
    }
    if found and found[0].release_at is not None:
        left = (found[0].release_at - timezone.now()).total_seconds()
        context["refresh_ms"] = max(0, int(left * 1000)) + AFTER_MS
    return SafeString(render_to_string("approvals/_held.html", context, request=request).strip())


@signed_in
@require_GET
def held(request: HttpRequest) -> HttpResponse:
    """The strip alone, as it asks for itself when the next of its decisions counts."""
    return HttpResponse(render_held(request, request.GET.get("but")))


@signed_in
@require_POST
def recall(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Take the decision back. Too late, or not allowed: the panel says so."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    attempt: Attempt | None = None
    status = HTTPStatus.OK
    try:
        decisions.recall(approval_id, actor=Actor.from_request(request))
    except ApprovalError as error:
        status = HTTPStatus(error.status)
        attempt = Attempt(Verdict.APPROVE, {}, Problem(_("Not taken back."), str(error)))
    if not request.headers.get("HX-Request"):
        if attempt and attempt.problem:
            messages.error(request, f"{attempt.problem.title} {attempt.problem.text}")
        else:
            messages.success(request, _("Taken back: it waits for a decision again."))
        return redirect("approvals:detail", approval_id)
    approval = load(approval_id)
    if approval is None:
        raise Http404
    card = render_card(approval)
    beside = render_to_string("approvals/_partial_card.html", {"card": card})
    return HttpResponse(render_panel(request, approval, attempt, card=card, is_answer=True) + beside, status=status)
