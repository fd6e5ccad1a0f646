"""What was said once stays said, and what people are shown is what was evaluated.

The rules are compared here with a second evaluator that knows nothing of the first: numbers and texts, few operators, told the
long way round.
"""

from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

from approvals.models import Evaluation, Rule, Tool
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, evaluate
from approvals.policy.record import evaluate_action
from approvals.policy.versions import publish
from approvals.web.reading import explained
from tests.approvals.cast import make_approval, make_rule, make_team, make_user, post
from tests.approvals.policy.test_evaluate import rule

SEED = 7
MANY, ON_RECORD = 3_000, 60
VALUES = [None, 0, 5, "5.00", "50", "EUR", "many", True, -1, "1e1"]
ARGUMENTS = ["amount", "currency", "lines"]
WORDS = {Effect.ASK: "asks people", Effect.ALLOW: "allows", Effect.DENY: "denies"}
MET = {True: "met", False: "not met", None: "cannot be told"}


def some_rule(random: Random, number: int) -> dict[str, Any]:
    conditions = [
        {
            "path": random.choice(ARGUMENTS), "op": (op := random.choice(["=", "<", "<=", ">", ">=", "exists"])),
            "value": random.random() < 0.5 if op == "exists" else random.choice([5, "50", "EUR"] if op == "=" else [0, 5, 50]),
        }
        for _each in range(random.randrange(3))
    ]  # fmt: skip
    verdict = random.choice(["allow", "ask", "ask", "deny"])
    mode = random.choice(["active", "active", "active", "shadow", "off"])
    made: dict[str, Any] = rule(
        verdict, name=f"rule {number}", conditions=conditions, mode=mode, count=random.randint(1, 3), priority=number
    )
    return made


def some_args(random: Random) -> dict[str, Any]:
    return {name: random.choice(VALUES) for name in random.sample(ARGUMENTS, random.randrange(len(ARGUMENTS) + 1))}


def number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def holds(condition: dict[str, Any], args: dict[str, Any]) -> bool | None:
    op, wanted, name = condition["op"], condition["value"], condition["path"]
    actual = args.get(name)
    if op == "exists":
        return bool((name in args and actual is not None) == wanted)
    if actual is None:
        return None
    one, other = number(actual), number(wanted)
    if op == "=":
        if isinstance(actual, bool):
            return None
        if one is not None and other is not None:
            return one == other
        return bool(actual == wanted) if isinstance(actual, str) and isinstance(wanted, str) else None
    if one is None or other is None:
        return None
    return {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[op]


def matched(one: dict[str, Any], args: dict[str, Any]) -> bool:
    """Doubt counts as met where a rule holds back, and as not met where it lets through."""
    told = [holds(condition, args) for condition in one["conditions"]]
    return all(each is True for each in told) if one["verdict"] == "allow" else all(each is not False for each in told)


def naive(rules: list[dict[str, Any]], args: dict[str, Any]) -> Effect:
    said = {one["verdict"] for one in rules if one["mode"] == "active" and matched(one, args)}
    return next((effect for effect in (Effect.DENY, Effect.ASK, Effect.ALLOW) if effect in said), Effect.ASK)


def test_the_verdict_and_each_condition_are_what_a_second_evaluator_says(record_property):
    random, seen = Random(SEED), set()
    for _each in range(MANY):
        rules = [some_rule(random, number) for number in range(random.randint(0, 6))]
        args = some_args(random)
        verdict = evaluate(Facts("support", None, "issue_refund", args), rules)
        assert verdict.effect == naive(rules, args), (rules, args)
        if any(one["verdict"] == "deny" and one["mode"] == "active" and matched(one, args) for one in rules):
            assert verdict.effect == Effect.DENY, "deny wins, whatever else is said"
        by_id = {one["id"]: one for one in rules if one["mode"] != "off"}
        assert {told.id for told in verdict.rules} == set(by_id)
        for told in verdict.rules:
            mine = by_id[told.id]
            assert told.matched == matched(mine, args)
            assert [one.holds for one in told.conditions] == [holds(condition, args) for condition in mine["conditions"]]
        seen.add(verdict.effect)
    assert seen == set(Effect)
    record_property("evaluations", f"{MANY}, each as a second evaluator says")


def test_what_is_shown_is_what_was_evaluated(db):
    random, team = Random(SEED), make_team()
    for _each in range(ON_RECORD):
        Rule.objects.all().delete()
        rules = [some_rule(random, number) for number in range(random.randint(1, 5))]
        for one in rules:
            told = {name: one[name] for name in ("name", "conditions", "verdict", "mode", "count", "priority")}
            make_rule(told.pop("verdict"), publish_it=False, **told)
        publish(None, "test")
        args = some_args(random)
        evaluation = evaluate_action(Facts("support", team.pk, "issue_refund", args), "runs", "ref")
        assert evaluation.verdict == naive(rules, args)
        shown = explained(make_approval(team, args=args, args_schema=None, evaluation=evaluation))
        expected = [one for one in rules if one["mode"] == "active" and matched(one, args)]
        assert sorted((one.name, one.verdict) for one in shown) == sorted(
            (one["name"], WORDS[one["verdict"]]) for one in expected
        )
        for one in shown:
            mine = next(each for each in expected if each["name"] == one.name)
            assert [told.met for told in one.conditions] == [MET[holds(condition, args)] for condition in mine["conditions"]]


def test_a_frozen_verdict_never_changes_whatever_admins_do_afterwards(db):
    random, team = Random(SEED), make_team()
    reviewers = [make_user(team), make_user(team)]
    tool = Tool.objects.create(agent="support", name="issue_refund", team=team)
    make_rule("ask", action="issue_refund", count=2, name="two people")
    facts = Facts("support", team.pk, "issue_refund", {"order_id": "A-1", "amount": "240.00"})
    evaluation = evaluate_action(facts, "runs", "ref")
    approval = make_approval(
        team, evaluation=evaluation, requirements=evaluation.requirements, policy_version=evaluation.policy_version
    )
    row = Evaluation.objects.filter(pk=evaluation.pk).values().get()
    before = (row, explained(approval), approval.requirements)
    for step in range(20):
        for one in Rule.objects.all() if random.random() < 0.5 else ():
            one.delete()
        made = some_rule(random, step)
        make_rule(random.choice(["allow", "ask", "deny"]), name=f"later {step}", conditions=made["conditions"], count=3)
        Tool.objects.filter(pk=tool.pk).update(risk=random.choice(["low", "critical"]), effect=random.choice(["read", "write"]))
        approval = type(approval).objects.get(pk=approval.pk)
        row = Evaluation.objects.filter(pk=evaluation.pk).values().get()
        assert (row, explained(approval), approval.requirements) == before
    assert post(approval, reviewers[0]).decision is None, "two people, as it was said then"
    assert post(approval, reviewers[1]).decision is not None
    assert Evaluation.objects.filter(pk=evaluation.pk).values().get() == before[0]
