"""Conditions that compare with the run's input or with whoever started it, and those about domains."""

import pytest

from approvals.models import Evaluation
from approvals.models.rules import Effect
from approvals.policy.bounds import contradiction, implies
from approvals.policy.conditions import problems, tell
from approvals.policy.evaluate import evaluate
from approvals.policy.record import evaluate_action
from approvals.policy.replay import facts_of
from approvals.web.reading import words_of
from tests.approvals.cast import make_rule, make_team, make_user
from tests.approvals.policy.test_evaluate import facts, rule

HERS = {"path": "to", "op": "=", "value": "@input.customer.email"}
OWN = {"path": "to", "op": "=", "value": "@reporter.email"}
INPUT = {"customer": {"email": "ada@example.com", "limit": 50}}
HOUSE = ["example.com", "*.example.org", "ada@gmail.com"]


@pytest.mark.parametrize(
    ("to", "run_input", "effect"),
    [
        ("ada@example.com", INPUT, Effect.ALLOW),
        ("eve@example.com", INPUT, Effect.ASK),
        ("ada@example.com", {}, Effect.ASK),
        ("ada@example.com", {"customer": {"email": None}}, Effect.ASK),
        ("ada@example.com", {"customer": {"email": ["ada@example.com"]}}, Effect.ASK),
        (None, {"customer": {"email": None}}, Effect.ASK),
        ("@input.customer.email", INPUT, Effect.ASK),
    ],
)
def test_it_lets_through_only_what_is_the_inputs_own_value(to, run_input, effect):
    assert evaluate(facts(args={"to": to}, run_input=run_input), [rule("allow", conditions=[HERS])]).effect == effect


@pytest.mark.parametrize("amount", [("49.00", Effect.ASK), ("50.01", Effect.DENY), (None, Effect.DENY), ("many", Effect.DENY)])
def test_numbers_are_compared_as_numbers_and_doubts_hold_back(amount):
    over = {"path": "amount", "op": ">", "value": "@input.customer.limit"}
    given, effect = amount
    assert evaluate(facts(args={"amount": given}, run_input=INPUT), [rule("deny", conditions=[over])]).effect == effect


def test_who_started_the_run_is_looked_up_where_a_rule_asks_and_is_on_record(db):
    team = make_team()
    ada = make_user(team, name="ada", email="ada@example.com", first_name="Ada")
    asked = facts(team_id=team.pk, args={"to": "ada@example.com"}, requester=ada.pk)
    assert "reporter" not in evaluate_action(asked, "runs", "ref").facts, "nobody asks"
    make_rule("allow", name="to oneself", conditions=[OWN])
    found = evaluate_action(asked, "runs", "ref")
    assert (found.verdict, facts_of(found.facts).reporter["email"]) == ("allow", "ada@example.com")
    other = facts(team_id=team.pk, args={"to": "eve@example.com"}, requester=ada.pk)
    assert evaluate_action(other, "runs", "ref").verdict == "ask"
    assert evaluate_action(facts(args={"to": "ada@example.com"}), "runs", "ref").verdict == "ask", "nobody started it"
    assert Evaluation.objects.filter(facts__has_key="input").count() == 0


def test_the_input_is_on_record_where_a_value_leads_to_it(db):
    make_rule("allow", name="to the customer", conditions=[HERS])
    found = evaluate_action(facts(args={"to": "ada@example.com"}, run_input=INPUT), "runs", "ref")
    assert (found.verdict, facts_of(found.facts).run_input) == ("allow", INPUT)


@pytest.mark.parametrize(
    ("to", "holds"),
    [
        ("ada@example.com", True), ("Ada <ADA@Example.COM>", True), ("https://example.com/x?y", True), ("example.com", True),
        ("a@b.example.org", True), ("a@example.org", False), ("ada@gmail.com", True), ("eve@gmail.com", False),
        ("a@example.com, b@example.com", True), ("a@example.com, b@evil.com", None), ("https://example.com@evil.com", None),
        ("a@evilexample.com", False), ("https://example.com.evil.com", False), ("", None), ("nobody", False), (7, None),
    ],
)  # fmt: skip
def test_domains(to, holds):
    one = {"path": "to", "op": "domain-in", "value": HOUSE}
    assert tell(one, {"to": to}, every=True).holds is holds


@pytest.mark.parametrize(
    "condition",
    [
        {"path": "to", "op": "domain-in", "value": []},
        {"path": "to", "op": "domain-in", "value": "example.com"},
        {"path": "to", "op": "domain-in", "value": ["not a domain"]},
        {"path": "to", "op": "domain-in", "value": [7]},
        {"path": "to", "op": "=", "value": "@input.lines.*.price"},
        {"path": "to", "op": "=", "value": "@input."},
        {"path": "to", "op": "=", "value": "@reporter.password"},
        {"path": "@reporter", "op": "exists", "value": True},
        {"path": "@reporter.password", "op": "=", "value": "x"},
    ],
)
def test_what_cannot_be_compared_is_said_when_it_is_written(condition):
    assert problems(condition)
    assert tell(condition, {"to": "x"}, every=True).holds is None


def test_nothing_follows_from_what_differs_from_call_to_call():
    two = [HERS, {**HERS, "value": "@input.other"}]
    assert contradiction(two) == ""
    assert contradiction([HERS, {**HERS, "op": "!=", "value": "@input.other"}]) == ""
    assert not implies(two[0], two[1])
    assert implies(HERS, dict(HERS))


def test_it_is_told_in_words():
    assert words_of("to", "=", "@input.customer.email") == "to is the run's input customer.email"
    assert words_of("to", "=", "@reporter.email") == "to is the email of who started the run"
    assert words_of("@reporter.username", "=", "ada") == "the username of who started the run is ada"
    assert words_of("to", "domain-in", HOUSE).startswith("to goes to one of the domains example.com, ")
