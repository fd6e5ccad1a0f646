"""Who gets into Django admin, what they see there, and what nobody changes."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import User
from approvals import decisions
from approvals.models import Approval, Decision, Evaluation, PolicyVersion, Review, Tool
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from approvals.policy.versions import publish
from runs.lifecycle import start
from runs.limits import LIMITS
from runs.models import Agent, ModelPrice, Run, Step, ToolCall
from tests.cast import Cast, make_approval

RECORDS = [Approval, Decision, Review, Evaluation, Run, Step, ToolCall]


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def records(cast: Cast) -> dict[type, Any]:
    """One row of everything that nobody changes, all of the support team."""
    approval = make_approval(cast.support)
    outcome = decisions.decide(approval.pk, actor=Actor.of(cast.reviewer), verdict="approve", digest=approval.digest, version=1)
    facts = Facts(agent="support", team_id=cast.support.pk, action="issue_refund", args={"amount": 1})
    run = start("support", {"text": "hello"}, actor=Actor.of(cast.operator))
    Run.objects.update(traceback="Traceback: secret")
    step = Step.objects.create(
        run=run, key=new_id(), attempt=1, kind="node", name="n", status="done", started_at=timezone.now()
    )
    call = ToolCall.objects.create(
        run=run, message_id="m", call_id="c", tool="issue_refund", digest=approval.digest, verdict="ask", asked_args={}
    )
    rows = [approval, outcome.decision, Review.objects.get(), evaluate_action(facts, "tests", ""), run, step, call]
    return dict(zip(RECORDS, rows, strict=True))


def address(model: type, verb: str, *args: Any) -> str:
    meta: Any = model._meta  # type: ignore[attr-defined]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{verb}", args=args)


@pytest.mark.parametrize("who", ["reviewer", "operator", "program"])
def test_it_is_closed_to_all_but_admins(cast: Cast, who: str):
    client = signed_in(getattr(cast, who))
    assert client.get("/admin/", follow=True).status_code == 403
    assert client.get("/admin/approvals/rule/", follow=True).status_code == 403


def test_it_sends_strangers_to_the_desks_own_sign_in(db: None):
    response = Client().get("/admin/approvals/rule/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert "next=/admin/approvals/rule/" in response.redirect_chain[-1][0]
    assert Client().get("/admin/login/", {"next": "https://elsewhere.example/"})["Location"].endswith("next=/admin/")


@pytest.mark.parametrize("model", RECORDS)
def test_the_record_is_for_reading(cast: Cast, records: dict[type, Any], model: type):
    cast.admin.is_superuser = True
    cast.admin.save()
    client, row = signed_in(cast.admin), records[model]
    assert client.get(address(model, "changelist")).status_code == 200
    page = client.get(address(model, "change", row.pk))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "change", row.pk), {"status": "pending"}).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    client.post(address(model, "changelist"), action)
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", RECORDS)
def test_admins_see_the_record_of_their_own_teams(cast: Cast, records: dict[type, Any], model: type):
    row = records[model]
    for user, seen in ((cast.admin, True), (cast.stranger, False)):
        client = signed_in(user)
        assert client.get(address(model, "changelist")).context["cl"].result_count == int(seen)
        page = client.get(address(model, "change", row.pk))
        assert (page.status_code == 200) == seen


def test_policy_versions_are_for_superusers(cast: Cast):
    version = publish(cast.admin)
    client = signed_in(cast.admin)
    assert client.get(address(PolicyVersion, "change", version.pk)).status_code != 200
    cast.admin.is_superuser = True
    cast.admin.save()
    assert client.get(address(PolicyVersion, "change", version.pk)).status_code == 200
    assert client.post(address(PolicyVersion, "change", version.pk), {"reason": "x"}).status_code == 403


def test_every_page_of_the_admin_opens(cast: Cast, records: dict[type, Any]):
    Tool.objects.create(agent="support", team=cast.support, name="issue_refund")
    cast.admin.is_superuser = True
    cast.admin.save()
    client = signed_in(cast.admin)
    assert client.get("/admin/").status_code == 200
    for model in django_admin.site._registry:
        assert client.get(address(model, "changelist"), {"q": "x"}).status_code in (200, 302), model


def test_an_admin_labels_a_tool(cast: Cast):
    tool = Tool.objects.create(agent="support", team=cast.support, name="issue_refund", schema={"type": "object"})
    client = signed_in(cast.admin)
    form = {
        "effect": "irreversible", "risk": "high", "timeout_seconds": "30", "retries": "2", "breaker_failures": "5",
        "breaker_seconds": "60", "undo_tool": "", "currency": "USD", "enabled": "on",
        "schema": "{}", "team": str(cast.warehouse.pk), "name": "other",
    }  # fmt: skip
    assert client.post(address(Tool, "change", tool.pk), form).status_code == 302
    tool.refresh_from_db()
    assert (tool.effect, tool.risk, tool.egress, tool.labels_from) == ("irreversible", "high", False, "admin")
    assert (tool.name, tool.team, tool.schema) == ("issue_refund", cast.support, {"type": "object"})
    entry = AuditEntry.objects.get(action="tool.changed")
    assert ((entry.before or {})["risk"], (entry.after or {})["risk"], entry.actor_id) == ("medium", "high", cast.admin.pk)
    assert signed_in(cast.stranger).post(address(Tool, "change", tool.pk), form).status_code != 200
    assert AuditEntry.objects.filter(action="tool.changed").count() == 1


def test_an_admin_sets_an_agent_and_limits_it(cast: Cast):
    Agent.objects.update(limits={"supersteps": 9, "other": 1})
    form = {"name": "Support", "description": "", "team": str(cast.support.pk), "model_calls": "5", "partial_answers": "once"}
    assert signed_in(cast.admin).post(address(Agent, "change", cast.agent.pk), form).status_code == 302
    agent = Agent.objects.get(pk=cast.agent.pk)
    assert (agent.enabled, agent.limits, agent.partial_answers) == (True, {"other": 1, "model_calls": 5}, "once")
    entry = AuditEntry.objects.get(action="agent.changed")
    assert ((entry.before or {})["partial_answers"], (entry.after or {})["partial_answers"]) == ("wait", "once")


def test_an_agents_tools_go_with_it_to_another_team(cast: Cast):
    Tool.objects.create(agent="support", team=cast.support, name="issue_refund")
    form = {"name": "Support", "description": "", "enabled": "on", "team": str(cast.warehouse.pk), "partial_answers": "wait"}
    client = signed_in(cast.admin)
    assert "team" in client.post(address(Agent, "change", cast.agent.pk), form).context["adminform"].form.errors
    cast.admin.is_superuser = True
    cast.admin.save()
    assert client.post(address(Agent, "change", cast.agent.pk), form).status_code == 302
    assert Tool.objects.get().team == cast.warehouse


def test_an_admin_sees_each_limit_with_the_desks_default(cast: Cast):
    Agent.objects.update(limits={"cost": "2.5"})
    client = signed_in(cast.admin)
    page = client.get(address(Agent, "change", cast.agent.pk))
    form = page.context["adminform"].form
    assert [name for name in LIMITS if name not in form.fields] == []
    assert "The desk's default: 2000000." in page.content.decode().replace("&#x27;", "'")
    assert form.initial["cost"] == "2.5"
    sent = {"name": "Support", "team": str(cast.support.pk), "partial_answers": "wait", "tokens": "900", "cost": "0.75"}
    assert client.post(address(Agent, "change", cast.agent.pk), sent).status_code == 302
    assert Agent.objects.get().limits == {"tokens": 900, "cost": "0.75"}


PRICE = {
    "provider": "openai", "model": "gpt-5*", "input_price": "1.25", "output_price": "10", "cached_price": "",
    "currency": "USD", "valid_from_0": "2026-11-22", "valid_from_1": "00:00:00", "note": "",
}  # fmt: skip


def test_only_superusers_say_what_models_cost(cast: Cast):
    User.objects.create_superuser("root")  # the last one cannot be demoted
    client = signed_in(cast.admin)
    assert client.post(address(ModelPrice, "add"), PRICE).status_code == 403
    cast.admin.is_superuser = True
    cast.admin.save()
    client = signed_in(cast.admin)
    assert client.post(address(ModelPrice, "add"), PRICE).status_code == 302
    price = ModelPrice.objects.get()
    assert (price.input_price, price.cached_price) == (Decimal("1.25"), None)
    for _ in range(2):
        client.post(address(ModelPrice, "change", price.pk), PRICE | {"output_price": "8"})
    assert "output_price" in client.post(address(ModelPrice, "add"), PRICE | {"output_price": "-1"}).content.decode()
    assert "already exists" in client.post(address(ModelPrice, "add"), PRICE).content.decode()
    cast.admin.is_superuser = False
    cast.admin.save()
    assert signed_in(cast.admin).get(address(ModelPrice, "changelist")).status_code == 200
    assert signed_in(cast.admin).post(address(ModelPrice, "delete", price.pk), {"post": "yes"}).status_code == 403
    cast.admin.is_superuser = True
    cast.admin.save()
    assert signed_in(cast.admin).post(address(ModelPrice, "delete", price.pk), {"post": "yes"}).status_code == 302
    told = list(AuditEntry.objects.filter(object_type="price").order_by("pk").values_list("action", flat=True))
    assert told == ["price.added", "price.changed", "price.removed"]


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_of_something(cast: Cast, limit: str):
    form = {"name": "Support", "description": "", "team": str(cast.support.pk), "enabled": "on", "tool_calls": limit}
    response = signed_in(cast.admin).post(address(Agent, "change", cast.agent.pk), form)
    assert "tool_calls" in response.context["adminform"].form.errors
    assert Agent.objects.get().limits == {}


def test_agents_and_tools_come_from_code(cast: Cast):
    cast.admin.is_superuser = True
    cast.admin.save()
    client = signed_in(cast.admin)
    for model in (Agent, Tool):
        assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(Agent, "delete", cast.agent.pk), {"post": "yes"}).status_code == 403


def test_reading_changes_nothing(cast: Cast, records: dict[type, Any]):
    client = signed_in(cast.admin)
    before = AuditEntry.objects.count()
    for model in RECORDS:
        client.get(address(model, "change", records[model].pk))
    assert AuditEntry.objects.count() == before


def test_passwords_and_sessions_are_the_desks_own(cast: Cast):
    client = signed_in(cast.admin)
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert client.post("/admin/logout/")["Location"] == "/accounts/logout/"
    assert client.get("/admin/").status_code == 200
