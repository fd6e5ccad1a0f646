import pytest
from django.test import Client

from agentdesk.people.models import Membership, Role, Team, User

PASSWORD = "long enough 42"


def sign_in(user):
    """A browser of ``user``, signed in through the login page."""
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    response = client.post("/accounts/login/", {"login": user.username, "password": PASSWORD})
    assert response.status_code == 302, response.content
    return client


@pytest.fixture
def team(db):
    return Team.objects.create(slug="refunds", name="Refunds")


@pytest.fixture
def other_team(db):
    return Team.objects.create(slug="returns", name="Returns")


@pytest.fixture
def person(team):
    """Makes a user with roles in teams."""

    def make(username, *roles, team=team, **fields):
        user = User.objects.create_user(username, **fields)
        for role in roles:
            Membership.objects.create(user=user, team=team, role=role)
        return user

    return make


@pytest.fixture
def robin(person):
    return person("robin", Role.REVIEWER, first_name="Robin", email="robin@example.com")


@pytest.fixture
def ada(person):
    return person("ada", Role.ADMIN, email="ada@example.com")
