"""``python -m tests.faults.seed``: people, agents, tokens and the support agent's shop. Prints what a :class:`Stage` needs to
know as JSON: the tokens (user name -> token) and the tickets (inputs of runs)."""

import json
import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    django.setup()

    from agentdesk.audit.record import Actor
    from agentdesk.management.commands.seed import open_shop
    from agentdesk.people.demo import seed_people
    from agentdesk.people.models import Membership, Role, User
    from agentdesk.people.tokens import create_token
    from approvals.models import Rule
    from approvals.policy.versions import publish
    from runs.engine.agents import sync_agents

    team, people = seed_people()
    program = User.objects.create_user("program", kind=User.Kind.SERVICE)
    Membership.objects.create(user=program, team=team, role=Role.OPERATOR)
    sync_agents()
    Rule.objects.create(name="Delegating needs nobody", agent="delegating", action="delegate", verdict="allow")
    Rule.objects.create(name="Reading needs nobody", agent="support", effects=["read"], verdict="allow")
    publish(people["admin"], "faults")
    users = User.objects.filter(username__in=("operator", "reviewer", "second", "program"))
    tokens = {user.username: create_token(user, "faults", actor=Actor.of(user))[1] for user in users}
    sys.stdout.write(json.dumps({"tokens": tokens, "tickets": open_shop()}))
