"""Writing down what agents there are: the rows that everybody but the workers reads."""

import json
import os
import re
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from langgraph.graph import START
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel

from agentdesk.audit.record import Actor, record
from agentdesk.digests import encode
from agentdesk.groups import Group, groups
from agentdesk.people.models import Team
from approvals import tools
from runs.engine import registry, requirements
from runs.engine.manifest import slug_of
from runs.engine.registry import LoadedAgent
from runs.models import Agent
from runs.tools.gate import labels_of, schema_of


def sync_agents() -> list[Agent]:
    """Load all agents afresh and bring their rows up to date. An agent seen for the first time belongs to the first team.

    Where there are several manifests, or one with a Python of its own, each is loaded in a process apart, as its workers do.
    """
    found = groups(settings.AGENTS)
    manifests = [group.manifest for group in found]
    if len(found) < 2 and not any(group.python for group in found):
        registry.forget()
        write_agents()
    else:
        for group in found:
            _, problem = apart(group, "sync")
            if problem:
                _write_unread(LoadedAgent(slug_of(group.label), group.manifest, "", "", error=problem))
    for agent in Agent.objects.exclude(manifest__in=[*manifests, ""]):
        _write_gone(agent, "AGENTDESK_AGENTS does not name its langgraph.json any more.")
    return list(Agent.objects.filter(manifest__in=manifests))


def write_agents() -> list[Agent]:
    """Bring the rows of all agents up to date with what this process has loaded. What a manifest named once and does no more
    is told to be gone, or nobody would know why its runs fail."""
    loaded = registry.load_all().values()
    written = [agent for each in loaded for agent in ([_write(each)] if each.graph_name else _write_unread(each))]
    for manifest in {each.manifest for each in loaded}:
        for agent in Agent.objects.filter(manifest=manifest).exclude(pk__in=[each.pk for each in written]):
            _write_gone(agent, "Its langgraph.json does not name this graph any more.")
    return written


def check_agents(manifest: str | None = None) -> list[dict[str, Any]]:
    """What loads and what does not, of one manifest or of all, as rows ``{slug, manifest, tools, error,
    missing}``; ``missing`` is the command that installs what is named and not there. Writes nothing."""
    found = groups(settings.AGENTS)
    if manifest is not None:
        registry.serve(frozenset({manifest}))
    elif len(found) > 1 or any(group.python for group in found):
        return [row for group in found for row in _checked_apart(group)]
    return [
        {
            "slug": each.slug, "manifest": each.manifest, "tools": sorted(each.tools), "error": last_line(each.error),
            "missing": requirements.command(list(each.missing)) if each.missing else "",
        }
        for each in registry.load_all().values()
    ]  # fmt: skip


def _checked_apart(group: Group) -> list[dict[str, Any]]:
    rows, problem = apart(group, "check")
    return (
        [{"slug": group.label, "manifest": group.manifest, "tools": [], "error": last_line(problem), "missing": ""}]
        if problem
        else rows
    )


def last_line(error: str) -> str:
    """The line of a traceback that says what happened."""
    return error.strip().splitlines()[-1] if error.strip() else ""


def _write_unread(unread: LoadedAgent) -> list[Agent]:
    """A manifest that cannot be read: the reason goes to its agents, or to one in its place where none is known yet."""
    known = list(Agent.objects.filter(manifest=unread.manifest))
    for agent in known:
        _write_gone(agent, unread.error)
    return known or [_write(unread)]


def _write_gone(agent: Agent, why: str) -> None:
    if agent.load_error != why:
        Agent.objects.filter(pk=agent.pk).update(load_error=why, loaded_at=timezone.now())
        record(
            "agent.changed", actor=Actor.desk(), object_type="agent", object_id=agent.pk, object_label=agent.name,
            team_id=agent.team_id, before={"error": agent.load_error}, after={"error": why},
        )  # fmt: skip


def apart(group: Group, verb: str) -> tuple[list[dict[str, Any]], str]:
    """Let ``manage.py agents VERB`` do one manifest in a process of its own, by the Python of its workers. Returns the rows
    that it showed, and why it could not."""
    command = [group.python or sys.executable, "manage.py", "agents", verb, "--manifest", group.manifest, "--json"]
    environment = {**os.environ, "AGENTDESK_AGENTS": ",".join(settings.AGENTS)}
    try:
        done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        return [], f"{command[0]}: {error.strerror}"
    shown = [match.start() for match in re.finditer(r"^\[\]?$", done.stdout, re.MULTILINE)]  # agents' code may print before
    if not shown:
        return [], done.stderr.strip() or f"{command[0]} ended with status {done.returncode}"
    rows: list[dict[str, Any]] = json.loads(done.stdout[shown[-1] :])
    return rows, ""


@transaction.atomic
def _write(loaded: LoadedAgent) -> Agent:
    team = Team.objects.order_by("slug").first() or Team.objects.create(slug="desk", name="Desk")
    found = {
        "manifest": loaded.manifest, "graph": loaded.graph_name, "code_version": loaded.version, "load_error": loaded.error,
        "loaded_at": timezone.now(), "input_schema": _input_schema(loaded), "own_nodes": own_nodes(loaded.graph),
    }  # fmt: skip
    agent, created = Agent.objects.get_or_create(
        slug=loaded.slug, defaults={"name": _name(loaded.slug), "description": loaded.description, "team": team, **found}
    )
    before = {"version": agent.code_version, "error": agent.load_error, "manifest": agent.manifest, "graph": agent.graph}
    after = {"version": loaded.version, "error": loaded.error, "manifest": loaded.manifest, "graph": loaded.graph_name}
    if not created and agent.own_nodes != found["own_nodes"]:
        Agent.objects.filter(pk=agent.pk).update(own_nodes=found["own_nodes"])
    if created or before != after:
        Agent.objects.filter(pk=agent.pk).update(**found)
        record(
            "agent.registered" if created else "agent.changed", actor=Actor.desk(), object_type="agent", object_id=agent.pk,
            object_label=agent.name, team_id=agent.team_id, before=None if created else before, after=after,
        )  # fmt: skip
    for name, tool in loaded.tools.items():
        tools.write(agent.slug, agent.team_id, tools.Code(name, tool.description, schema_of(tool), labels_of(tool)))
    agent.refresh_from_db()
    return agent


def own_nodes(graph: Any, prefix: str = "") -> list[str]:
    """The nodes of a graph, and of graphs that are its nodes, that do more than run LangChain tools: what they do by themselves
    passes no gate. Empty for a factory, whose graphs differ."""
    found: list[str] = []
    for name, node in getattr(graph, "nodes", {}).items():
        bound = getattr(node, "bound", None)
        if isinstance(bound, ToolNode) or name == START:
            continue
        found += own_nodes(bound, f"{prefix}{name}/") if isinstance(bound, Pregel) else [prefix + name]
    return found


def _name(slug: str) -> str:
    return f"{slug.replace('-', ' ').replace('_', ' ').capitalize()} agent"


def _input_schema(loaded: LoadedAgent) -> object:
    if loaded.graph is None:
        return None
    try:
        return encode(loaded.graph.get_input_jsonschema())
    except Exception as error:  # some state types have no JSON Schema; the start page then takes plain JSON
        return {"description": f"No schema: {error}"}
