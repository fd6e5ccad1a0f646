"""Standing approvals in Django admin: made for any reviewer of a team, revoked, never changed or deleted."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import ReadOnly, administered
from agentdesk.audit.record import Actor
from agentdesk.people.models import Role, Team, User
from approvals import standing
from approvals.admin.conditions import ConditionsField
from approvals.models import StandingApproval


class StandingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    request: HttpRequest

    conditions = ConditionsField(
        label=_("Conditions"), required=False, help_text=_("All must hold, as those of a rule that allows.")
    )

    class Meta:
        model = StandingApproval
        fields = [
            "team", "agent", "action", "owner", "args", "conditions", "risk", "reason", "expires_at", "most_uses", "budget_at",
            "budget",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "team" not in self.fields:  # it is only read: there is nothing to choose
            return
        teams = administered(self.request)
        own, owner = self.fields["team"], self.fields["owner"]
        mine = Team.objects.all() if teams is None else Team.objects.filter(pk__in=teams)
        own.queryset = mine  # type: ignore[attr-defined]
        owner.queryset = User.objects.filter(  # type: ignore[attr-defined]
            memberships__role=Role.REVIEWER, memberships__team__in=mine, is_active=True, kind=User.Kind.PERSON
        ).distinct()
        for field in (own, owner):
            widget: Any = field.widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False

    def clean(self) -> dict[str, Any] | None:
        """What the verb would refuse is told at its field."""
        cleaned = super().clean()
        if not self.errors:
            for name, value in self.cleaned_data.items():
                setattr(self.instance, name, value)
            for path, texts in standing.problems_for_admin(self.instance).items():
                self.add_error(path, list(texts))
        return cleaned


@admin.register(StandingApproval)
class StandingApprovalAdmin(ReadOnly):
    form = StandingForm
    list_display = ["action", "agent", "team", "owner", "risk", "uses", "most_uses", "expires_at", "holds"]
    list_filter = ["risk"]
    list_select_related = ["team", "owner"]
    search_fields = ["agent", "action", "reason"]
    actions = ["revoke"]

    @admin.display(description=_("in force"), boolean=True)
    def holds(self, row: StandingApproval) -> bool:
        return row.is_in_force

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made: Any = super().get_form(request, obj, change, **kwargs)
        made.request = request
        return made

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def save_model(self, request: HttpRequest, obj: StandingApproval, form: Any, change: bool) -> None:
        standing.make_by_admin(obj, actor=Actor.from_request(request, "admin"))

    @admin.action(description=_("Revoke the selected standing approvals"), permissions=["view"])
    def revoke(self, request: HttpRequest, rows: "QuerySet[StandingApproval]") -> None:
        """No call uses them from now on."""
        mine = [row for row in rows if self.owns(request, row)]
        done = sum(standing.revoke(row.pk, actor=Actor.from_request(request, "admin")) for row in mine)
        messages.success(request, gettext("%(n)d revoked.") % {"n": done})
