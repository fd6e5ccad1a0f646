"""Asking what a call would do, beside the decision."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.people.models import User
from approvals import access, previews
from approvals.errors import ApprovalError
from approvals.models import Approval
from approvals.web import display
from approvals.web.signed_in import signed_in


@signed_in
@require_GET
def shown(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The preview with its button, as the page fetches it again."""
    return HttpResponse(render_preview(request, _visible(request, approval_id)))


@signed_in
@require_POST
def ask(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Have one made."""
    approval, problem, status = _visible(request, approval_id), "", HTTPStatus.OK
    try:
        previews.ask(approval.pk, actor=Actor.from_request(request))
    except ApprovalError as error:
        problem, status = str(error), HTTPStatus(error.status)
    if not request.headers.get("HX-Request"):
        if problem:
            messages.error(request, problem)
        return redirect("approvals:detail", approval.pk)
    return HttpResponse(render_preview(request, _visible(request, approval_id), problem), status=status)


def render_preview(request: HttpRequest, approval: Approval, problem: str = "") -> SafeString:
    """What the call would do, and the button that asks; root id ``preview``."""
    preview = previews.of(approval)
    offered = previews.may_be_asked_for(approval)
    is_under_way = previews.is_under_way(preview)
    context = {
        "approval": approval,
        "preview": preview,
        "would": display.as_json(decode(preview.would)) if preview and preview.done_at and not preview.error else "",
        "is_under_way": is_under_way,
        "is_lost": preview is not None and preview.done_at is None and not is_under_way,
        "is_offered": offered,
        "may_ask": offered and isinstance(request.user, User) and access.why_not(request.user, approval) is None,
        "problem": problem,
    }
    return SafeString(render_to_string("approvals/_preview.html", context, request=request).strip())


def _visible(request: HttpRequest, approval_id: UUID) -> Approval:
    """The approval, or 404 where the user's teams do not show it."""
    if not isinstance(request.user, User):
        raise Http404
    approval = Approval.objects.visible_to(request.user).filter(pk=approval_id).first()
    if approval is None:
        raise Http404
    return approval
