"""``manage.py seed``: the demo. People, the support agent with its shop, two rules, and a run for each ticket."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from agentdesk.people.demo import NotHere, seed_people
from agentdesk.people.models import User
from approvals.models import Rule
from approvals.policy.versions import publish
from runs import lifecycle
from runs.engine.agents import sync_agents
from runs.models import Run

AGENT = "support"
EXAMPLE = settings.BASE_DIR / "examples" / "support"
RULES = (
    ("Reading needs nobody", {"effects": ["read"]}),
    ("Escalating a ticket needs nobody", {"action": "escalate_ticket"}),
)


class Command(BaseCommand):
    help = "Fill an embedded desk on loopback with demo people, a shop and its tickets. Again, it does nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _, people = seed_people()
        except NotHere:
            self.stdout.write("no demo data: this is not an embedded desk on loopback")
            return
        theirs = {agent.slug: Path(agent.manifest).resolve().parent for agent in sync_agents()}
        if theirs.get(AGENT) != EXAMPLE or Run.objects.exists():
            return
        self._rules(people["admin"])
        tickets = open_shop()
        for ticket in tickets:
            lifecycle.start(AGENT, ticket, actor=Actor.of(people["operator"]))
        flush()
        self.stdout.write(f"{len(tickets)} tickets are waiting for the support agent")

    def _rules(self, admin: User) -> None:
        for name, parts in RULES:
            Rule.objects.create(name=name, agent=AGENT, verdict="allow", **parts)
        publish(admin, "demo")


def open_shop() -> list[dict[str, Any]]:
    """Make the tables of examples/support, and read its tickets as inputs of runs."""
    sys.path.append(str(EXAMPLE))  # its agent may have been loaded in another process
    owner = connections["owner"].settings_dict
    url = f"postgresql://{owner['USER']}:{owner['PASSWORD']}@{owner['HOST']}:{owner['PORT']}/{owner['NAME']}"
    import_module("support.seed").seed(url, role=settings.DATABASES["default"]["USER"])
    return [ticket.run_input() for ticket in import_module("support.tickets").load_tickets()]
