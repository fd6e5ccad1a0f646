"""Scope, recipients and data labels: what crosses a fence, and that no rule lets it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.models.rules import Effect
from approvals.policy.evaluate import evaluate
from approvals.policy.fences import Bounds, crossed, is_allowed, label_problems, scope_problems
from tests.approvals.policy.test_evaluate import facts, rule

TIED = Bounds(scope={"customer": 17}, ties={"customer_id": "customer"})


def kinds(bounds, args, egress=True, action="send"):
    return [(one.kind, one.verdict) for one in crossed(bounds, action, args, egress=egress)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17, []),
        ("17", []),
        (" 17 ", []),
        (18, [("scope", "ask")]),
        (True, [("scope", "ask")]),
        (17.0, [("scope", "ask")]),
        ([17], [("scope", "ask")]),
        ({"id": 17}, [("scope", "ask")]),
        (None, [("scope", "ask")]),
    ],
)
def test_a_tied_argument_is_the_one_that_the_run_is_about(value, expected):
    assert kinds(TIED, {"customer_id": value}) == expected


def test_a_missing_tied_argument_is_outside_and_an_untied_one_claims_nothing():
    assert kinds(TIED, {}) == [("scope", "ask")]
    assert kinds(Bounds(scope={"order": 5}, ties={"customer_id": "customer"}), {"customer_id": 18}) == []
    assert kinds(Bounds(ties={"customer_id": "customer"}), {"customer_id": 18}) == []


def test_a_scope_names_several_and_the_agent_says_that_outside_is_denied():
    several = Bounds(scope={"order": [5, "6"]}, ties={"lines.*.order": "order"}, outside="deny")
    assert kinds(several, {"lines": [{"order": 6}, {"order": "5"}]}) == []
    assert kinds(several, {"lines": [{"order": 6}, {"order": "7"}]}) == [("scope", "deny")]


def test_a_tool_that_the_run_was_not_given_is_denied():
    assert kinds(Bounds(tools=["get_order"]), {}, action="send") == [("tool", "deny")]
    assert kinds(Bounds(tools=["send"]), {}) == []
    assert kinds(Bounds(tools=[]), {}) == [("tool", "deny")]


ALLOWED = ["example.com", "*.partner.org", "ada@bücher.example"]


@pytest.mark.parametrize(
    "recipient",
    [
        "https://example.com/a?b=c",
        "HTTPS://EXAMPLE.COM.:8443/",
        "ines@example.com",
        "Ines <ines@Example.com>",
        "api.partner.org",
        "https://a.b.partner.org/",
        "Ada@Bücher.example",
        "ada@xn--bcher-kva.example",
    ],
)
def test_it_lets_through_whom_the_list_names(recipient):
    assert is_allowed(recipient, ALLOWED)


@pytest.mark.parametrize(
    "recipient",
    [
        "https://ex\u0430mple.com/",
        "https://example.com@evil.test/",
        "https://evil.test\\@example.com/",
        "https://example.com.evil.test/",
        "https://evil.test/?x=example.com",
        "https://evil.test#example.com",
        "partner.org",
        "https://partner.org/",
        "notexample.com",
        "https://notpartner.org",
        "eve@bücher.example",
        "ada@bucher.example",
        "a@b@example.com",
        "example.com evil.test",
        "",
        "javascript:alert(1)",
        "data:text/html,example.com",
        "https://example.com\n.evil.test/",
        '"ada@example.com" <eve@evil.test>',
        "https://127.0.0.1/",
        "https://example%2ecom/",
        "eve@evil.test?cc=ines@example.com",
        "mailto:ines@example.com",
        "//example.com/",
        "https:///example.com",
        "ines@example.com/../evil.test",
        "https://ex\u200bample.com.evil.test",
    ],
)
def test_it_stops_what_only_looks_like_it(recipient):
    assert not is_allowed(recipient, ALLOWED)


def test_every_recipient_of_every_named_argument_counts():
    mail = Bounds(recipients_at=["to", "cc"], recipients=["example.com"])
    assert kinds(mail, {"to": "a@example.com, b@example.com; c@example.com", "cc": None}) == []
    assert kinds(mail, {"to": "a@example.com", "cc": ["b@example.com", "eve@evil.test"]}) == [("recipient", "ask")]
    assert kinds(mail, {"to": "a@example.com,eve@evil.test"}) == [("recipient", "ask")]
    assert kinds(mail, {"to": {"address": "eve@evil.test"}}) == [("recipient", "ask")]
    assert kinds(Bounds(recipients_at=["to"], beyond="deny"), {"to": "a@example.com"}) == [("recipient", "deny")]
    assert kinds(Bounds(), {"to": "eve@evil.test"}) == [], "nothing is claimed where nothing is labelled"


def test_data_of_one_label_do_not_leave_by_a_tool_of_another_without_a_person():
    read = Bounds(data_read=["customer data"])
    assert kinds(read, {}) == [("data", "ask")]
    assert kinds(read, {}, egress=False) == []
    assert kinds(Bounds(data="customer data", data_read=["customer data"]), {}) == []
    assert kinds(Bounds(data="customer data", data_read=["customer data", "salaries"]), {}) == [("data", "ask")]


bounds = st.builds(
    Bounds,
    scope=st.dictionaries(st.sampled_from(["customer", "order"]), st.integers(0, 2), max_size=2),
    ties=st.dictionaries(st.sampled_from(["amount", "id"]), st.sampled_from(["customer", "order"]), max_size=2),
    tools=st.none() | st.just(["issue_refund"]) | st.just([]),
    outside=st.sampled_from(["ask", "deny", "allow", ""]),
    data_read=st.just(()) | st.just(("a",)),
)


@given(fence=bounds, verdicts=st.lists(st.sampled_from(["allow", "ask", "deny"]), max_size=4))
def test_no_rule_lets_a_call_pass_a_fence_and_a_fence_lets_nothing_pass(fence, verdicts):
    rules = [rule(verdict) for verdict in verdicts]
    free, bound = evaluate(facts(), rules).effect, evaluate(facts(bounds=fence), rules)
    order = [Effect.ALLOW, Effect.ASK, Effect.DENY]
    assert order.index(bound.effect) >= order.index(free)
    assert not bound.crossed or bound.effect != Effect.ALLOW
    assert Bounds.of_json(fence.as_json()).as_json() == fence.as_json()


@pytest.mark.parametrize(
    ("scope", "tools"),
    [
        ([], None),
        ({"Customer": 1}, None),
        ({"customer": None}, None),
        ({"customer": True}, None),
        ({"customer": []}, None),
        ({"customer": {"id": 1}}, None),
        ({"customer": "x" * 201}, None),
        ({f"k{n}": 1 for n in range(21)}, None),
        ({}, "send"),
        ({}, [1]),
    ],
)
def test_it_says_what_is_wrong_with_a_scope(scope, tools):
    assert scope_problems(scope, tools)
    assert scope_problems({"customer": [17, "18"]}, ["send"]) == []


def test_it_says_what_is_wrong_with_the_fences_of_a_tool():
    assert set(label_problems({"customer_id": "Customer"}, "to", ["https://example.com/"])) == {
        "scope_of",
        "recipients_at",
        "recipients",
    }
    assert "recipients" in label_problems({}, [], ["exa mple"])
    assert label_problems({"customer_id": "customer"}, ["to"], ["*.example.com", "ada@example.com", "bücher.example"]) == {}
