"""Findings about rules, and the proof that they are true: what is called without effect really has none."""

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.policy.bounds import contradiction, implies
from approvals.policy.conditions import tell
from approvals.policy.evaluate import evaluate
from approvals.policy.lint import Known, lint, lint_rule
from tests.approvals.policy.test_evaluate import facts, rule

SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}}}
REFUND = Known("support", "issue_refund", "T", "irreversible", SCHEMA)
LOOK_UP = Known("support", "look_up", "T", "read", {"type": "object", "properties": {"name": {"type": "string"}}})
TOOLS = [REFUND, LOOK_UP]


def condition(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"path": path, "op": op, "value": value}


def kinds(*rules: Any) -> list[tuple[str, str]]:
    return [(finding.name, finding.kind) for finding in lint(rules, TOOLS)]


def test_it_is_silent_about_rules_that_are_right():
    small = rule("allow", name="small", action="issue_refund", conditions=[condition("amount", "<=", 50)])
    reads = rule("allow", name="reads", effects=["read"])
    assert (
        kinds(small, reads, rule("deny", name="big", action="issue_refund", conditions=[condition("amount", ">", 1000)])) == []
    )


@pytest.mark.parametrize("field", [{"action": "isue_refund"}, {"agent": "suport"}])
def test_it_names_a_tool_that_nobody_knows(field: dict[str, str]):
    assert kinds(rule("deny", name="a", **field)) == [("a", "unknown_tool")]


def test_it_knows_no_tools_of_an_agents_own_questions():
    assert kinds(rule("ask", action="interrupt:review")) == []


def test_it_names_an_argument_that_no_tool_has():
    wrong = rule(
        "ask", name="a", action="issue_refund", conditions=[condition("ammount", ">", 5), condition("@risk", "=", "low")]
    )
    (finding,) = lint([wrong], TOOLS)
    assert (finding.kind, "“ammount”" in finding.text) == ("unknown_argument", True)


def test_it_tells_a_rule_that_never_matches():
    both = [condition("amount", ">", 50), condition("amount", "<=", 50)]
    assert kinds(rule("allow", name="a", action="issue_refund", conditions=both)) == [("a", "never")]
    (finding,) = lint([rule("deny", name="a", action="issue_refund", conditions=both)], TOOLS)
    assert "only where that is missing" in finding.text


def test_it_tells_a_rule_that_a_stricter_one_hides():
    deny = rule("deny", name="none over 100", action="issue_refund", conditions=[condition("amount", ">", 100)])
    ask = rule("ask", name="two for big ones", action="issue_refund", count=2, conditions=[condition("amount", ">=", 500)])
    assert kinds(deny, ask) == [("two for big ones", "shadowed")]
    assert kinds({**deny, "mode": "shadow"}, ask) == [], "a shadow rule hides nothing"


def test_it_tells_one_of_two_that_say_the_same():
    one = rule("allow", name="one", id="1", action="look_up")
    assert kinds(one, {**one, "id": "2", "name": "two"}) == [("two", "redundant")]


def test_it_warns_of_writes_that_pass_without_any_condition():
    (finding,) = lint([rule("allow", name="all")], TOOLS)
    assert (finding.kind, "issue_refund" in finding.text, "look_up" in finding.text) == ("broad", True, False)


VALUES = [*range(-3, 4), "a", "b", "1", "2.5", "2026-01-02", True, False, None, [1], {"x": 1}]
WRITTEN = [
    *(condition("amount", op, value) for op in ("<", "<=", ">", ">=") for value in (*range(-3, 4), "1", "2026-01-02")),
    *(condition("amount", op, value) for op in ("=", "!=") for value in (*range(-3, 4), "a", "1", True)),
    *(condition("amount", "in", list(values)) for values in combinations((0, 1, 2, "a", "1"), 2)),
    *(condition("amount", "exists", value) for value in (True, False)),
    *(condition("amount", op, value) for op in ("starts", "contains", "glob") for value in ("a", "1", "*")),
]
CALLS: list[dict[str, Any]] = [{}, *({"amount": value} for value in VALUES)]


def holds(one: dict[str, Any], args: dict[str, Any]) -> bool | None:
    return tell(one, args, every=True).holds


def test_what_one_condition_implies_holds_with_it_whatever_the_call():
    pairs = [(told, wanted) for told, wanted in product(WRITTEN, repeat=2) if implies(told, wanted)]
    assert len(pairs) > 300
    for (told, wanted), args in product(pairs, CALLS):
        first, second = holds(told, args), holds(wanted, args)
        assert first is False or second is first or (first is None and second), (told, wanted, args)


def test_conditions_that_contradict_each_other_hold_together_for_no_call():
    pairs = [pair for pair in product(WRITTEN, repeat=2) if contradiction(pair)]
    assert len(pairs) > 300
    for pair, args in product(pairs, CALLS):
        assert not all(holds(one, args) for one in pair), (pair, args)


RULES = st.builds(
    rule,
    st.sampled_from(["allow", "ask", "deny"]),
    id=st.uuids().map(str),
    action=st.sampled_from(["*", "issue_*", "issue_refund"]),
    effects=st.sampled_from([[], ["irreversible"], ["irreversible", "write"]]),
    conditions=st.lists(st.sampled_from(WRITTEN), max_size=2),
)


@given(rules=st.lists(RULES, min_size=2, max_size=4), args=st.sampled_from(CALLS), labelled=st.booleans())
def test_taking_out_a_rule_without_effect_changes_no_verdict(rules: Any, args: dict[str, Any], labelled: bool):
    call = facts(args=args, effect="irreversible", tool_known=labelled)
    for one in rules:
        if {finding.kind for finding in lint_rule(one, rules, [])} & {"shadowed", "redundant"}:
            others = [other for other in rules if other is not one]
            assert evaluate(call, others).effect == evaluate(call, rules).effect
