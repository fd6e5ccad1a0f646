"""Switching off and on in Django admin, and the banner on every page."""

from typing import Any

import pytest
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Halt, Tool
from runs.models import Agent
from tests.admin.test_admin_rules import signed_in
from tests.cast import Api, Cast

DESK = "/admin/approvals/halt/switch/"


@pytest.fixture
def tool(cast: Cast) -> Tool:
    return Tool.objects.create(agent="support", team=cast.support, name="issue_refund", labels_from="admin")


@pytest.fixture
def superuser(cast: Cast) -> Any:
    cast.admin.is_superuser = True
    cast.admin.save()
    return signed_in(cast.admin)


@pytest.mark.parametrize("kind", ["tool", "agent"])
def test_one_click_and_a_yes_switch_it_off_and_on(cast: Cast, tool: Tool, kind: str):
    thing: Any = tool if kind == "tool" else cast.agent
    app = "approvals" if kind == "tool" else "runs"
    page, switch = (reverse(f"admin:{app}_{kind}_{name}", args=[thing.pk]) for name in ("change", "switch"))
    client = signed_in(cast.admin)
    assert f'<a href="{switch}">Switch off</a>' in client.get(page).content.decode()
    asked = client.get(switch).content.decode()
    assert "Yes, switch it off" in asked
    thing.refresh_from_db()
    assert thing.enabled, "a GET asks only"
    form = {"to": "off", "seen": "", "because": "It pays twice."}
    text = client.post(switch, form, follow=True).content.decode()
    assert "is off, from the next gate on." in text
    for shown in ("Switch on", "It pays twice.", cast.admin.label):
        assert shown in text
    assert "was off already." in client.post(switch, form, follow=True).content.decode()
    asked_again = client.get(switch)
    form = {"to": "on", "seen": asked_again.context["seen"], "because": ""}
    assert "is on." in client.post(switch, form, follow=True).content.decode()
    thing.refresh_from_db()
    assert thing.enabled
    entries = AuditEntry.objects.filter(object_type=kind).order_by("id").values_list("action", "actor_id", "via")
    assert list(entries) == [(f"{kind}.switched_{to}", cast.admin.pk, "admin") for to in ("off", "on")]


def test_who_switches_on_an_older_state_is_told(cast: Cast, tool: Tool):
    switch = reverse("admin:approvals_tool_switch", args=[tool.pk])
    switches.switch(tool, on=False, actor=Actor.of(cast.admin))
    text = signed_in(cast.admin).post(switch, {"to": "on", "seen": ""}, follow=True).content.decode()
    assert "Somebody switched it off again" in text
    tool.refresh_from_db()
    assert not tool.enabled


def test_only_who_administers_it_switches(cast: Cast, tool: Tool):
    addresses = [
        reverse("admin:approvals_tool_switch", args=[tool.pk]), reverse("admin:runs_agent_switch", args=[cast.agent.pk])
    ]  # fmt: skip
    for user in (cast.stranger, cast.reviewer, cast.operator):
        for address in [*addresses, DESK]:
            assert signed_in(user).post(address, {"to": "off"}).status_code in (302, 403)
    assert signed_in(cast.admin).post(DESK, {"to": "off"}).status_code == 403, "the desk is not one team's"
    tool.refresh_from_db()
    assert tool.enabled
    assert Agent.objects.get().enabled
    assert not Halt.objects.exists()
    assert not AuditEntry.objects.filter(action__contains="switched").exists()


def test_a_form_does_not_switch(cast: Cast, tool: Tool):
    form = {
        "effect": "read",
        "risk": "low",
        "timeout_seconds": "30",
        "retries": "2",
        "breaker_failures": "5",
        "breaker_seconds": "60",
        "undo_tool": "",
        "currency": "USD",
    }
    assert signed_in(cast.admin).post(reverse("admin:approvals_tool_change", args=[tool.pk]), form).status_code == 302
    tool.refresh_from_db()
    assert (tool.enabled, tool.effect) == (True, "read")


def test_every_page_says_who_switched_the_desk_off(cast: Cast, superuser: Any):
    assert "Yes, switch it off" in superuser.get(DESK).content.decode()
    told = superuser.post(DESK, {"to": "off", "seen": "", "because": "Refunds go wild."}, follow=True).content.decode()
    assert "The desk is off, from the next gate on." in told
    for address in ("/", "/runs/", "/agents/", "/audit/", "/nowhere/", "/admin/", "/admin/approvals/rule/"):
        text = superuser.get(address, follow=True).content.decode()
        assert f"The desk is switched off by {cast.admin.label}" in text, address
        assert "Refunds go wild." in text, address
    assert "Refunds go wild." in signed_in(cast.reviewer).get("/").content.decode()
    assert "Refunds go wild." not in superuser.__class__().get("/accounts/login/").content.decode()
    assert "was off already" in superuser.post(DESK, {"to": "off"}, follow=True).content.decode()
    seen = superuser.get(DESK).context["seen"]
    assert "The desk is on." in superuser.post(DESK, {"to": "on", "seen": seen}, follow=True).content.decode()
    assert "was on already" in superuser.post(DESK, {"to": "on", "seen": seen}, follow=True).content.decode()
    assert "switched off by" not in superuser.get("/").content.decode()
    actions = AuditEntry.objects.filter(object_type="desk").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["desk.switched_off", "desk.switched_on"]


@pytest.mark.parametrize("off", ["desk", "tool"])
def test_other_programs_are_denied_what_is_switched_off(cast: Cast, tool: Tool, off: str):
    actor = Actor.of(cast.admin)
    assert switches.halt(actor) if off == "desk" else switches.switch(tool, on=False, actor=actor)
    ask = {"agent": "support", "action": "issue_refund", "args": {"amount": 1}}
    response = Api.of(cast.program).post("approvals", ask)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "denied")
    assert "switched off" in response.json()["error"]["message"]


def test_no_run_is_started_while_the_desk_is_off(cast: Cast):
    switches.halt(Actor.of(cast.admin))
    response = Api.of(cast.operator).post("runs", {"agent": "support", "input": {}})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "agent_unavailable")
