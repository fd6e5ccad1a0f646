"""One exact text of an approval alone on a page, whatever its length."""

from collections.abc import Callable
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from agentdesk.people.models import User
from approvals import access
from approvals.models import Approval
from approvals.web import display
from approvals.web.fragments import action_json, answer_json, load, payload_json
from approvals.web.signed_in import signed_in


@signed_in
@require_GET
def whole(request: HttpRequest, approval_id: UUID, of: str) -> HttpResponse:
    """All of the action, of the answer that its asker receives, or of the request as it was sent. Secrets stay masked."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    texts: dict[str, tuple[str, Callable[[Approval], str]]] = {
        "action": (_("The action as it is bound by the digest"), action_json),
        "answer": (_("The JSON that the asker receives"), answer_json),
        "payload": (_("The request as the agent sent it"), payload_json),
    }
    if of not in texts:
        raise Http404
    title, make = texts[of]
    context = {"approval": approval, "sentence": display.sentence(approval), "title": title, "text": make(approval)}
    return render(request, "approvals/whole.html", context)
