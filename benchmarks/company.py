"""The people of the measured desk. Import it after Django was set up."""

from dataclasses import dataclass

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from agentdesk.audit.record import Actor
from agentdesk.people.models import Membership, Role, Team, User
from agentdesk.people.tokens import create_token
from runs.engine.agents import sync_agents


@dataclass(frozen=True)
class Company:
    """A team, a program that starts runs, a person who decides, and their tokens."""

    team: Team
    program: User
    reviewer: User
    program_token: str
    reviewer_token: str


def found() -> Company:
    """Make team, people and agents."""
    team = Team.objects.create(slug="bench", name="Bench")
    program = User.objects.create(username="program", kind=User.Kind.SERVICE)
    reviewer = User.objects.create(username="reviewer", first_name="Robin", last_name="Vale")
    Membership.objects.create(user=program, team=team, role=Role.OPERATOR)
    Membership.objects.create(user=reviewer, team=team, role=Role.REVIEWER)
    Membership.objects.create(user=reviewer, team=team, role=Role.OPERATOR)  # who may read the record
    sync_agents()
    tokens = [create_token(user, "bench", actor=Actor.of(user))[1] for user in (program, reviewer)]
    return Company(team, program, reviewer, *tokens)


def session_of(user: User) -> str:
    """The session key of a signed-in user."""
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return str(store.session_key)
