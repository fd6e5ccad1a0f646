"""``manage.py agents``: the graphs that this desk drives."""

from typing import Any

from agentdesk.management.verbs import Refused, VerbCommand
from runs.engine import agents, registry
from runs.models import Agent

COLUMNS = ("slug", "name", "team", "enabled", "code_version", "loaded_at", "load_error")


class Command(VerbCommand):
    help = "List the agents, read them anew from their langgraph.json, check that they load."

    def add_verbs(self) -> None:
        self.verb("list", self.list, "List the agents that the desk knows.")
        self.verb("sync", self.sync, "Load every graph of AGENTDESK_AGENTS here and write down what was found.")
        self.verb("check", self.check_loading, "Load every graph here and say which do not, without changing anything.")

    def list(self, **options: Any) -> None:
        self.show_list(_rows(), COLUMNS, as_json=options["json"])

    def sync(self, **options: Any) -> None:
        agents.sync_agents()
        self.show_list(_rows(), COLUMNS, as_json=options["json"])

    def check_loading(self, **options: Any) -> None:
        loaded = registry.load_all()
        rows = [
            {"slug": agent.slug, "manifest": agent.manifest, "tools": sorted(agent.tools), "error": _last_line(agent.error)}
            for agent in loaded.values()
        ]
        self.show_list(rows, ("slug", "manifest", "tools", "error"), as_json=options["json"])
        broken = [agent.slug for agent in loaded.values() if agent.error]
        if broken:
            raise Refused(f"Cannot be loaded: {', '.join(broken)}.")


def _rows() -> "list[dict[str, Any]]":
    return [
        {
            "slug": agent.slug, "name": agent.name, "team": agent.team.slug, "enabled": agent.enabled,
            "code_version": agent.code_version, "loaded_at": agent.loaded_at, "load_error": _last_line(agent.load_error),
        }
        for agent in Agent.objects.select_related("team")
    ]  # fmt: skip


def _last_line(error: str) -> str:
    """The line of a traceback that says what happened."""
    return error.strip().splitlines()[-1] if error.strip() else ""
