"""What people say to one another beside an approval, on its page."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import User
from approvals import comments
from approvals.errors import ApprovalError, Invalid
from approvals.models import Approval, Comment
from approvals.web import display
from approvals.web.signed_in import signed_in


@signed_in
@require_GET
def listed(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The comments alone, as the page fetches them again."""
    return HttpResponse(_list(_visible(request, approval_id)))


@signed_in
@require_POST
def add(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Add what the form says. A refusal comes back with what was typed."""
    approval = _visible(request, approval_id)
    text = request.POST.get("text", "").replace("\r\n", "\n")
    try:
        comments.comment(approval.pk, text, actor=Actor.from_request(request), key=_key(request.POST.get("key", "")))
    except Invalid as error:
        problem, status = " ".join(line for lines in error.errors.values() for line in lines), HTTPStatus(error.status)
    except ApprovalError as error:
        problem, status = str(error), HTTPStatus(error.status)
    else:
        problem, status = "", HTTPStatus.OK
    is_whole_page = not request.headers.get("HX-Request")
    if is_whole_page and not problem:
        messages.success(request, _("Your comment is on record."))
        return redirect("approvals:detail", approval.pk)
    shown = render_comments(request, approval, typed=text if problem else "", problem=problem, is_answer=True)
    if is_whole_page:
        context = {"approval": approval, "sentence": display.sentence(approval), "comments": shown}
        return render(request, "approvals/comment.html", context, status=status)
    return HttpResponse(shown, status=status)


def render_comments(
    request: HttpRequest, approval: Approval, *, typed: str = "", problem: str = "", is_answer: bool = False
) -> SafeString:
    """The comments with the form for another; root id ``comments``. ``is_answer``: to a post, so the focus goes there."""
    context = {
        "approval": approval, "list": _list(approval, is_answer=is_answer and not problem), "typed": typed,
        "problem": problem, "key": new_id(), "longest": comments.LONGEST,
    }  # fmt: skip
    return SafeString(render_to_string("approvals/_comments.html", context, request=request).strip())


def _list(approval: Approval, *, is_answer: bool = False) -> SafeString:
    said = list(Comment.objects.filter(approval=approval).only("author_label", "text", "at"))
    context = {"approval": approval, "comments": said, "is_answer": is_answer}
    return SafeString(render_to_string("approvals/_comment_list.html", context).strip())


def _visible(request: HttpRequest, approval_id: UUID) -> Approval:
    """The approval, or 404 where the user's teams do not show it."""
    if not isinstance(request.user, User):
        raise Http404
    approval = Approval.objects.visible_to(request.user).filter(pk=approval_id).first()
    if approval is None:
        raise Http404
    return approval


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
