"""Claim, assign, hand over and snooze, from the inbox's preview and from the decision page."""

from dataclasses import dataclass
from datetime import timedelta
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
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from agentdesk.audit.record import Actor
from agentdesk.people.absence import away
from agentdesk.people.models import User
from approvals import access, triage
from approvals.errors import ApprovalError, Invalid
from approvals.models import Approval, Snooze
from approvals.web import display
from approvals.web.fragments import load, render_card
from approvals.web.signed_in import signed_in

MOST_PEOPLE = 100
SPANS = {
    "30m": (timedelta(minutes=30), gettext_lazy("30 minutes")), "1h": (timedelta(hours=1), gettext_lazy("1 hour")),
    "4h": (timedelta(hours=4), gettext_lazy("4 hours")), "1d": (timedelta(days=1), gettext_lazy("1 day")),
    "3d": (timedelta(days=3), gettext_lazy("3 days")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What an act came to, in words; ``undo`` holds the fields of the form that takes it back."""

    text: str
    undo: dict[str, Any] | None = None
    is_bad: bool = False


@signed_in
@require_GET
def preview(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The card with what can be done about it from the list."""
    user, approval = _visible(request, approval_id)
    return HttpResponse(render_triage(request, user, approval) + render_card(approval))


@signed_in
@require_GET
def part(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Who looks after it, and what the viewer can do about that."""
    user, approval = _visible(request, approval_id)
    return HttpResponse(render_triage(request, user, approval))


@signed_in
@require_POST
def act(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Claim, take over, release, assign, snooze or wake, as the form says."""
    user, approval = _visible(request, approval_id)
    status = HTTPStatus.OK
    errors: dict[str, list[str]] = {}
    try:
        told = _do(request, approval)
    except Invalid as error:
        text = " ".join(text for texts in error.errors.values() for text in texts)
        told, status, errors = Told(text, is_bad=True), HTTPStatus(error.status), error.errors
    except ApprovalError as error:
        told, status = Told(str(error), is_bad=True), HTTPStatus(error.status)
    if not request.headers.get("HX-Request"):
        (messages.error if told.is_bad else messages.success)(request, told.text)
        return redirect("approvals:detail", approval_id)
    user, approval = _visible(request, approval_id)
    said = render_to_string("approvals/_told.html", {"told": told, "approval": approval}, request=request)
    return HttpResponse(render_triage(request, user, approval, errors) + said, status=status)


def render_triage(
    request: HttpRequest, user: User, approval: Approval, errors: dict[str, list[str]] | None = None
) -> SafeString:
    """Who looks after an approval, with the viewer's acts; root id ``triage``."""
    held = triage.claim_of(approval)
    is_held = triage.is_held(held)
    why_not = access.why_not(user, approval) if approval.is_pending else ""
    people = access.reviewers_of(approval).exclude(pk=user.pk) if approval.is_pending else User.objects.none()
    people = people.prefetch_related("memberships")
    context = {
        "approval": approval,
        "claim": held if is_held else None,
        "seen": held.revision if held else 0,
        "is_mine": is_held and held is not None and held.user_id == user.pk,
        "may_release": is_held and held is not None and user.pk in (held.user_id, held.assigned_by_id),
        "may_act": approval.is_pending and why_not is None,
        "people": _choices([person for person in people[:MOST_PEOPLE] if access.why_not(person, approval) is None]),
        "spans": [(key, words) for key, (_span, words) in SPANS.items()],
        "snooze": Snooze.objects.filter(
            user=user, approval=approval, version=approval.version, until__gt=timezone.now()
        ).first(),
        "errors": errors or {},
    }  # fmt: skip
    return SafeString(render_to_string("approvals/_triage.html", context, request=request).strip())


def _choices(people: list[User]) -> list[tuple[User, str]]:
    """Each with what there is to say of an absence. One query, where there are people."""
    gone = away([person.pk for person in people], timezone.now()) if people else {}
    return [(person, gone[person.pk].words() if person.pk in gone else "") for person in people]


def _do(request: HttpRequest, approval: Approval) -> Told:
    """Do what the form says. Raises what the verbs raise."""
    actor, data = Actor.from_request(request), request.POST
    seen = int(text) if (text := data.get("seen", "")).isdecimal() and len(text) < 10 else 0
    before = triage.claim_of(approval)
    undo_to = before if triage.is_held(before) else None
    what = {"action": display.sentence(approval)}
    match data.get("act"):
        case "claim" | "take_over" as name:
            made = triage.claim(approval.pk, actor=actor, seen=seen, take_over=name == "take_over")
            back = {"act": "assign", "to": undo_to.user_id} if undo_to and name == "take_over" else {"act": "release"}
            return Told(_("Claimed by you: %(action)s") % what, {**back, "seen": made.revision})
        case "release":
            made = triage.release(approval.pk, actor=actor, seen=seen)
            back = {"act": "assign", "to": undo_to.user_id} if undo_to else {"act": "claim"}
            return Told(_("Given up: %(action)s") % what, {**back, "seen": made.revision})
        case "assign":
            made = triage.assign(approval.pk, data.get("to", ""), actor=actor, seen=seen)
            back = {"act": "assign", "to": undo_to.user_id} if undo_to else {"act": "release"}
            whom = made.user.label if made.user else ""
            return Told(_("Assigned to %(name)s: %(action)s") % {**what, "name": whom}, {**back, "seen": made.revision})
        case "snooze":
            if data.get("for") not in SPANS:
                raise Invalid({"until": [_("Choose for how long.")]})
            triage.snooze(approval.pk, timezone.now() + SPANS[data["for"]][0], actor=actor)
            return Told(_("Put off for you: %(action)s") % what, {"act": "wake"})
        case "wake":
            triage.wake(approval.pk, actor=actor)
            return Told(_("Back in your list: %(action)s") % what)
    raise Invalid({"": [_("No such act.")]})


def _visible(request: HttpRequest, approval_id: UUID) -> tuple[User, Approval]:
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    return request.user, approval
