"""Two teams, their reviewers, and browsers of theirs."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from agentdesk.people.models import Team, User
from approvals.models import Approval
from tests.approvals.cast import make_approval, make_team, make_user

HTMX = {"HX-Request": "true"}


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def reviewer(team):
    return make_user(team, name="robin", first_name="Robin", last_name="Vale")


@pytest.fixture
def second(team):
    return make_user(team, name="sam", first_name="Sam", last_name="Ashby")


@pytest.fixture
def stranger(db):
    return make_user(make_team("Finance"), name="eve")


@pytest.fixture
def approval(team: Team) -> Approval:
    return make_approval(team, reason="The tent arrived torn.", subject="Order A-1: please refund 240.00.")


@pytest.fixture
def browse():
    """Return a client that is signed in as a user."""

    def sign_in(user: User, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


def binding(approval: Approval, verdict: str, **typed: Any) -> dict[str, Any]:
    """What the form of ``approval`` (as the caller read it) posts."""
    return {"verdict": verdict, "digest": approval.digest, "version": approval.version, **typed}


def post(client: Client, approval: Approval, verdict: str = "approve", *, htmx: bool = True, **typed: Any) -> HttpResponse:
    address = reverse("approvals:decide", args=[approval.pk])
    return client.post(address, binding(approval, verdict, **typed), headers=HTMX if htmx else {})
