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
        sync = self.verb("sync", self.sync, "Load every graph of AGENTDESK_AGENTS and write down what was found.")
        check = self.verb("check", self.check_loading, "Load every graph and say which do not, without changing anything.")
        for parser in (sync, check):
            parser.add_argument("--manifest", metavar="PATH", help="Only this one of AGENTDESK_AGENTS, in this process.")

    def list(self, **options: Any) -> None:
        self.show_list(_rows(), COLUMNS, as_json=options["json"])

    def sync(self, *, manifest: str | None, **options: Any) -> None:
        if manifest is None:
            agents.sync_agents()
        else:
            registry.serve(frozenset({manifest}))
            agents.write_agents()
        self.show_list(_rows(), COLUMNS, as_json=options["json"])

    def check_loading(self, *, manifest: str | None, **options: Any) -> None:
        rows = agents.check_agents(manifest)
        self.show_list(rows, ("slug", "manifest", "tools", "error", "missing"), as_json=options["json"])
        broken = [row["slug"] for row in rows if row["error"]]
        if broken:
            raise Refused(f"Cannot be loaded: {', '.join(broken)}.")


def _rows() -> "list[dict[str, Any]]":
    return [
        {
            "slug": agent.slug, "name": agent.name, "team": agent.team.slug, "enabled": agent.enabled,
            "code_version": agent.code_version, "loaded_at": agent.loaded_at, "load_error": agents.last_line(agent.load_error),
        }
        for agent in Agent.objects.select_related("team")
    ]  # fmt: skip
