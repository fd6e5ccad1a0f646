"""A person's own page of when they are away."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from agentdesk.audit.record import Actor
from agentdesk.people.absence import Wanted, cancel, enter, is_away, stand_ins
from agentdesk.people.models import Absence, User


class AbsenceForm(forms.Form):
    """From when to when, and who stands in. What the verb refuses is told at these fields."""

    begins_on = forms.DateField(label=gettext_lazy("First day"), widget=forms.DateInput(attrs={"type": "date"}))
    ends_on = forms.DateField(
        label=gettext_lazy("Last day"), widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("You are away until the end of this day."),
    )  # fmt: skip
    stand_in = forms.ModelChoiceField(
        User.objects.none(), label=gettext_lazy("Who stands in"), required=False,
        empty_label=gettext_lazy("nobody: what you look after is given up"),
        help_text=gettext_lazy("Reviewers of your teams. They get what they may decide themselves, and no right of yours."),
    )  # fmt: skip

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        super().__init__(data, label_suffix="")
        self.fields["stand_in"].queryset = stand_ins(user)  # type: ignore[attr-defined]

    def wanted(self) -> Wanted:
        """What a valid form says."""
        return Wanted(**{name: self.cleaned_data[name] for name in ("begins_on", "ends_on", "stand_in")})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def absences(request: HttpRequest) -> HttpResponse:
    """One's absences that are not over, and a form for another one."""
    user = _user(request)
    form = AbsenceForm(user, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            enter(user, form.wanted(), actor=Actor.from_request(request))
        except ValidationError as error:
            if "user" in error.error_dict:  # switched off since the page was opened
                raise PermissionDenied from error
            form.add_error(None, error)
        else:
            messages.success(request, _("Your absence is entered."))
            return redirect("people:absence")
    today = timezone.now().astimezone(user.zone).date()
    planned = Absence.objects.filter(user=user, cancelled_at=None, ends_on__gte=today).select_related("stand_in", "user")
    now_away = is_away(user, timezone.now())
    context = {"form": form, "planned": planned, "zone": user.zone.key, "is_away": now_away, "today": today}
    return render(request, "people/absence.html", context, status=422 if form.is_bound else 200)


@login_required
@require_POST
def end(request: HttpRequest, absence_id: UUID) -> HttpResponse:
    """End an absence now, or take back one that has not begun. Twice is once."""
    absence = Absence.objects.filter(pk=absence_id, user=_user(request)).first()
    if absence is None:
        raise Http404
    if cancel(absence.pk, actor=Actor.from_request(request)):
        messages.success(request, _("You are not away then any more. What was handed on stays where it is."))
    else:
        messages.info(request, _("This absence had ended already."))
    return redirect("people:absence")


def _user(request: HttpRequest) -> User:
    """The signed-in person; programs are never away."""
    if not isinstance(request.user, User) or request.user.is_service:
        raise PermissionDenied
    return request.user
