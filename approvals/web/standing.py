"""Standing approvals in the browser: made from a decision, listed with what they have approved, revoked by one click."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.people.models import User
from approvals import access, standing, successors
from approvals.errors import ApprovalError, Invalid, NotAllowed, NotFound
from approvals.models import Approval, StandingApproval, StandingUse
from approvals.policy.measure import number_at
from approvals.web import display
from approvals.web.fragments import load
from approvals.web.reading import words_of
from approvals.web.signed_in import signed_in

PAGE = 100  # standing approvals on the page, the newest first
MOST_SHOWN = 5  # of the approvals that each has given

ANY, EXACTLY, AT_MOST = "any", "exactly", "at_most"


class StandingForm(forms.Form):
    """What of a decision is to hold for calls to come. Each argument: as it was, at most so much, or anything."""

    reason = forms.CharField(
        label=gettext_lazy("Why"), max_length=300, help_text=gettext_lazy("Stands beside each approval that this gives.")
    )
    days = forms.IntegerField(label=gettext_lazy("For how many days"), min_value=1, max_value=standing.MOST_DAYS, initial=7)
    most_uses = forms.IntegerField(
        label=gettext_lazy("For how many calls"), min_value=1, max_value=standing.MOST_USES, initial=10
    )
    budget = forms.DecimalField(
        label=gettext_lazy("Budget of all of them together"), min_value=Decimal(0), max_digits=20, decimal_places=4,
        required=False, help_text=gettext_lazy("Empty: none."),
    )  # fmt: skip
    budget_at = forms.ChoiceField(label=gettext_lazy("The budget counts"), required=False)

    def __init__(self, approval: Approval, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain = standing.args_of(approval)
        self.shown = {argument.name: argument for argument in display.arguments(approval)}
        masked = {name for name in plain if standing.is_masked(name, plain[name])}  # nobody bounds what they do not see
        numbers = [name for name in plain if name not in masked and number_at(plain, (name,)) is not None]
        for name, argument in self.shown.items():
            choices = [(ANY, _("anything"))]
            if name not in masked:
                choices.append((EXACTLY, _("exactly this")))
            if name in numbers:
                choices.append((AT_MOST, _("at most")))
            self.fields[f"bound-{name}"] = forms.ChoiceField(
                label=argument.label, choices=choices, initial=choices[-1][0] if len(choices) > 1 else ANY
            )
            if name in numbers:
                self.fields[f"most-{name}"] = forms.DecimalField(
                    label=_("%(name)s at most") % {"name": argument.label}, required=False, max_digits=20, decimal_places=4,
                    initial=number_at(plain, (name,)),
                )  # fmt: skip
        self.fields["budget_at"].choices = [(name, self.shown[name].label) for name in numbers]  # type: ignore[attr-defined]
        if not numbers:
            del self.fields["budget"], self.fields["budget_at"]

    def lines(self) -> list[dict[str, Any]]:
        """The arguments as the page shows them."""
        return [
            {
                "argument": argument,
                "bound": self[f"bound-{name}"],
                "most": self[f"most-{name}"] if f"most-{name}" in self.fields else None,
            }
            for name, argument in self.shown.items()
        ]

    def wanted(self) -> standing.Wanted:
        """What a valid form says."""
        data = self.cleaned_data
        bound = {name: data[f"bound-{name}"] for name in self.shown}
        at_most = {name: data[f"most-{name}"] for name, how in bound.items() if how == AT_MOST}
        return standing.Wanted(
            reason=data["reason"], days=data["days"], most_uses=data["most_uses"],
            exactly=frozenset(name for name, how in bound.items() if how == EXACTLY), at_most=at_most,
            budget=data.get("budget"), budget_at=data.get("budget_at", ""),
        )  # fmt: skip

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in self.shown:
            bound, most = self.cleaned_data.get(f"bound-{name}"), f"most-{name}"
            if bound == AT_MOST and self.cleaned_data.get(most) is None and most not in self.errors:
                self.add_error(most, _("Say how much."))
        return cleaned

    def refuse(self, error: Invalid) -> None:
        """Put what the verb found at the fields of this form."""
        for path, texts in error.errors.items():
            name = path.removeprefix("arg-")
            field = f"bound-{name}" if path.startswith("arg-") else path
            self.add_error(field if field in self.fields else None, list(texts))


@dataclass(frozen=True, slots=True)
class Line:
    """A standing approval on the page. ``bounds`` says in words which calls it is for."""

    row: StandingApproval
    bounds: list[str]
    uses: list[dict[str, Any]]
    may_revoke: bool
    is_mine_to_take: bool


@signed_in
@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """One's own standing approvals and those of one's teams: in force, and ended ones."""
    user = _user(request)
    rows = StandingApproval.objects.visible_to(user).select_related("owner", "team", "offered_to")
    shown = list(rows[:PAGE])
    used = _used(shown)
    lines = [
        Line(
            row, bounds_of(row), used[row.pk], may_revoke=row.is_open and standing.may_revoke(user, row),
            is_mine_to_take=row.is_offered and row.offered_to_id == user.pk,
        )
        for row in shown
    ]  # fmt: skip
    context = {
        "offered": [line for line in lines if line.row.is_offered],
        "in_force": [line for line in lines if line.row.is_in_force],
        "ended": [line for line in lines if not line.row.is_open],
        "is_cut": rows.count() > PAGE, "most": PAGE,
    }  # fmt: skip
    return render(request, "approvals/standing.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def make(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Approve calls like this one in advance."""
    user, approval = _user(request), load(approval_id)
    if approval is None or not access.may_see(user, approval):
        raise Http404
    why_not = standing.why_not(user, approval)
    form = StandingForm(approval, request.POST or None) if why_not is None else None
    status = HTTPStatus.OK
    if request.method == "POST":
        status = HTTPStatus.FORBIDDEN if form is None else HTTPStatus.UNPROCESSABLE_ENTITY
        if form is not None and form.is_valid():
            try:
                standing.make(approval.pk, form.wanted(), actor=Actor.from_request(request))
            except Invalid as error:
                form.refuse(error)
            except NotAllowed as error:
                why_not, form, status = str(error), None, HTTPStatus(error.status)
            else:
                messages.success(request, _("Calls like this one are approved from now on, in your name."))
                return redirect("approvals:standing")
    context = {"approval": approval, "sentence": display.sentence(approval), "form": form, "why_not": why_not}
    return render(request, "approvals/standing_new.html", context, status=status)


