"""The advanced field of a rule: what it reads, what is refused on saving, and what every doubt comes to."""

import time
from decimal import Decimal

import pytest

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from approvals.models import PolicyVersion, Rule
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, evaluate
from approvals.policy.exchange import BadPolicy, export, put_in_force, read
from approvals.policy.expressions import problems, ready
from approvals.policy.lint import Known, lint_rule
from approvals.policy.record import evaluate_action
from approvals.policy.replay import Past, replay
from approvals.policy.versions import current, roll_back
from approvals.web.reading import explained
from tests.approvals.cast import make_approval, make_rule, make_team
from tests.approvals.policy.test_evaluate import facts, rule

LARGE = "number(args.amount) > 200"


def holds(expression: str, args=None, **given) -> bool | None:
    told = evaluate(facts(args=args or {}, **given), [rule("ask", expression=expression)]).rules[0].conditions[-1]
    return told.holds


@pytest.mark.parametrize(
    ("expression", "args", "expected"),
    [
        (LARGE, {"amount": "240.00"}, True),
        (LARGE, {"amount": Decimal("200")}, False),
        (LARGE, {"amount": 2**80}, True),
        (LARGE, {"amount": "nan"}, None),
        (LARGE, {"amount": "1_000"}, None),
        (LARGE, {"amount": "x"}, None),
        (LARGE, {"amount": True}, None),
        (LARGE, {}, None),
        ("args.amount > 200", {"amount": "240.00"}, None),
        ("args.amount", {"amount": 1}, None),
        ("number(args.a) != 5.0", {"a": "x"}, None),
        ("has(args.iban) && args.iban.startsWith('DE')", {}, False),
        ("args.lines.exists(x, x.price > 100)", {"lines": [{"price": 1}, {"price": 200}]}, True),
        ("args.lines.all(x, x.price < 100)", {"lines": [{"price": 1}, {}]}, None),
        ("args.to in ['a', 'b'] && size(args.to) == 1", {"to": "b"}, True),
        ("args.to.matches('^[a-z]+@example[.]org$')", {"to": "mara@example.org"}, True),
        ("args.x == 1", {"x": float("inf")}, None),
        ("args.x == 'a'", {"x": "\ud800"}, None),
        ("args.x == 'a'", {"x": "a" * 50_000}, None),
        ("size(args.x) > 1", {"x": list(range(5000))}, None),
        ("args.x.exists(y, y > 1)", {"x": list(range(300))}, None),
    ],
)
def test_it_holds_or_not_or_cannot_be_told(expression, args, expected):
    assert problems(expression) == []
    assert holds(expression, args) is expected


def test_it_reads_the_facts_that_conditions_read():
    given = {"run_input": {"customer": 17}, "effect": "read", "egress": False, "risk": "low", "confidence": 0.4}
    assert holds("input.customer == args.customer && effect == 'read' && !egress && risk == 'low'", {"customer": 17}, **given)
    assert holds("agent == 'support' && tool == 'issue_refund' && confidence < 0.5", **given) is True
    assert holds("confidence < 0.5") is None
    assert holds("input.customer == 17") is None
    counted = facts(tallies={"@count.1h": 6, "@sum.1d.amount": Decimal("700")})
    asked = rule("deny", expression='count["1h"] > 5 && sum["1d.amount"] > 500')
    assert evaluate(counted, [asked]).effect == Effect.DENY
    assert evaluate(facts(args={"effect": "read", "@given": 1}), [rule("deny", expression="effect == 'read'")]).effect == "ask"


