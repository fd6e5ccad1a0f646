"""What people do on the decision page beside deciding: stop the run, and say afterwards that a decision turned out wrong."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import access, regrets, stopping
from approvals.errors import ApprovalError, Invalid
from approvals.models import Approval
from approvals.states import Verdict
from approvals.web.fragments import load, render_card
from approvals.web.panel import Attempt, Problem, render_panel
from approvals.web.signed_in import signed_in


@signed_in
@require_POST
def regret(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Say that the decision turned out wrong, or take that back (``act=withdraw``). A refusal keeps what was typed."""
    _visible(request, approval_id)
    actor, reason = Actor.from_request(request), request.POST.get("reason", "").replace("\r\n", "\n")
    try:
        if request.POST.get("act") == "withdraw":
            told = _("Taken back.") if regrets.withdraw(approval_id, actor=actor) else _("It was taken back already.")
        else:
            regrets.regret(approval_id, reason, actor=actor)
            told = _("Marked: this turned out wrong.")
    except Invalid as error:
        problem = " ".join(line for lines in error.errors.values() for line in lines)
        return _answer(request, approval_id, error.status, problem, {"regret_problem": problem, "regret_typed": reason})
    except ApprovalError as error:
        return _refused(request, approval_id, error)
    return _done(request, approval_id, told)


@signed_in
@require_POST
def stop(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Stop what asked."""
    _visible(request, approval_id)
    try:
        stopping.stop(approval_id, actor=Actor.from_request(request))
    except ApprovalError as error:
        return _refused(request, approval_id, error)
    return _done(request, approval_id, _("The run is being stopped."))


def _done(request: HttpRequest, approval_id: UUID, told: str) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        messages.success(request, told)
        return redirect("approvals:detail", approval_id)
    return _answer(request, approval_id, HTTPStatus.OK)


def _refused(request: HttpRequest, approval_id: UUID, error: ApprovalError) -> HttpResponse:
    attempt = Attempt(Verdict.APPROVE, {}, Problem(_("That was not done."), str(error)))
    return _answer(request, approval_id, error.status, str(error), attempt=attempt)


def _answer(
    request: HttpRequest,
    approval_id: UUID,
    status: int,
    problem: str = "",
    more: dict[str, Any] | None = None,
    attempt: Attempt | None = None,
) -> HttpResponse:
    """The panel with the card beside it; without htmx the page itself, which says what is wrong."""
    if not request.headers.get("HX-Request"):
        messages.error(request, problem)
        return redirect("approvals:detail", approval_id)
    approval = _visible(request, approval_id)
    shown = render_card(approval)
    card = render_to_string("approvals/_partial_card.html", {"card": shown})
    return HttpResponse(render_panel(request, approval, attempt, card=shown, is_answer=True, more=more) + card, status=status)


def _visible(request: HttpRequest, approval_id: UUID) -> Approval:
    """The approval, or 404 where the user's teams do not show it."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    return approval
