"""Admins write rules, label tools and set agents; the record is for reading."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from approvals.admin.conditions import text_of, value_of
from approvals.models import PolicyVersion, Rule, Tool
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from tests.cast import REFUND_SCHEMA, Cast

ADD = "/admin/approvals/rule/add/"


@pytest.fixture
def tool(cast: Cast) -> Tool:
    return Tool.objects.create(agent="support", team=cast.support, name="issue_refund", schema=REFUND_SCHEMA)


@pytest.fixture
def admin(cast: Cast, tool: Tool) -> Client:
    return signed_in(cast.admin)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def rule_form(cast: Cast, *conditions: tuple[str, str, str], **changes: Any) -> dict[str, Any]:
    """What the browser sends for "refunds up to 50 need nobody", and what a test changes in it."""
    rows = conditions or (("amount", "<=", "50"),)
    form = {
        "name": "Refunds up to 50 need nobody", "team": cast.support.pk, "agent": "support", "action": "issue_refund",
        "verdict": "allow", "mode": "active", "count": "1", "from_teams": "1", "on_expiry": "reject", "priority": "0",
    }  # fmt: skip
    for number, row in enumerate([*rows, ("", "=", "")]):
        form |= {f"conditions-{number}-{part}": text for part, text in zip(("path", "op", "text"), row, strict=True)}
    return {key: value for key, value in (form | changes).items() if value is not None}


def verdict(cast: Cast, amount: Any) -> str:
    facts = Facts(agent="support", team_id=cast.support.pk, action="issue_refund", args={"order_id": "A-1", "amount": amount})
    return str(evaluate_action(facts, "tests", "").verdict)


def errors_of(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_small_refunds_then_need_nobody(cast: Cast, admin: Client):
    assert verdict(cast, 20) == "ask"
    response = admin.post(ADD, rule_form(cast, why="Agreed in the team."), follow=True)
    assert response.redirect_chain, errors_of(response)
    assert [verdict(cast, amount) for amount in (20, "50.00", 50.01, 51)] == ["allow", "allow", "ask", "ask"]
    rule, version = Rule.objects.get(), PolicyVersion.objects.get()
    assert rule.conditions == [{"path": "amount", "op": "<=", "value": 50}]
    assert (version.author, version.reason) == (cast.admin, "Agreed in the team.")
    entry = AuditEntry.objects.get(action="rule.created")
    assert (entry.actor_id, entry.via, entry.policy_version) == (cast.admin.pk, "admin", version.pk)


def test_the_form_offers_what_is_known(cast: Cast, admin: Client):
    page = admin.get(ADD).content.decode()
    for known in ("support", "issue_refund", "amount", "order_id"):
        assert f'<option value="{known}"></option>' in page
    assert "warehouse" not in page.lower()


def test_a_change_is_published_and_what_was_stored_comes_back(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast, ("amount", "<=", "50"), ("order_id", "in", "A-1, A-2")))
    rule = Rule.objects.get()
    address = reverse("admin:approvals_rule_change", args=[rule.pk])
    page = admin.get(address).content.decode()
    assert 'value="A-1, A-2"' in page
    changed = rule_form(cast, ("amount", "<=", "30"), hours="1.5", verdict="ask", reviewer_teams=cast.support.pk, count="2")
    assert admin.post(address, changed).status_code == 302
    rule.refresh_from_db()
    assert (rule.expires_after, rule.count, list(rule.reviewer_teams.all())) == (timedelta(hours=1.5), 2, [cast.support])
    newest = PolicyVersion.objects.order_by("-pk")[0]
    assert newest.rules[0]["reviewer_teams"] == [str(cast.support.pk)]
    entry = AuditEntry.objects.get(action="rule.changed")
    assert ((entry.before or {})["verdict"], (entry.after or {})["verdict"], entry.policy_version) == (
        "allow",
        "ask",
        newest.pk,
    )


def test_saving_without_a_change_makes_no_version(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast))
    admin.post(reverse("admin:approvals_rule_change", args=[Rule.objects.get().pk]), rule_form(cast))
    assert PolicyVersion.objects.count() == 1
    assert not AuditEntry.objects.filter(action="rule.changed").exists()


def test_a_deleted_rule_is_out_of_force(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast))
    rule = Rule.objects.get()
    admin.post(reverse("admin:approvals_rule_delete", args=[rule.pk]), {"post": "yes"})
    assert verdict(cast, 20) == "ask"
    assert AuditEntry.objects.get(action="rule.deleted").object_id == str(rule.pk)


def test_several_deleted_at_once_are_each_on_record(cast: Cast, admin: Client):
    for name in ("one", "two"):
        admin.post(ADD, rule_form(cast, name=name))
    action = {"action": "delete_selected", "_selected_action": [str(rule.pk) for rule in Rule.objects.all()], "post": "yes"}
    admin.post("/admin/approvals/rule/", action)
    assert not Rule.objects.exists()
    assert AuditEntry.objects.filter(action="rule.deleted").count() == 2
    assert PolicyVersion.objects.order_by("-pk")[0].rules == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("", "<=", "50"), "Condition 1: The path names an argument"),
        (("amount", "<=", "fifty"), "Condition 1: “<=” takes a number or a date."),
        (("amount", "~", "50"), "Condition 1: Unknown operator"),
        (("@nonsense", "=", "1"), "Condition 1: Unknown fact"),
        (("amount", "in", " "), "Condition 1: “in” takes a list"),
        (("note", "exists", "maybe"), "Condition 1: “exists” takes true or false."),
    ],
)
def test_a_wrong_condition_is_told_at_its_field_and_kept_as_typed(cast: Cast, admin: Client, row: Any, says: str):
    response = admin.post(ADD, rule_form(cast, row))
    assert says in errors_of(response)["conditions"][0]
    assert f'value="{row[2].strip()}"' in response.content.decode()
    assert not Rule.objects.exists()


def test_a_value_that_only_python_takes_for_the_same_is_a_change(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast, ("amount", "=", "1")))
    rule = Rule.objects.get()
    admin.post(reverse("admin:approvals_rule_change", args=[rule.pk]), rule_form(cast, ("amount", "=", "true")))
    newest = PolicyVersion.objects.latest("pk")
    assert newest.rules[0]["conditions"][0]["value"] is True


def test_a_rule_that_matches_nothing_is_pointed_out(cast: Cast, admin: Client):
    for action, warned in (("isue_refund", True), ("issue_*", False), ("interrupt:review", False)):
        page = admin.post(ADD, rule_form(cast, action=action), follow=True)
        told = [str(message) for message in page.context["messages"]]
        assert any("No known tool is called" in text for text in told) == warned, action


def test_a_teams_admin_writes_for_that_team_only(cast: Cast, admin: Client):
    for team in (cast.warehouse.pk, ""):
        assert "team" in errors_of(admin.post(ADD, rule_form(cast, team=team)))
    reviewers = errors_of(admin.post(ADD, rule_form(cast, reviewer_teams=cast.warehouse.pk)))
    assert "reviewer_teams" in reviewers
    assert not Rule.objects.exists()


def test_rules_of_others_are_not_changed_and_those_of_the_desk_only_read(cast: Cast, admin: Client):
    foreign = Rule.objects.create(name="Foreign", team=cast.warehouse, verdict="deny")
    general = Rule.objects.create(name="General", verdict="deny")
    listed = admin.get("/admin/approvals/rule/").content.decode()
    assert ("Foreign" in listed, "General" in listed) == (False, True)
    address = reverse("admin:approvals_rule_change", args=[general.pk])
    page = admin.get(address).content.decode()
    assert ("General" in page, 'name="_save"' in page) == (True, False)
    assert admin.post(address, rule_form(cast)).status_code == 403
    assert admin.post(reverse("admin:approvals_rule_delete", args=[general.pk]), {"post": "yes"}).status_code == 403
    assert admin.get(reverse("admin:approvals_rule_change", args=[foreign.pk]), follow=True).context.get("adminform") is None
    action = {"action": "delete_selected", "_selected_action": [str(general.pk)], "post": "yes"}
    admin.post("/admin/approvals/rule/", action)
    assert {rule.verdict for rule in Rule.objects.all()} == {"deny"}
    assert Rule.objects.count() == 2


def test_a_superuser_writes_for_the_whole_desk(cast: Cast, tool: Tool):
    cast.admin.is_superuser = True
    cast.admin.save()
    assert signed_in(cast.admin).post(ADD, rule_form(cast, team="")).status_code == 302
    assert Rule.objects.get().team is None


@pytest.mark.parametrize(
    ("op", "text", "value"),
    [
        ("<=", "50", 50),
        ("<=", "49.90", 49.9),
        ("=", "49.9", 49.9),
        ("<", "2026-01-01", "2026-01-01"),
        ("=", "007", "007"),
        ("=", '"50"', "50"),
        ("=", "true", True),
        ("=", '"true"', "true"),
        ("=", "9007199254740993", "9007199254740993"),
        ("in", "EUR, USD", ["EUR", "USD"]),
        ("in", '["a, b", "c"]', ["a, b", "c"]),
        ("in", "1, 2.5, x", [1, 2.5, "x"]),
        ("starts", "123", "123"),
        ("contains", "true", "true"),
        ("exists", "false", False),
        ("length", "<= 10", "<= 10"),
    ],
)
def test_a_typed_value_means_what_it_says_and_is_shown_as_it_was(op: str, text: str, value: Any):
    assert value_of(op, text) == value
    assert type(value_of(op, text)) is type(value)
    assert value_of(op, text_of(op, value)) == value


def test_hours_counts_and_sums_are_written_in_the_form(cast: Cast, admin: Client):
    rows = (
        ("@time.Europe/Berlin", "between", "09:00-17:00"), ("@weekday", "in", "mon, tue"), ("@count.1h", "<=", "5"),
        ("@sum.1d.amount", "<=", "500"),
    )  # fmt: skip
    response = admin.post(ADD, rule_form(cast, *rows), follow=True)
    assert response.redirect_chain, errors_of(response)
    rule = Rule.objects.get()
    assert [(each["path"], each["op"], each["value"]) for each in rule.conditions] == [
        ("@time.Europe/Berlin", "between", "09:00-17:00"), ("@weekday", "in", ["mon", "tue"]), ("@count.1h", "<=", 5),
        ("@sum.1d.amount", "<=", 500),
    ]  # fmt: skip
    text = admin.get(reverse("admin:approvals_rule_change", args=[rule.pk])).content.decode()
    for shown in ('value="09:00-17:00"', 'value="mon, tue"', "is between (hours of the day)", '<option value="@count.1h">'):
        assert shown in text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("@confidence", ">", "0.9"), "may ask or deny, and never allow"),
        (("@time", "between", "9 to 5"), "a span of the day such as 09:00-17:00"),
        (("@weekday", "in", "monday"), "mon, tue, wed"),
        (("@count.1y", "<=", "5"), "Write @count.1h"),
        (("@sum.1d.amount", "<=", "much"), "takes a number"),
        (("amount", "between", "09:00-17:00"), "go together"),
    ],
)
def test_the_form_says_what_is_wrong_with_them(cast: Cast, admin: Client, row: tuple[str, str, str], said: str):
    response = admin.post(ADD, rule_form(cast, row))
    assert said in " ".join(errors_of(response)["conditions"])
    assert not Rule.objects.exists()


def test_confidence_may_ask(cast: Cast, admin: Client):
    response = admin.post(ADD, rule_form(cast, ("@confidence", "<", "0.9"), verdict="ask"), follow=True)
    assert response.redirect_chain, errors_of(response)
    address = reverse("admin:approvals_rule_change", args=[Rule.objects.get().pk])
    refused = admin.post(address, rule_form(cast, ("@confidence", "<", "0.9")))
    assert "never allow" in " ".join(errors_of(refused)["conditions"])
    assert Rule.objects.get().verdict == "ask"
