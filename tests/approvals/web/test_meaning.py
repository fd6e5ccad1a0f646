"""While arguments are changed, the page says what the rules make of them: the same that the decision then does."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from agentdesk.live.push import flush
from approvals.errors import NotAllowed
from approvals.models import Decision, Evaluation, Rule
from approvals.policy.versions import publish
from tests.approvals.cast import make_approval, make_rule, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import HTMX, binding

OVER = [{"path": "amount", "op": ">", "value": 300}]


def say(client, approval, amount):
    typed = binding(approval, "modify", **{"args-order_id": "A-1", "args-amount": amount})
    return client.post(reverse("approvals:meaning", args=[approval.pk]), typed, headers=HTMX)


@pytest.fixture
def rules(team):
    finance = make_team("Finance")
    make_rule("ask", name="two", conditions=OVER, count=2, teams=(team,), publish_it=False)
    make_rule(
        "ask", name="money", conditions=[{**OVER[0], "value": 500}], teams=(finance,), second_factor=True, publish_it=False
    )
    make_rule("deny", name="never", conditions=[{**OVER[0], "value": 900}])
    return finance


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("250.00", ["Under the rules this needs nobody else."]),
        ("350.00", ["With these arguments 2 approvals are needed instead of 1."]),
        ("550.00", ["3 approvals are needed instead of 1.", "Reviewers of Finance have to agree, too.", "second factor"]),
        ("950.00", ["This cannot be approved.", "Rule “never” denies this with the changed arguments."]),
        ("many", []),
    ],
)
def test_it_says_what_the_changed_arguments_need(browse, reviewer, approval, rules, amount, told):
    answer = say(browse(reviewer), approval, amount)
    assert answer.status_code == 200
    assert [text for text in told if text not in answer.text.replace("&quot;", '"')] == []
    assert bool(told) == bool(answer.text.strip())


def test_nothing_is_written_by_it(browse, reviewer, approval, rules):
    before = Evaluation.objects.count()
    say(browse(reviewer), approval, "350.00")
    approval.refresh_from_db()
    assert (Evaluation.objects.count(), approval.version, Decision.objects.count()) == (before, 1, 0)


@pytest.mark.parametrize("amount", ["250.00", "350.00", "950.00"])
def test_what_is_said_is_what_the_decision_then_does(browse, reviewer, approval, rules, amount):
    said = say(browse(reviewer), approval, amount).text
    changed = {"order_id": "A-1", "amount": amount}
    if "cannot be approved" in said:
        with pytest.raises(NotAllowed) as refused:
            decide(approval, reviewer, "modify", args=changed)
        assert str(refused.value) in said
        return
    outcome = decide(approval, reviewer, "modify", args=changed)
    assert ("2 approvals are needed" in said) == (outcome.need == 2)
    assert ("nobody else" in said) == (outcome.decision is not None)


def test_others_hear_nothing(browse, stranger, team, approval, rules, reviewer):
    assert say(browse(stranger), approval, "350.00").status_code == 404
    assert say(browse(make_user(team, role="operator")), approval, "350.00").status_code == 204
    decide(approval, reviewer)
    assert say(browse(reviewer), approval, "350.00").status_code == 204


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_is_said_while_somebody_types(open_as, width, scheme):
    team = make_team("Support")
    robin = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    approval = make_approval(team)
    rule = Rule.objects.create(name="two people", agent="support", verdict="ask", conditions=OVER, count=2)
    publish(None, "test")
    assert flush()
    try:
        page = open_as(robin, f"/approvals/{approval.pk}/", viewport={"width": width, "height": 900}, color_scheme=scheme)
        decision = page.get_by_role("complementary", name="Your decision")
        decision.locator("summary", has_text="Modify refund").click()
        amount = decision.get_by_label("Amount")
        amount.fill("350.00")
        expect(decision.get_by_text("With these arguments 2 approvals are needed instead of 1.")).to_be_visible()
        expect(amount).to_be_focused()
        page.evaluate("scrollTo(0, 0)")
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]}).response["violations"]
        assert [(each["id"], node["html"]) for each in found for node in each["nodes"]] == []
        amount.fill("250.00")
        expect(decision.get_by_text("Under the rules this needs nobody else.")).to_be_visible()
    finally:
        rule.delete()
        publish(None, "test")