@pytest.mark.parametrize("args", [{}, {"amount": "nan"}, {"amount": []}, {"amount": None}])
def test_it_reads_doubt_against_letting_through(args):
    assert evaluate(facts(args=args), [rule("allow", expression="number(args.amount) <= 50")]).effect == Effect.ASK
    assert evaluate(facts(args=args), [rule("allow"), rule("deny", expression=LARGE)]).effect == Effect.DENY
    assert evaluate(facts(args=args), [rule("allow"), rule("ask", expression=LARGE, count=2)]).requirements["count"] == 2


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("args.amount >", "no CEL expression"),
        ("1 +" + " 1 +" * 200, "at most 500 characters"),
        ("(" * 13 + "true" + ")" * 13, "Brackets"),
        ("args.l.all(x, args.l.all(y, x == y))", "At most one"),
        ("args.l.map(x, args.l).size() > 1", "map"),
        ("double(args.amount) > 1.0", "double"),
        ("amount > 1", "Unknown: amount"),
        ("args.s.matches(args.p)", "stands in the expression"),
        ("args.l.exists(x, x.matches('a'))", "none beside"),
        ("args.s == r'a'", "signs"),
        ("args.s == '''a'''", "signs"),
        ("true // all", "Unknown: all"),
        ('count["40d"] > 1', "up to 31d"),
        ("size(count) > 1", "up to 31d"),
        ("args.l.exists(args, true)", "one of your own"),
    ],
)
def test_it_is_refused_in_words(expression, said):
    assert said in " ".join(problems(expression))
    assert ready(expression).program is None
    assert holds(expression) is None


def test_it_does_not_let_confidence_allow():
    assert problems("confidence > 0.9") == []
    assert "never allow" in problems("confidence > 0.9", allows=True)[0]
    assert problems("args.confidence > 0.9", allows=True) == []


@pytest.mark.parametrize(
    "expression",
    [
        "args.l.filter(x, x in args.l && x in args.l && x in args.l && x in args.l && x in args.l).size() > 999",
        "args.s.matches('((a|b)*c){50}') || args.s.matches('((a|aa)+)+$')",
        "+".join(["args.s"] * 70) + " == ''",
    ],
)
def test_it_ends_soon_whatever_the_agent_sends(expression):
    assert problems(expression) == []
    began = time.process_time()
    holds(expression, {"l": list(range(197)), "s": ""})
    holds(expression, {"l": [], "s": "ab" * 9_900})
    assert time.process_time() - began < 2


def test_it_stays_with_the_rule_in_versions_files_lint_and_replay():
    team = make_team()
    first = make_rule("deny", expression=LARGE, action="issue_refund", team=team)
    version, rules = current()
    assert rules[0]["expression"] == LARGE
    text = export(Rule.objects.all())
    assert LARGE in text
    assert put_in_force(text, Actor.desk(), "same").changes == []
    changed = put_in_force(text.replace("> 200", "> 300"), Actor.desk(), "more")
    assert [part[0] for part in changed.changes[0].parts] == ["expression"]
    roll_back(PolicyVersion.objects.get(pk=version), Actor.desk(), "back")
    first.refresh_from_db()
    assert first.expression == LARGE
    with pytest.raises(BadPolicy, match="rule 1: expression: Unknown: amount"):
        read("rules:\n- {name: a, verdict: ask, expression: amount > 1}")
    known = [Known("support", "issue_refund", str(team.pk), "write", {"properties": {"price": {}}})]
    assert [found.kind for found in lint_rule(rules[0], rules, known)] == ["unknown_argument"]
    past = Past(new_id(), facts().at, facts(team_id=team.pk, args={"amount": "300"}), has_input=False)
    (kind,) = replay([past], [], rules).kinds
    assert (kind.before, kind.after) == (Effect.ASK, Effect.DENY)


def test_it_goes_back_to_a_version_from_before_there_were_expressions():
    from agentdesk.digests import digest

    one = make_rule("deny", expression=LARGE)
    _number, rules = current()
    old = [{part: value for part, value in rules[0].items() if part != "expression"}]
    version = PolicyVersion.objects.create(digest=digest(old), rules=old)
    assert evaluate_action(facts(team_id=make_team().pk), "runs", "ref").verdict == "deny"
    roll_back(version, Actor.desk(), "back")
    one.refresh_from_db()
    assert one.expression == ""


def test_reviewers_read_it():
    team = make_team()
    make_rule("ask", expression=LARGE)
    evaluation = evaluate_action(Facts("support", team.pk, "issue_refund", {"amount": "240.00"}), "runs", "ref")
    (told,) = explained(make_approval(team, evaluation=evaluation))
    assert (told.conditions[0].words, told.conditions[0].met) == (f"the expression {LARGE}", "met")


pytestmark = pytest.mark.django_db
