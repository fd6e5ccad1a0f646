"""Absences in Django admin: a team's admin enters them for members and ends them; nobody changes what was entered."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import ReadOnly, administered
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.absence import Wanted, cancel, enter, locked, problems
from agentdesk.people.models import Absence, Membership, Role, User


class AbsenceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What the verb would refuse is told at its field."""

    class Meta:
        model = Absence
        fields = ("user", "begins_on", "ends_on", "stand_in")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            for name, texts in problems(*locked(given["user"], self.wanted())).items():
                self.add_error(name, list(texts))
        return given

    def wanted(self) -> Wanted:
        """What a valid form says."""
        return Wanted(**{name: self.cleaned_data[name] for name in ("begins_on", "ends_on", "stand_in")})


@admin.register(Absence)
class AbsenceAdmin(ReadOnly):
    form = AbsenceForm
    list_display = ("user", "begins_on", "ends_on", "stand_in", "made_by", "cancelled_at")
    list_select_related = ("user", "stand_in", "made_by")
    list_filter = ("begins_on",)
    search_fields = ("user__username", "user__first_name", "user__last_name")
    actions = ("end",)

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Absence]":
        teams = administered(request)
        found = Absence.objects.all()
        return found if teams is None else found.filter(user__in=Membership.objects.filter(team__in=teams).values("user"))

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        return self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        teams = administered(request)
        people = User.objects.filter(is_active=True, kind=User.Kind.PERSON).order_by("username")
        roles = Membership.objects.filter(role=Role.REVIEWER) if db_field.name == "stand_in" else Membership.objects.all()
        if teams is not None:
            roles = roles.filter(team__in=teams)
        kwargs["queryset"] = people.filter(pk__in=roles.values("user"))
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        widget: Any = field.widget
        widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        return field

    def save_model(self, request: HttpRequest, obj: Absence, form: Any, change: bool) -> None:
        actor = Actor.from_request(request, AuditEntry.Via.ADMIN)
        obj.pk = enter(form.cleaned_data["user"], form.wanted(), actor=actor).pk

    @admin.action(description=_("End the selected absences now"), permissions=["view"])
    def end(self, request: HttpRequest, rows: "models.QuerySet[Absence]") -> None:
        mine = [row for row in rows if self.owns(request, row)]
        done = sum(cancel(row.pk, actor=Actor.from_request(request, AuditEntry.Via.ADMIN)) for row in mine)
        messages.success(request, gettext("%(n)d ended.") % {"n": done})
