"""Tools: their labels belong to admins, all else to the agent's code."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import TeamScoped, administered
from agentdesk.audit.record import Actor, record
from approvals.models import Tool

LABELS = ["enabled", "effect", "egress", "risk", "idempotent", "dry_run", "undo_tool", "timeout_seconds"]
FROM_CODE = ["agent", "name", "team", "description", "schema", "schema_version", "labels_from", "first_seen_at", "updated_at"]


@admin.register(Tool)
class ToolAdmin(TeamScoped):
    list_display = ["name", "agent", "enabled", "effect", "egress", "risk", "labels_from"]
    list_filter = ["enabled", "effect", "risk", "labels_from"]
    search_fields = ["name", "agent"]
    readonly_fields = FROM_CODE
    fieldsets = [
        (None, {"fields": ["name", "agent", "team", *LABELS]}),
        (_("From its code"), {"fields": ["description", "schema", "schema_version", "labels_from"]}),
        (_("Seen"), {"fields": ["first_seen_at", "updated_at"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a tool comes with its agent

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it would come back with the next load; switch it off instead

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Tool, form: Any, change: bool) -> None:
        """Write the labels only: a worker may be writing the rest. From now on they are the admin's, even when none changed:
        somebody has looked at them."""
        before = Tool.objects.select_for_update().values(*LABELS, "labels_from").get(pk=obj.pk)
        obj.labels_from = "admin"
        obj.save(update_fields=[*LABELS, "labels_from", "updated_at"])
        after = Tool.objects.values(*LABELS, "labels_from").get(pk=obj.pk)
        changed = [name for name in after if before[name] != after[name]]
        if changed:
            record(
                "tool.changed", actor=Actor.from_request(request, "admin"), object_type="tool", object_id=obj.pk,
                object_label=str(obj), team_id=obj.team_id, before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )  # fmt: skip


def tools_of(request: HttpRequest) -> list[Tool]:
    """The tools of the teams that the user administers."""
    teams = administered(request)
    tools = Tool.objects.only("agent", "name", "team", "effect", "schema")
    return list(tools if teams is None else tools.filter(team__in=teams))
