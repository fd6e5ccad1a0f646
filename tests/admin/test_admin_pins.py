"""Admins say what an answer looks like where a payload does not."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from runs.models import Agent, PinnedAnswer
from tests.cast import Cast


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.admin)
    return client


def post(admin: Client, **fields: Any) -> Any:
    agent = Agent.objects.get(slug="support")
    posted = {"agent": str(agent.pk), "node": "ask", "schema": json.dumps({"type": "integer"}), "note": "", **fields}
    return admin.post(reverse("admin:runs_pinnedanswer_add"), posted)


def test_it_pins_an_answer_on_record(admin: Client) -> None:
    assert post(admin).status_code == 302
    pin = PinnedAnswer.objects.get()
    assert (pin.agent.slug, pin.node, pin.schema) == ("support", "ask", {"type": "integer"})
    entry = AuditEntry.objects.get(action="agent.changed")
    assert (entry.after or {})["pinned_answer"]["schema"] == {"type": "integer"}
    assert admin.post(reverse("admin:runs_pinnedanswer_delete", args=[pin.pk]), {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.filter(action="agent.changed").count() == 2


@pytest.mark.parametrize("schema", ['{"type": "no such type"}', '"integer"', "true", "{"])
def test_it_refuses_what_is_no_schema(admin: Client, schema: str) -> None:
    assert post(admin, schema=schema).status_code == 200
    assert not PinnedAnswer.objects.exists()


def test_it_pins_nothing_to_an_agent_of_another_team(admin: Client, cast: Cast) -> None:
    other = Agent.objects.create(slug="theirs", name="Theirs", team=cast.warehouse, manifest="m", graph="g")
    assert post(admin, agent=str(other.pk)).status_code == 200
    assert not PinnedAnswer.objects.exists()
