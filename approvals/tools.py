"""Tools as their code tells of them: written down when they are met, followed when they change, accepted by admins.

Schema and description follow the code. Labels are filled once, from the tool's metadata, and are the admin's from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.digests import digest, encode
from approvals.models import Tool
from approvals.models.tools import Effect, Results
from approvals.policy.fences import Bounds
from approvals.states import Risk


class ChangedAgain(Exception):
    """The tool is not the one that was shown: it changed once more."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a tool's own code says of it. ``schema`` is plain, None where nothing is known of it; ``labels``: its metadata."""

    name: str
    description: str
    schema: Mapping[str, Any] | None
    labels: Mapping[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """As the columns of its row."""
        version = "" if self.schema is None else digest(self.schema)
        return {"description": self.description, "schema": encode(self.schema or {}), "schema_version": version}


def write(agent: str, team_id: UUID, code: Code) -> Tool:
    """Bring the tool's row up to date with the agent's code, as a sync has loaded it."""
    known = {"team_id": team_id, **code.fields, **checked(code.labels), "labels_from": "code"}
    tool, created = Tool.objects.get_or_create(agent=agent, name=code.name, defaults=known)
    if created:
        _enter("tool.registered", tool, Actor.desk(), after={"schema": tool.schema_version})
        return tool
    _follow(tool, code.fields)
    if tool.labels_from == "run":
        known = {**checked(code.labels), "labels_from": "code"}
        if Tool.objects.filter(pk=tool.pk, labels_from="run").update(**known):
            _enter("tool.registered", tool, Actor.desk(), before={"labels_from": "run"}, after=known)
    return tool


def seen(agent: str, team_id: UUID, code: Code, run_id: UUID | None = None) -> Tool:
    """The row of a tool that an agent is about to use, with schema and description as they are in this process.

    A tool that nobody has registered gets its row now, as an alarm: until an admin looks at it, people are asked. One that is
    neither what its row says nor what was accepted is followed; a worker with the accepted code, beside others with newer code,
    writes nothing.
    """
    fields = code.fields
    known = {"team_id": team_id, **fields, **checked(code.labels), "labels_from": "run"}
    tool, created = Tool.objects.select_related("breaker").get_or_create(agent=agent, name=code.name, defaults=known)
    if created:
        alarm = "A tool was used that nobody had registered."
        _enter("tool.unknown", tool, Actor.desk(), run_id=run_id, after={"alarm": alarm, "schema": tool.schema_version})
        return tool
    now = (fields["schema_version"], fields["description"])
    if now != (tool.schema_version, tool.description):
        if now != (tool.accepted_schema_version, tool.accepted_description):
            _follow(tool, fields, run_id)
        for name, value in fields.items():
            setattr(tool, name, value)
    return tool


def _follow(tool: Tool, code: Mapping[str, Any], run_id: UUID | None = None) -> None:
    before = {"schema_version": tool.schema_version, "description": tool.description}
    if all(before[name] == code[name] for name in before):
        return
    # Of several workers that meet the change at once, one writes it down.
    if Tool.objects.filter(pk=tool.pk, **before).update(**code, updated_at=timezone.now()):
        _enter(
            "tool.changed", tool, Actor.desk(), run_id=run_id, before={"schema": tool.schema_version},
            after={"schema": code["schema_version"], "description_changed": tool.description != code["description"]},
        )  # fmt: skip


def changed(tools: QuerySet[Tool]) -> QuerySet[Tool]:
    """Those of ``tools`` that changed since an admin reviewed them."""
    same = Q(schema_version=F("accepted_schema_version"), description=F("accepted_description"))
    return tools.exclude(same)


def unknown(tools: QuerySet[Tool]) -> QuerySet[Tool]:
    """Those of ``tools`` that were seen in use, and that no code and no admin has labelled."""
    return tools.filter(labels_from="run")


@transaction.atomic
def accept(tool_id: UUID, version: str, actor: Actor) -> bool:
    """Accept schema and description as they are, for rules to speak about again. ``version``: the ``code_version`` that was on
    the screen. False: that was accepted already. Raises ChangedAgain, and Tool.DoesNotExist."""
    tool = Tool.objects.select_for_update().get(pk=tool_id)
    if tool.code_version != version:
        raise ChangedAgain(_("The tool changed again since you opened this page. Look at it once more."))
    if not tool.is_changed:
        return False
    before = {"schema": tool.accepted_schema_version, "description": tool.accepted_description}
    tool.accepted_schema, tool.accepted_schema_version = tool.schema, tool.schema_version
    tool.accepted_description = tool.description
    tool.accepted_at, tool.accepted_by_label = timezone.now(), actor.label[:200]
    tool.save(update_fields=[
        "accepted_schema", "accepted_schema_version", "accepted_description", "accepted_at", "accepted_by_label", "updated_at",
    ])  # fmt: skip
    after = {"schema": tool.schema_version, "description": tool.description}
    _enter("tool.accepted", tool, actor, before=before, after=after)
    return True


def differences(tool: Tool) -> list[tuple[str, Any, Any]]:
    """What changed since it was reviewed: ``(part, accepted, now)``, with None for a part that is not there."""
    before = {"description": tool.accepted_description, **_leaves(tool.accepted_schema, "schema")}
    after = {"description": tool.description, **_leaves(tool.schema, "schema")}
    return [
        (part, before.get(part), after.get(part))
        for part in dict.fromkeys([*before, *after])
        if part not in before or part not in after or digest(before[part]) != digest(after[part])
    ]


def _leaves(value: Any, path: str) -> dict[str, Any]:
    """The values inside ``value`` by their dotted paths."""
    if isinstance(value, Mapping) and value:
        return {key: leaf for name in value for key, leaf in _leaves(value[name], f"{path}.{name}").items()}
    return {path: value}


def bounds_of(tool: Tool, **run: Any) -> Bounds:
    """The fences around a call of this tool. ``run``: what its run has to do with them."""
    return Bounds(
        ties=tool.scope_of,
        recipients_at=tool.recipients_at,
        recipients=tool.recipients,
        beyond=tool.beyond,
        data=tool.data,
        **run,
    )


def checked(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Labels that a tool's metadata may set; a value nobody knows is left at the careful default."""
    known: dict[str, Any] = {key: bool(labels[key]) for key in ("egress", "idempotent", "dry_run") if key in labels}
    if labels.get("results") in Results.values:
        known["results"] = labels["results"]
    if isinstance(undo := labels.get("undo_tool"), str) and len(undo) <= 200:
        known["undo_tool"] = undo
    if isinstance(data := labels.get("data"), str) and len(data) <= 60:
        known["data"] = data
    if labels.get("effect") in Effect.values:
        known["effect"] = labels["effect"]
    if labels.get("risk") in Risk.values:
        known["risk"] = labels["risk"]
    return known


def _enter(action: str, tool: Tool, actor: Actor, *, run_id: UUID | None = None, before: Any = None, after: Any = None) -> None:
    record(
        action, actor=actor, object_type="tool", object_id=tool.pk, object_label=str(tool), team_id=tool.team_id,
        run_id=run_id, before=before, after=after,
    )  # fmt: skip
