"""Tools: their labels belong to admins, all else to the agent's code."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import Alarm, TeamScoped, administered, alarming
from agentdesk.audit.record import Actor, record
from approvals import breakers, tools
from approvals.admin.switching import switch_page
from approvals.models import Tool
from approvals.policy.fences import label_problems

LABELS = [
    "effect", "egress", "risk", "idempotent", "dry_run", "undo_tool", "undo_seconds", "cost", "currency",
    "timeout_seconds", "hold_seconds",
    "retries",
]  # fmt: skip
BREAKER = ["breaker_failures", "breaker_seconds"]
LABELS += BREAKER
FENCES = ["results", "marks_results", "data", "scope_of", "recipients_at", "recipients", "beyond"]
FROM_CODE = ["agent", "name", "team", "description", "schema", "schema_version", "labels_from", "first_seen_at", "updated_at"]
MOST_ALARMS = 50  # of each kind
SWITCH = ["enabled", "switched_at", "switched_by_label", "switched_because"]


class Reviewed(admin.SimpleListFilter):
    """Changed since an admin reviewed it, or not."""

    title = _("changed since reviewed")
    parameter_name = "changed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() not in ("yes", "no"):
            return queryset
        changed = tools.changed(queryset)
        return changed if self.value() == "yes" else queryset.exclude(pk__in=changed)


class ToolForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "beyond" in self.fields:
            self.fields["beyond"].required = False  # left out, it stays as it is

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = [self.cleaned_data.get(name) for name in ("scope_of", "recipients_at", "recipients")]
        for name, text in label_problems(given[0] or {}, *(one or [] for one in given[1:])).items():
            self.add_error(name if name in self.fields else None, text)
        if (undo := self.cleaned_data.get("undo_tool")) and undo != self.instance.undo_tool:
            others = Tool.objects.filter(agent=self.instance.agent, name=undo).exclude(pk=self.instance.pk)
            if not others.exists():
                self.add_error("undo_tool", _("This agent has no other tool of that name."))
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook between the fields and the model's own checks
        for name, empty in (("scope_of", {}), ("recipients_at", []), ("recipients", [])):
            if not getattr(self.instance, name):  # an emptied field
                setattr(self.instance, name, empty)


@admin.register(Tool)
class ToolAdmin(TeamScoped):
    form = ToolForm
    list_display = ["name", "agent", "enabled", "effect", "egress", "risk", "labels_from", "is_as_reviewed", "circuit"]
    list_filter = ["enabled", "effect", "risk", "labels_from", Reviewed]
    search_fields = ["name", "agent"]
    readonly_fields = [*FROM_CODE, *SWITCH, "circuit"]
    list_select_related = ["breaker"]
    fieldsets = [
        (None, {"fields": ["name", "agent", "team", *(name for name in LABELS if name not in BREAKER)]}),
        (_("What it returns, whom it is about, and whom it reaches"), {"fields": [*FENCES]}),
        (_("Circuit breaker"), {"fields": [*BREAKER, "circuit"]}),
        (_("Switch"), {"fields": [*SWITCH]}),
        (_("From its code"), {"fields": ["description", "schema", "schema_version", "labels_from"]}),
        (_("Seen"), {"fields": ["first_seen_at", "updated_at"]}),
    ]

    @admin.display(boolean=True, description=_("as reviewed"))
    def is_as_reviewed(self, tool: Tool) -> bool:
        return not tool.is_changed

    @admin.display(description=_("circuit"))
    def circuit(self, tool: Tool) -> str:
        """How its circuit breaker stands, for all workers."""
        return breakers.told(tool)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a tool comes with its agent

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it would come back with the next load; switch it off instead

    def get_urls(self) -> Any:
        accept = self.admin_site.admin_view(self.accept)
        switch = self.admin_site.admin_view(self.switch)
        return [
            path("<uuid:tool_id>/accept/", accept, name="approvals_tool_accept"),
            path("<uuid:tool_id>/switch/", switch, name="approvals_tool_switch"),
            *super().get_urls(),
        ]

    def switch(self, request: HttpRequest, tool_id: UUID) -> HttpResponse:
        return switch_page(self, request, get_object_or_404(Tool, pk=tool_id))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """With what changed since an admin reviewed the tool."""
        tool = self.get_object(request, object_id)
        if tool is not None and self.owns(request, tool) and tool.is_changed:
            extra_context = {**(extra_context or {}), "changed": tool, "differences": tools.differences(tool)}
        return super().change_view(request, object_id, form_url, extra_context)

    def accept(self, request: HttpRequest, tool_id: UUID) -> HttpResponse:
        """POST: the tool, as it was shown, is the one that rules speak about."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        tool = get_object_or_404(Tool, pk=tool_id)
        if not self.has_change_permission(request, tool):
            raise PermissionDenied
        try:
            accepted = tools.accept(tool_id, request.POST.get("version", ""), Actor.from_request(request, "admin"))
        except tools.ChangedAgain as error:
            messages.error(request, str(error))
        else:
            told = gettext("Accepted: rules may allow this tool again.") if accepted else gettext("This was accepted already.")
            messages.success(request, told)
        return HttpResponseRedirect(reverse("admin:approvals_tool_change", args=[tool_id]))

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Tool, form: Any, change: bool) -> None:
        """Write the labels only: a worker may be writing the rest. From now on they are the admin's, even when none changed:
        somebody has looked at them."""
        before = Tool.objects.select_for_update().values(*LABELS, *FENCES, "labels_from").get(pk=obj.pk)
        obj.labels_from = "admin"
        obj.save(update_fields=[*LABELS, *FENCES, "labels_from", "updated_at"])
        after = Tool.objects.values(*LABELS, *FENCES, "labels_from").get(pk=obj.pk)
        changed = [name for name in after if before[name] != after[name]]
        if changed:
            record(
                "tool.changed", actor=Actor.from_request(request, "admin"), object_type="tool", object_id=obj.pk,
                object_label=str(obj), team_id=obj.team_id, before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )  # fmt: skip


@alarming
def alarms(request: HttpRequest) -> list[Alarm]:
    """Tools that were used without anybody having registered them, and those that changed since they were reviewed."""
    teams = administered(request)
    mine = Tool.objects.all() if teams is None else Tool.objects.filter(team__in=teams)
    found = [
        (tool, gettext("%(tool)s was used, and nobody had registered it. People are asked until it is labelled."))
        for tool in tools.unknown(mine)[:MOST_ALARMS]
    ]
    found += [
        (tool, gettext("%(tool)s changed since it was reviewed. People are asked until it is accepted."))
        for tool in tools.changed(mine)[:MOST_ALARMS]
    ]
    found += [
        (tool, gettext("The circuit of %(tool)s is open: it failed several times in a row, and its calls are refused."))
        for tool in breakers.troubled(mine)[:MOST_ALARMS]
    ]
    return [Alarm(text % {"tool": tool}, reverse("admin:approvals_tool_change", args=[tool.pk])) for tool, text in found]


def tools_of(request: HttpRequest) -> list[Tool]:
    """The tools of the teams that the user administers."""
    teams = administered(request)
    rows = Tool.objects.only("agent", "name", "team", "effect", "schema", "results")
    return list(rows if teams is None else rows.filter(team__in=teams))
