import pytest
from django.test import Client

from agentdesk.audit.record import Actor, record
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User


@pytest.fixture
def refunds(db):
    return Team.objects.create(slug="refunds", name="Refunds")


@pytest.fixture
def returns(db):
    return Team.objects.create(slug="returns", name="Returns")


@pytest.fixture
def person():
    def make(username, role, *teams):
        user = User.objects.create_user(username)
        for team in teams:
            Membership.objects.create(user=user, team=team, role=role)
        return user

    return make


@pytest.fixture
def browser(person, refunds):
    """An operator of Refunds."""
    client = Client()
    client.force_login(person("kim", Role.OPERATOR, refunds))
    return client


@pytest.fixture
def note():
    """Writes an entry: ``note(team, label)``."""

    def write(team, label, action="approval.decided", actor=None, **facts):
        record(
            action, actor=actor or Actor.desk(), object_type="approval", object_id=facts.pop("object_id", new_id()),
            object_label=label, team_id=team.pk if team else None, **facts,
        )  # fmt: skip

    return write
