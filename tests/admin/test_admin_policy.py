"""Rules looked at before they are in force: tried on a call, replayed over the record, checked, taken back."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals.decisions import decide
from approvals.models import Evaluation, PolicyVersion, Rule, Tool
from approvals.models.evaluations import Occasion
from approvals.policy.agreement import interval
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from approvals.policy.replay import facts_of
from approvals.policy.versions import publish
from approvals.requests import Ask, request_approval
from approvals.states import Kind, Verdict
from tests.admin.test_admin_rules import ADD, rule_form, signed_in
from tests.cast import REFUND_SCHEMA, Cast

TRY = "/admin/approvals/rule/try/"


@pytest.fixture
def tool(cast: Cast) -> Tool:
    facts = {"schema": REFUND_SCHEMA, "labels_from": "admin", "effect": "irreversible"}
    return Tool.objects.create(agent="support", team=cast.support, name="issue_refund", **facts)


@pytest.fixture
def admin(cast: Cast, tool: Tool) -> Client:
    return signed_in(cast.admin)


def called(cast: Cast, amount: Any, verdict: str = "", **facts: Any) -> Evaluation:
    """A call on record; with ``verdict``, people were asked and gave it."""
    seen = Facts(
        agent="support", team_id=cast.support.pk, action="issue_refund", args={"order_id": "A-1", "amount": amount},
        effect="irreversible", **facts,
    )  # fmt: skip
    evaluation = evaluate_action(seen, "tests", "")
    if verdict:
        ask = Ask(
            source="tests", source_ref="1", request_key=str(evaluation.pk), agent="support", team_id=cast.support.pk,
            action="issue_refund", args=dict(seen.args), args_schema=REFUND_SCHEMA, evaluation=evaluation,
            kind=Kind.TOOL_CALL, allowed=[Verdict.APPROVE, Verdict.REJECT],
        )  # fmt: skip
        approval, _created = request_approval(ask, actor=Actor.desk())
        facts = {"message": "No."} if verdict == "reject" else {"message": "Fine."}
        decide(
            approval.pk,
            actor=Actor.of(cast.reviewer),
            verdict=verdict,
            digest=approval.digest,
            version=approval.version,
            **facts,
        )
    return evaluation


def preview(client: Client, address: str, form: dict[str, Any]) -> Any:
    response = client.post(address, form | {"_preview": "Preview"})
    assert response.status_code == 200
    return response


def test_a_preview_tells_what_would_pass_and_what_people_said_then(cast: Cast, admin: Client):
    for amount, verdict in ((10, "approve"), (20, "approve"), (30, "reject"), (60, "approve")):
        called(cast, amount, verdict)
    page = preview(admin, ADD, rule_form(cast))
    (kind,) = page.context["preview"]["replay"].kinds
    assert (kind.before, kind.after, kind.count, kind.approved, kind.rejected) == ("ask", "allow", 3, 2, 1)
    text = page.content.decode()
    assert "3 calls that people are asked about would run without asking." in text
    assert "People approved 2 and rejected 1 of them." in text
    assert text.count('<a href="/approvals/') == 3, "each with a link to what people saw"
    assert not Rule.objects.exists(), "nothing is saved"
    assert not PolicyVersion.objects.exists()
    assert not AuditEntry.objects.filter(action="rule.created").exists()


def test_what_was_typed_is_still_there_and_can_be_saved(cast: Cast, admin: Client):
    page = preview(admin, ADD, rule_form(cast, name="Half typed", why="Because."))
    text = page.content.decode()
    for typed in ("Half typed", "Because.", 'value="amount"', 'value="50"'):
        assert typed in text
    assert "No call would have been treated otherwise." in text


def test_a_preview_of_a_wrong_rule_says_what_is_wrong(cast: Cast, admin: Client):
    page = preview(admin, ADD, rule_form(cast, ("amount", "<=", "many")))
    assert page.context["preview"] is None
    assert page.context["adminform"].form.errors["conditions"]


def test_a_change_is_compared_with_the_rule_as_it_is(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast))
    rule = Rule.objects.get()
    for amount in (10, 40, 70):
        called(cast, amount)
    address = reverse("admin:approvals_rule_change", args=[rule.pk])
    page = preview(admin, address, rule_form(cast, ("amount", "<=", "20")))
    (kind,) = page.context["preview"]["replay"].kinds
    assert (kind.before, kind.after, [change.past.facts.args["amount"] for change in kind.changes]) == ("allow", "ask", [40])
    rule.refresh_from_db()
    assert rule.conditions == [{"path": "amount", "op": "<=", "value": 50}]


def test_calls_whose_input_is_not_on_record_are_told(cast: Cast, admin: Client):
    called(cast, 10)
    page = preview(admin, ADD, rule_form(cast, ("@input.country", "=", "DE")))
    result = page.context["preview"]["replay"]
    assert (result.without_input, result.kinds) == (1, []), "an allow rule that cannot tell lets nothing through"


def test_a_call_counts_once_however_often_the_policy_was_asked(cast: Cast, admin: Client):
    first = called(cast, 10)
    for occasion in (Occasion.MODIFIED, Occasion.EXECUTING):
        evaluate_action(facts_of(first.facts), "tests", "", occasion)
    (kind,) = preview(admin, ADD, rule_form(cast)).context["preview"]["replay"].kinds
    assert [change.past.evaluation for change in kind.changes] == [first.pk]


def test_a_preview_looks_at_no_other_teams_calls(cast: Cast, admin: Client):
    other = Facts(agent="depot", team_id=cast.warehouse.pk, action="issue_refund", args={"amount": 1})
    evaluate_action(other, "tests", "")
    called(cast, 1)
    assert preview(admin, ADD, rule_form(cast)).context["preview"]["replay"].looked_at == 1


def test_nobody_previews_what_they_may_not_change(cast: Cast, admin: Client):
    rule = Rule.objects.create(name="Desk", verdict="deny", agent="*", action="*")
    address = reverse("admin:approvals_rule_change", args=[rule.pk])
    assert admin.post(address, rule_form(cast) | {"_preview": "1"}).status_code == 403
    other = reverse("admin:approvals_rule_change", args=[Rule.objects.create(name="W", verdict="ask", team=cast.warehouse).pk])
    assert admin.post(other, rule_form(cast) | {"_preview": "1"}).status_code == 403
    assert signed_in(cast.reviewer).post(ADD, rule_form(cast) | {"_preview": "1"}).status_code in (302, 403)


def test_saving_a_rule_says_what_looks_wrong_and_the_list_repeats_it(cast: Cast, admin: Client):
    page = admin.post(ADD, rule_form(cast, ("ammount", "<=", "50")), follow=True)
    said = "has an argument “ammount”"
    assert any(said in str(message) for message in page.context["messages"])
    listed = admin.get("/admin/approvals/rule/")
    assert said in listed.content.decode()
    assert "What looks wrong" in listed.content.decode()


def test_a_call_can_be_tried(cast: Cast, admin: Client, tool: Tool):
    admin.post(ADD, rule_form(cast))
    page = admin.get(TRY, {"tool": str(tool.pk), "args": '{"amount": "20.00"}'})
    assert page.context["verdict"].effect == "allow"
    assert "It would run without asking." in page.content.decode()
    text = admin.get(TRY, {"tool": str(tool.pk), "args": '{"amount": 51}'}).content.decode()
    assert "People would be asked." in text
    assert "amount &lt;= 50: no" in text
    assert Evaluation.objects.count() == 0, "trying is not on record"


@pytest.mark.parametrize(("args", "said"), [("{", "This is not JSON"), ("[1]", "JSON object"), ("", "required")])
def test_what_is_no_call_is_told_at_its_field(admin: Client, tool: Tool, args: str, said: str):
    page = admin.get(TRY, {"tool": str(tool.pk), "args": args})
    assert said in str(page.context["form"].errors["args"])
    assert page.context["verdict"] is None


def test_a_past_call_can_be_tried_again_by_those_who_own_it(cast: Cast, admin: Client):
    past = called(cast, 20)
    admin.post(ADD, rule_form(cast))
    assert admin.get(TRY, {"evaluation": str(past.pk)}).context["verdict"].effect == "allow"
    assert signed_in(cast.stranger).get(TRY, {"evaluation": str(past.pk)}).context["verdict"] is None
    assert admin.get(TRY, {"evaluation": "nonsense"}).status_code == 200


def test_another_teams_tool_cannot_be_tried(cast: Cast, admin: Client, tool: Tool):
    page = signed_in(cast.stranger).get(TRY, {"tool": str(tool.pk), "args": "{}"})
    assert page.context["form"].errors["tool"]
    assert signed_in(cast.reviewer).get(TRY).status_code in (302, 403)


def test_a_shadow_rule_is_measured_against_people_and_put_in_force(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast, mode="shadow"))
    rule = Rule.objects.get()
    for amount, verdict in ((10, "approve"), (20, "approve"), (30, "reject"), (60, "approve")):
        called(cast, amount, verdict)
    address = reverse("admin:approvals_rule_change", args=[rule.pk])
    found = admin.get(address).context["agreement"]
    assert (found.agreed, found.decided) == (2, 3), "the call of 60 did not match"
    assert "agreed with people in 2 of 3 calls (95 % interval 20 to 94)" in admin.get(address).content.decode()

    admin.post("/admin/approvals/rule/", {"action": "promote", "_selected_action": [str(rule.pk)]})
    rule.refresh_from_db()
    assert rule.mode == "active"
    assert called(cast, 20).verdict == "allow"
    entry = AuditEntry.objects.filter(action="rule.changed").latest("id")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["mode"], entry.after["mode"], entry.actor_id) == ("shadow", "active", cast.admin.pk)


def test_a_team_admin_promotes_no_rule_of_the_whole_desk(cast: Cast, admin: Client):
    rule = Rule.objects.create(name="Desk", verdict="allow", mode="shadow")
    publish(None)
    admin.post("/admin/approvals/rule/", {"action": "promote", "_selected_action": [str(rule.pk)]})
    rule.refresh_from_db()
    assert rule.mode == "shadow"


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(97, 98, 0.944, 0.998), (0, 10, 0.0, 0.278), (0, 0, 0.0, 1.0)])
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float):
    assert interval(hits, of) == pytest.approx((low, high), abs=0.001)


@pytest.fixture
def root(cast: Cast, tool: Tool) -> Client:
    cast.admin.is_superuser = True
    cast.admin.save()
    return signed_in(cast.admin)


def versions_page(number: int, *more: str) -> str:
    return "/".join(["/admin/approvals/policyversion", str(number), *(more or ("change",))]) + "/"


def test_a_version_shows_what_it_changed_and_can_be_gone_back_to(cast: Cast, root: Client):
    root.post(ADD, rule_form(cast, reviewer_teams=[str(cast.support.pk)]))
    first = PolicyVersion.objects.get()
    rule = Rule.objects.get()
    root.post(reverse("admin:approvals_rule_change", args=[rule.pk]), rule_form(cast, ("amount", "<=", "500"), name="Wide"))
    root.post(ADD, rule_form(cast, name="Another", verdict="deny"))
    newest = PolicyVersion.objects.first()
    assert newest is not None
    page = root.get(versions_page(first.pk)).content.decode()
    assert "Roll back to this version" in page
    assert "Another" in page

    response = root.post(versions_page(first.pk, "roll-back"), {"reason": "Too wide.", "newest": newest.pk}, follow=True)
    assert f"The rules are those of version {first.pk} again." in response.content.decode()
    version = PolicyVersion.objects.first()
    assert version is not None
    assert (version.digest, version.reason, version.author) == (first.digest, "Too wide.", cast.admin)
    rule.refresh_from_db()
    assert (rule.name, rule.conditions[0]["value"]) == ("Refunds up to 50 need nobody", 50)
    assert Rule.objects.get(name="Another").mode == "off"
    assert (called(cast, 20).verdict, called(cast, 300).verdict) == ("allow", "ask")
    entry = AuditEntry.objects.get(action="policy.rolled_back")
    assert (entry.after, entry.before) == ({"as_in": first.pk, "reason": "Too wide."}, {"version": newest.pk})


def test_a_deleted_rule_comes_back_with_its_id_and_reviewers(cast: Cast, root: Client):
    root.post(ADD, rule_form(cast, reviewer_teams=[str(cast.warehouse.pk)]))
    rule, first = Rule.objects.get(), PolicyVersion.objects.get()
    root.post(reverse("admin:approvals_rule_delete", args=[rule.pk]), {"post": "yes"})
    newest = PolicyVersion.objects.first()
    assert newest is not None
    root.post(versions_page(first.pk, "roll-back"), {"reason": "It was needed.", "newest": newest.pk})
    again = Rule.objects.get()
    assert (again.pk, list(again.reviewer_teams.all())) == (rule.pk, [cast.warehouse])


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"newest": "0"}])
def test_rolling_back_without_a_reason_or_over_somebody_elses_change_does_nothing(cast: Cast, root: Client, wrong: Any):
    root.post(ADD, rule_form(cast))
    first = PolicyVersion.objects.get()
    root.post(ADD, rule_form(cast, name="Another", verdict="deny"))
    newest = PolicyVersion.objects.first()
    assert newest is not None
    form = {"reason": "Back.", "newest": newest.pk} | wrong
    response = root.post(versions_page(first.pk, "roll-back"), form, follow=True)
    assert [message.level_tag for message in response.context["messages"]][-1] == "error"
    assert PolicyVersion.objects.first() == newest
    assert Rule.objects.filter(mode="active").count() == 2


def test_only_who_administers_everything_rolls_back(cast: Cast, admin: Client):
    admin.post(ADD, rule_form(cast))
    first = PolicyVersion.objects.get()
    assert admin.post(versions_page(first.pk, "roll-back"), {"reason": "x", "newest": first.pk}).status_code == 403
    assert admin.get(versions_page(first.pk)).status_code in (302, 403)


def test_a_call_is_tried_at_an_hour_with_what_is_on_record(cast: Cast, admin: Client, tool: Tool):
    called(cast, 30)
    conditions = [
        {"path": "@time", "op": "between", "value": "09:00-17:00"}, {"path": "@count.1d", "op": "<=", "value": 2},
        {"path": "@sum.1d.amount", "op": "<=", "value": 50}, {"path": "@weekday", "op": "in", "value": ["mon"]},
    ]  # fmt: skip
    Rule.objects.create(name="Office", verdict="allow", conditions=conditions)
    Rule.objects.create(name="Unsure", verdict="ask", conditions=[{"path": "@confidence", "op": "<", "value": 0.5}])
    publish(None)
    given = {"tool": str(tool.pk), "args": '{"amount": 20}', "confidence": "0.8"}
    tomorrow = (timezone.now() + timedelta(hours=20)).replace(tzinfo=None)
    told = admin.get(TRY, given | {"at": f"{tomorrow:%Y-%m-%d %H:%M}"}).context["verdict"]
    office, unsure = sorted(told.rules, key=lambda rule: rule.name)
    assert [each.actual for each in office.conditions][:3] == [f"{tomorrow:%H:%M}", 2, 50]
    assert (unsure.matched, unsure.conditions[0].actual) == (False, 0.8)
    monday = admin.get(TRY, given | {"at": "2026-11-30 10:00"})
    assert monday.context["verdict"].effect == "allow", "nothing on record counts then"
    assert "it is 10:00" in monday.content.decode()
    night = admin.get(TRY, given | {"at": "2026-11-30 22:00"})
    assert night.context["verdict"].effect == "ask"


def test_a_preview_of_a_rule_that_counts_says_which_calls_would_pass(cast: Cast, admin: Client):
    for _ in range(4):
        called(cast, 10)
    page = preview(admin, ADD, rule_form(cast, ("@count.1h", "<=", "3")))
    (kind,) = page.context["preview"]["replay"].kinds
    assert (kind.before, kind.after, kind.count) == ("ask", "allow", 3)


def test_calls_whose_content_was_erased_are_left_out(cast: Cast, admin: Client):
    kept, erased = called(cast, 10), called(cast, 20)
    Evaluation.objects.filter(pk=erased.pk).update(facts={})
    cast.admin.is_superuser = True
    cast.admin.save()
    page = preview(admin, ADD, rule_form(cast))
    assert [change.past.evaluation for change in page.context["preview"]["replay"].kinds[0].changes] == [kept.pk]
    assert admin.get(TRY, {"evaluation": str(erased.pk)}).context["facts"] is None
