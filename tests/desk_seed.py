"""`python -m tests.desk_seed`: what a test's desk starts with: demo people, agents, the shop and its rules, but no runs."""

import os
from importlib import import_module

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    django.setup()

    from agentdesk.management.commands.seed import RULES
    from agentdesk.people.demo import seed_people
    from approvals.models import Rule
    from approvals.policy.versions import publish
    from runs.engine.agents import sync_agents

    _, people = seed_people()
    sync_agents()
    for name, parts in RULES:
        Rule.objects.create(name=name, agent="support", verdict="allow", **parts)
    publish(people["admin"], "the rules of the demo")
    role = os.environ["DATABASE_URL"].split("://")[1].split(":")[0]
    import_module("support.seed").seed(os.environ["DATABASE_OWNER_URL"], role=role)
