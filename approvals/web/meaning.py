"""What changed arguments mean under the rules, told while they are typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from agentdesk.people.models import Team, User
from approvals import access
from approvals.drafts import required_for
from approvals.errors import InvalidAnswer, NotAllowed
from approvals.models import Approval
from approvals.policy.requirements import Requirements, freeze
from approvals.votes import args_from
from approvals.web import friction
from approvals.web.forms import UNCHANGED, ArgumentsForm, readable
from approvals.web.fragments import load
from approvals.web.panel import modify_form
from approvals.web.signed_in import signed_in


@dataclass(frozen=True, slots=True)
class Meaning:
    """``denied``: why nobody may approve it so. ``lines``: what it needs that it did not need before. ``read``: how the numbers
    that were changed are understood."""

    denied: str = ""
    lines: list[str] = field(default_factory=list)
    needs_reason: bool = False
    is_known: bool = True  # False: the form cannot be read yet
    read: list[str] = field(default_factory=list)


@signed_in
@require_POST
def meaning(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """The form as it stands decides nothing: it is judged as the decision would judge it."""
    approval = load(approval_id)
    if approval is None or not isinstance(request.user, User) or not access.may_see(request.user, approval):
        raise Http404
    if not approval.is_pending or access.why_not(request.user, approval) is not None:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)  # the panel says it, and is on its way
    # At high risk the reason is on the checklist anyway; below, the form's own label says whether there has to be one.
    context = {"meaning": meaning_of(request.POST, approval), "wants_reason": not friction.is_grave(approval)}
    return render(request, "approvals/_meaning.html", context)


def meaning_of(data: Mapping[str, str], approval: Approval) -> Meaning:
    """What approving with the arguments in the form would need beyond what is needed now."""
    form = modify_form(approval, data)
    if form is None or not form.is_valid():
        return Meaning(is_known=False)
    read = _numbers(form)
    try:
        needed = required_for(approval, args_from(approval, form.cleaned_args()))
    except InvalidAnswer:
        return Meaning(is_known=False, read=read)  # said at its field, once it is sent
    except NotAllowed as refused:
        return Meaning(denied=str(refused), needs_reason=friction.needs_reason(approval), read=read)
    lines = _more(freeze(approval.requirements, approval.team_id), needed)
    return Meaning(lines=lines, needs_reason=needed["message_required"], read=read)


def _numbers(form: ArgumentsForm) -> list[str]:
    """The changed numbers as the page's language writes them: what was typed as programs write it is confirmed."""
    values = ((slot, form.cleaned_data.get(name, UNCHANGED)) for name, slot in form.slots.items())
    shown = [(slot.label, readable(value, slot.control)) for slot, value in values if value is not UNCHANGED]
    return [_("%(label)s is read as %(number)s.") % {"label": label, "number": number} for label, number in shown if number]


def _more(now: Requirements, then: Requirements) -> list[str]:
    lines: list[str] = []
    if then["count"] > now["count"]:
        text = ngettext(
            "With these arguments %(then)d approval is needed instead of %(now)d.",
            "With these arguments %(then)d approvals are needed instead of %(now)d.", then["count"],
        )  # fmt: skip
        lines.append(text % {"then": then["count"], "now": now["count"]})
    if further := set(then["teams"]) - set(now["teams"]):
        names = ", ".join(Team.objects.filter(pk__in=further).order_by("name").values_list("name", flat=True))
        lines.append(_("Reviewers of %(teams)s have to agree, too.") % {"teams": names})
    if then["second_factor"] and not now["second_factor"]:
        lines.append(_("Whoever approves it has to confirm with a second factor."))
    if then["message_required"] and not now["message_required"]:
        lines.append(_("A reason has to be given."))
    if now["self_approval"] and not then["self_approval"]:
        lines.append(_("Who asked for it may not approve it any more."))
    return lines
