"""What people do on the decision page beside deciding: stop the run, and say afterwards that a decision turned out wrong."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import access, regrets, stopping
from approvals.errors import ApprovalError, Invalid
from approvals.models import Approval
from approvals.states import Verdict
from approvals.web import display
from approvals.web.fragments import load, render_card
from approvals.web.panel import Attempt, Problem, render_panel
from approvals.web.signed_in import signed_in


@signed_in
@require_http_methods(["GET", "POST"])
def regret(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Say that the decision turned out wrong, or take that back (``act=withdraw``). A refusal keeps what was typed."""
    user, approval = _visible(request, approval_id)
    reason, problem, status = request.POST.get("reason", "").replace("\r\n", "\n"), "", HTTPStatus.OK
    if request.method == "POST":
        try:
            messages.success(request, _do(request, approval_id, reason))
            return redirect("approvals:detail", approval_id)
        except ApprovalError as error:
            problem, status = _words(error), HTTPStatus(error.status)
    context = {
        "approval": approval, "sentence": display.sentence(approval), "problem": problem, "typed": reason,
        "longest": regrets.LONGEST, "regret": regrets.of(approval), "why_not": regrets.why_not(user, approval),
    }  # fmt: skip
    return render(request, "approvals/regret.html", context, status=status)


def _do(request: HttpRequest, approval_id: UUID, reason: str) -> str:
    actor = Actor.from_request(request)
    if request.POST.get("act") == "withdraw":
        return _("Taken back.") if regrets.withdraw(approval_id, actor=actor) else _("It was taken back already.")
    regrets.regret(approval_id, reason, actor=actor)
    return _("Marked: this turned out wrong.")


def _words(error: ApprovalError) -> str:
    if isinstance(error, Invalid):
        return " ".join(line for lines in error.errors.values() for line in lines)
    return str(error)


@signed_in
@require_POST
def stop(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Stop what asked."""
    _visible(request, approval_id)
    attempt, status = None, HTTPStatus.OK
    try:
        stopping.stop(approval_id, actor=Actor.from_request(request))
    except ApprovalError as error:
        attempt = Attempt(Verdict.APPROVE, {}, Problem(_("Not stopped."), str(error)))
        status = HTTPStatus(error.status)
    if not request.headers.get("HX-Request"):
        if attempt and attempt.problem:
            messages.error(request, f"{attempt.problem.title} {attempt.problem.text}")
        else:
            messages.success(request, _("The run is being stopped."))
        return redirect("approvals:detail", approval_id)
    _user, approval = _visible(request, approval_id)
    shown = render_card(approval)
    card = render_to_string("approvals/_partial_card.html", {"card": shown})
    return HttpResponse(render_panel(request, approval, attempt, card=shown, is_answer=True) + card, status=status)


def _visible(request: HttpRequest, approval_id: UUID) -> tuple[User, Approval]:
    """The viewer and the approval, or 404 where their teams do not show it."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    return request.user, approval
