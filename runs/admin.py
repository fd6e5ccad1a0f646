"""Agents, as their teams' admins set them; runs, steps and tool calls for reading."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from jsonschema import Draft202012Validator, SchemaError

from agentdesk.admin_site import ReadOnly, TeamScoped, administered
from agentdesk.audit.record import Actor, record
from agentdesk.people.models import User
from approvals.admin.switching import switch_page
from approvals.admin.tools import SWITCH
from approvals.models import Tool
from runs import access, given
from runs.errors import RunError
from runs.limits import LIMITS, MOST, field_of, stored
from runs.models import Agent, ModelPrice, PinnedAnswer, Run, Step, ToolCall

EDITABLE = [
    "name", "description", "team", "owner", "dry_run", "limits", "partial_answers", "config", "context",
    "input_untrusted", "outside_scope",
]  # fmt: skip
PRICED = ["provider", "model", "input_price", "output_price", "cached_price", "currency", "valid_from", "note"]


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The limits as numbers, each with a name; empty means the desk's default."""

    supersteps = field_of("supersteps", MOST)
    model_calls = field_of("model_calls", MOST)
    tool_calls = field_of("tool_calls", MOST)
    identical_calls = field_of("identical_calls", MOST)
    tokens = field_of("tokens", MOST)
    cost = field_of("cost", MOST)
    output_chars = field_of("output_chars", MOST)
    active_seconds = field_of("active_seconds", MOST)
    wall_seconds = field_of("wall_seconds", MOST)
    concurrent_runs = field_of("concurrent_runs", MOST)
    pending_approvals = field_of("pending_approvals", MOST)

    class Meta:
        model = Agent
        fields = ["name", "description", "team", "owner", "dry_run", "partial_answers", "config", "context",
                  "input_untrusted", "outside_scope"]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "outside_scope" in self.fields:
            self.fields["outside_scope"].required = False  # left out, it stays as it is
        for name in LIMITS:
            self.initial[name] = self.instance.limits.get(name)
            default = {"default": stored(settings.RUN_LIMITS[name])}
            self.fields[name].help_text = gettext("The desk's default: %(default)s.") % default

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        try:
            given.check(self.cleaned_data.get("config") or {}, self.cleaned_data.get("context") or {})
        except RunError as error:
            self.add_error("config", str(error))
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook between the fields and the model's own checks
        given = {name: stored(self.cleaned_data[name]) for name in LIMITS if self.cleaned_data.get(name)}
        others = {name: value for name, value in self.instance.limits.items() if name not in LIMITS}
        self.instance.limits = {**others, **given}


@admin.register(Agent)
class AgentAdmin(TeamScoped):
    form = AgentForm
    list_display = ["name", "slug", "team", "enabled", "code_version", "loaded_at", "is_loaded"]
    list_filter = ["enabled", "dry_run"]
    list_select_related = ["team"]
    search_fields = ["name", "slug"]
    readonly_fields = [*SWITCH, "slug", "manifest", "graph", "code_version", "loaded_at", "load_error"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "description", "team", "owner", "partial_answers"]}),
        (_("What it reads and what its runs are about"), {"fields": ["input_untrusted", "outside_scope"]}),
        (_("Switch"), {"fields": ["dry_run", *SWITCH]}),
        (_("Limits of its runs; empty: the desk's default"), {"fields": list(LIMITS)}),
        (_("Given to its graph at each run"), {"fields": ["config", "context"]}),
        (_("From its code"), {"fields": ["manifest", "graph", "code_version", "loaded_at", "load_error"]}),
    ]

    def get_urls(self) -> Any:
        switch = self.admin_site.admin_view(self.switch)
        return [path("<uuid:agent_id>/switch/", switch, name="runs_agent_switch"), *super().get_urls()]

    def switch(self, request: HttpRequest, agent_id: UUID) -> HttpResponse:
        return switch_page(self, request, get_object_or_404(Agent, pk=agent_id))

    @admin.display(boolean=True, description=_("loaded"))
    def is_loaded(self, agent: Agent) -> bool:
        return not agent.load_error

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an agent comes from a langgraph.json

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its runs refer to it; switch it off instead

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        """Write the editable fields only: a worker may be writing the others. The agent's tools go with it to its team."""
        before = Agent.objects.select_for_update().values(*EDITABLE).get(pk=obj.pk)
        obj.save(update_fields=EDITABLE)
        Tool.objects.filter(agent=obj.slug).exclude(team=obj.team_id).update(team=obj.team_id)
        after = Agent.objects.values(*EDITABLE).get(pk=obj.pk)
        changed = [name for name in EDITABLE if before[name] != after[name]]
        if changed:
            record(
                "agent.changed", actor=Actor.from_request(request, "admin"), object_type="agent", object_id=obj.pk,
                object_label=str(obj), team_id=obj.team_id, before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )  # fmt: skip


class PinnedAnswerForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = PinnedAnswer
        fields = ["agent", "node", "schema", "note"]
        help_texts: ClassVar = {
            "node": _("The node that asks; in a subgraph its path, such as research/ask. Empty: every node without its own.")
        }

    def clean_schema(self) -> Any:
        schema = self.cleaned_data["schema"]
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise forms.ValidationError(_("This is no JSON Schema: %(what)s"), params={"what": error.message}) from error
        if not isinstance(schema, dict):
            raise forms.ValidationError(_("Write the schema as a JSON object."))
        return schema


@admin.register(PinnedAnswer)
class PinnedAnswerAdmin(TeamScoped):
    """The form of answers to an agent's own questions, where their payload does not tell."""

    form = PinnedAnswerForm
    team_path = "agent__team"
    list_display = ["agent", "node", "note"]
    list_select_related = ["agent"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        teams = administered(request)
        if db_field.name == "agent" and teams is not None:
            kwargs["queryset"] = Agent.objects.filter(team__in=teams)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: PinnedAnswer, form: Any, change: bool) -> None:
        before = PinnedAnswer.objects.values("node", "schema", "note").filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        self._tell(request, obj, before, {"node": obj.node, "schema": obj.schema, "note": obj.note})

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: PinnedAnswer) -> None:
        self._tell(request, obj, {"node": obj.node, "schema": obj.schema, "note": obj.note}, None)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _tell(self, request: HttpRequest, obj: PinnedAnswer, before: Any, after: Any) -> None:
        record(
            "agent.changed", actor=Actor.from_request(request, "admin"), object_type="agent", object_id=obj.agent_id,
            object_label=str(obj.agent), team_id=obj.agent.team_id, before={"pinned_answer": before},
            after={"pinned_answer": after},
        )  # fmt: skip


@admin.register(ModelPrice)
class ModelPriceAdmin(TeamScoped):
    """What models cost. It limits the runs of every team, so only superusers change it."""

    list_display = [*PRICED]
    list_filter = ["provider", "currency"]
    search_fields = ["provider", "model", "note"]
    fields = [*PRICED]

    def get_queryset(self, request: HttpRequest) -> Any:
        return ModelPrice.objects.all()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return administered(request) is None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return administered(request) is None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return administered(request) is None

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        before = ModelPrice.objects.filter(pk=obj.pk).values(*PRICED).first()
        super().save_model(request, obj, form, change)
        after = ModelPrice.objects.values(*PRICED).get(pk=obj.pk)
        if before != after:
            self._tell(request, obj, "price.changed" if change else "price.added", before, after)

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: ModelPrice) -> None:
        self._tell(request, obj, "price.removed", {name: getattr(obj, name) for name in PRICED}, None)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _tell(self, request: HttpRequest, obj: ModelPrice, action: str, before: Any, after: Any) -> None:
        record(
            action, actor=Actor.from_request(request, "admin"), object_type="price", object_id=obj.pk, object_label=str(obj),
            before=before, after=after,
        )  # fmt: skip


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ["id", "title", "agent", "team", "status", "requester_label", "created_at", "finished_at"]
    list_filter = ["status", "dry_run"]
    list_select_related = ["agent", "team"]
    search_fields = ["title", "agent__slug"]
    ordering = ["-pk"]
    show_full_result_count = False

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """A traceback may hold what only operators of the team are to read."""
        user = request.user
        return [] if obj and isinstance(user, User) and access.may_see_traceback(user, obj) else ["traceback"]

    def view_on_site(self, obj: Run) -> str:
        return reverse("runs:detail", args=[obj.pk])


class PartOfRun(ReadOnly):
    team_path = "run__team"
    list_select_related = ["run"]
    ordering = ["-pk"]
    show_full_result_count = False


@admin.register(Step)
class StepAdmin(PartOfRun):
    list_display = ["id", "run", "kind", "name", "status", "attempt", "started_at", "ended_at"]
    list_filter = ["kind", "status"]
    search_fields = ["name"]


@admin.register(ToolCall)
class ToolCallAdmin(PartOfRun):
    list_display = ["id", "run", "tool", "status", "verdict", "proposed_at", "ended_at"]
    list_filter = ["status", "verdict"]
    search_fields = ["tool"]