@signed_in
@require_POST
def revoke(request: HttpRequest, standing_id: UUID) -> HttpResponse:
    """Revoke one. Twice is once."""
    try:
        done = standing.revoke(standing_id, actor=Actor.from_request(request))
    except NotFound as error:
        raise Http404 from error
    except ApprovalError as error:
        messages.error(request, str(error))
        return redirect("approvals:standing")
    messages.success(request, _("Revoked: people decide about each call again.") if done else _("It was revoked already."))
    return redirect("approvals:standing")


@signed_in
@require_POST
def take_over(request: HttpRequest, standing_id: UUID) -> HttpResponse:
    """Make one's own what somebody handed over who left. Twice is once."""
    try:
        mine = successors.take_over(standing_id, actor=Actor.from_request(request))
    except NotFound as error:
        raise Http404 from error
    except ApprovalError as error:
        messages.error(request, str(error))
    else:
        text = _("Taken over: calls like these are approved from now on, in your name.")
        messages.success(request, text if mine else _("You had taken it over already."))
    return redirect("approvals:standing")


def bounds_of(row: StandingApproval) -> list[str]:
    """Which calls it is for, one part after the other, in words."""
    exact = [_("%(name)s is %(value)s") % {"name": name, "value": display.as_text(item)} for name, item in _shown(row).items()]
    return [*exact, *(words_of(one["path"], one["op"], _masked(one["path"], one["value"])) for one in row.conditions)]


def _masked(path: str, value: Any) -> Any:
    return masking.value(value, path.rpartition(".")[2])


def _used(rows: list[StandingApproval]) -> dict[UUID, list[dict[str, Any]]]:
    """The last approvals that each of them has given, the newest first. One query."""
    number = Window(RowNumber(), partition_by="standing", order_by=["-at"])
    last = StandingUse.objects.filter(standing__in=rows).annotate(number=number).filter(number__lte=MOST_SHOWN)
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for use in last.select_related("approval").order_by("-at"):
        found[use.standing_id].append({"id": use.approval_id, "sentence": display.sentence(use.approval), "at": use.at})
    return found


def _shown(row: StandingApproval) -> dict[str, Any]:
    shown: dict[str, Any] = masking.value(decode(row.args))
    return shown


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user
