"""`python -m tests.desk_seed`: what a test's desk starts with: demo people, agents, the shop and its rules, but no runs."""

import os
import sys
from importlib import import_module

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    django.setup()

    from agentdesk.management.commands.seed import RULES
    from agentdesk.people.demo import seed_people
    from approvals.models import Rule
    from approvals.policy.versions import publish
    from runs.engine.agents import write_agents
    from tests.services import CHECKOUT

    _, people = seed_people()
    write_agents()  # in this process: a test's desk starts often, and their modules do not collide
    for name, parts in RULES:
        Rule.objects.create(name=name, agent="support", verdict="allow", **parts)
    publish(people["admin"], "the rules of the demo")
    role = os.environ["DATABASE_URL"].split("://")[1].split(":")[0]
    sys.path.append(str(CHECKOUT / "examples/support"))  # where there are several manifests, each is loaded in a process apart
    import_module("support.seed").seed(os.environ["DATABASE_OWNER_URL"], role=role)
