"""Writing down what agents there are: the rows that everybody but the workers reads."""

from django.db import transaction
from django.utils import timezone

from agentdesk.audit.record import Actor, record
from agentdesk.digests import digest, encode
from agentdesk.people.models import Team
from approvals.models import Tool
from approvals.models.tools import Effect
from approvals.states import Risk
from runs.engine import registry
from runs.engine.registry import LoadedAgent
from runs.models import Agent
from runs.tools.gate import labels_of, schema_of


def sync_agents() -> list[Agent]:
    """Load all agents afresh and bring their rows up to date. An agent seen for the first time belongs to the first team."""
    registry.forget()
    return write_agents()


def write_agents() -> list[Agent]:
    """Bring the rows of all agents up to date with what this process has loaded."""
    return [_write(loaded) for loaded in registry.load_all().values()]


@transaction.atomic
def _write(loaded: LoadedAgent) -> Agent:
    team = Team.objects.order_by("slug").first() or Team.objects.create(slug="desk", name="Desk")
    found = {
        "manifest": loaded.manifest, "graph": loaded.graph_name, "code_version": loaded.version, "load_error": loaded.error,
        "loaded_at": timezone.now(), "input_schema": _input_schema(loaded),
    }  # fmt: skip
    agent, created = Agent.objects.get_or_create(
        slug=loaded.slug, defaults={"name": _name(loaded.slug), "description": loaded.description, "team": team, **found}
    )
    before = {"version": agent.code_version, "error": agent.load_error}
    after = {"version": loaded.version, "error": loaded.error}
    if created or before != after:
        Agent.objects.filter(pk=agent.pk).update(**found)
        record(
            "agent.registered" if created else "agent.changed", actor=Actor.desk(), object_type="agent", object_id=agent.pk,
            object_label=agent.name, team_id=agent.team_id, before=None if created else before, after=after,
        )  # fmt: skip
    for name, tool in loaded.tools.items():
        _write_tool(agent, name, tool.description, schema_of(tool), labels_of(tool))
    agent.refresh_from_db()
    return agent


def _write_tool(agent: Agent, name: str, description: str, schema: dict[str, object], labels: dict[str, object]) -> None:
    """Schema and description follow the code; labels are filled once and are the admin's from then on."""
    code = {"description": description, "schema": encode(schema), "schema_version": digest(schema)}
    tool, created = Tool.objects.get_or_create(
        agent=agent.slug, name=name, defaults={"team_id": agent.team_id, **code, **_checked(labels), "labels_from": "code"}
    )
    if created or tool.schema_version != code["schema_version"]:
        if not created:
            Tool.objects.filter(pk=tool.pk).update(**code, updated_at=timezone.now())
        record(
            "tool.registered" if created else "tool.changed", actor=Actor.desk(), object_type="tool", object_id=tool.pk,
            object_label=str(tool), team_id=agent.team_id, after={"schema": code["schema_version"]},
        )  # fmt: skip
    if not created and tool.labels_from == "run":
        Tool.objects.filter(pk=tool.pk).update(**_checked(labels), labels_from="code")


def _checked(labels: dict[str, object]) -> dict[str, object]:
    """Labels that a tool's metadata may set; a value nobody knows is left at the careful default."""
    known: dict[str, object] = {key: bool(labels[key]) for key in ("egress", "idempotent") if key in labels}
    if labels.get("effect") in Effect.values:
        known["effect"] = labels["effect"]
    if labels.get("risk") in Risk.values:
        known["risk"] = labels["risk"]
    return known


def _name(slug: str) -> str:
    return f"{slug.replace('-', ' ').replace('_', ' ').capitalize()} agent"


def _input_schema(loaded: LoadedAgent) -> object:
    if loaded.graph is None:
        return None
    try:
        return encode(loaded.graph.get_input_jsonschema())
    except Exception as error:  # some state types have no JSON Schema; the start page then takes plain JSON
        return {"description": f"No schema: {error}"}
