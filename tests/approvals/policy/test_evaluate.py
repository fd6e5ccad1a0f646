"""Rules and facts in, verdict and explanation out; and whatever goes wrong, nothing is let through."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdesk.ids import new_id
from approvals.models import Evaluation, PolicyVersion, Rule
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, evaluate
from approvals.policy.record import evaluate_action
from approvals.policy.versions import current, publish
from tests.approvals.cast import make_rule, make_team, make_user

TEAM = new_id()
FINANCE, LEGAL = str(new_id()), str(new_id())
SMALL = {"path": "amount", "op": "<=", "value": 50}


def rule(verdict, **facts):
    given_facts = {
        "id": str(new_id()),
        "name": f"{verdict} rule",
        "team": None,
        "agent": "*",
        "action": "*",
        "effects": [],
        "conditions": [],
        "verdict": verdict,
        "mode": "active",
        "reviewer_teams": [],
        "count": 1,
        "expires_after": None,
        "self_approval": False,
        "second_factor": False,
        "priority": 0,
        "note": "",
    }
    return {**given_facts, **facts}


def facts(**given_facts):
    return Facts(**{"agent": "support", "team_id": TEAM, "action": "issue_refund", "args": {"amount": "20.00"}, **given_facts})


def test_it_asks_when_no_rule_matches():
    verdict = evaluate(facts(), [])
    assert (verdict.effect, verdict.requirements["count"]) == (Effect.ASK, 1)


def test_it_lets_small_refunds_through_and_asks_for_big_ones():
    rules = [rule("allow", action="issue_refund", conditions=[SMALL])]
    assert evaluate(facts(), rules).effect == Effect.ALLOW
    assert evaluate(facts(args={"amount": "50.01"}), rules).effect == Effect.ASK
    assert evaluate(facts(action="cancel_order"), rules).effect == Effect.ASK


@pytest.mark.parametrize(
    "args", [{}, {"amount": None}, {"amount": "many"}, {"amount": ["20"]}, {"amount": True}, {"amount": "nan"}]
)
def test_it_reads_doubt_against_letting_through(args):
    assert evaluate(facts(args=args), [rule("allow", conditions=[SMALL])]).effect == Effect.ASK
    assert evaluate(facts(args=args), [rule("allow"), rule("deny", conditions=[SMALL])]).effect == Effect.DENY
    asked = evaluate(facts(args=args), [rule("allow"), rule("ask", conditions=[SMALL], count=2)])
    assert (asked.effect, asked.requirements["count"]) == (Effect.ASK, 2)


def test_it_denies_before_it_asks_and_asks_before_it_allows():
    assert evaluate(facts(), [rule("allow"), rule("ask"), rule("deny")]).effect == Effect.DENY
    assert evaluate(facts(), [rule("allow", priority=100), rule("ask")]).effect == Effect.ASK


def test_it_unites_the_requirements_of_all_rules_that_ask():
    rules = [
        rule("ask", reviewer_teams=[FINANCE], count=2, expires_after=600.0, self_approval=True),
        rule("ask", reviewer_teams=[LEGAL], expires_after=60.0, second_factor=True),
        rule("ask", reviewer_teams=[FINANCE], count=1),
    ]
    wanted = evaluate(facts(), rules).requirements
    groups = sorted((tuple(group["teams"]), group["count"]) for group in wanted["groups"])
    assert groups == sorted([((FINANCE,), 2), ((LEGAL,), 1)])
    assert (wanted["count"], wanted["expires_after"]) == (3, 60.0)
    assert (wanted["self_approval"], wanted["second_factor"]) == (False, True)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({"agent": "support"}, True),
        ({"agent": "supp*"}, True),
        ({"agent": "sales"}, False),
        ({"action": "issue_*"}, True),
        ({"action": "Issue_refund"}, False),
        ({"effects": ["write", "irreversible"]}, True),
        ({"effects": ["read"]}, False),
        ({"team": str(TEAM)}, True),
        ({"team": str(new_id())}, False),
        ({"mode": "off"}, False),
        ({"mode": "shadow"}, False),
    ],
)
def test_it_applies_rules_only_where_they_belong(selector, matches):
    assert (evaluate(facts(), [rule("deny", **selector)]).effect == Effect.DENY) is matches


def test_it_explains_a_shadow_rule_without_its_effect():
    verdict = evaluate(facts(), [rule("deny", mode="shadow")])
    assert verdict.effect == Effect.ASK
    assert [(one.mode, one.matched) for one in verdict.rules] == [("shadow", True)]


@pytest.mark.parametrize("doubt", [{"tool_known": False}, {"schema_changed": True}])
def test_it_asks_about_a_tool_that_nobody_vouches_for(doubt):
    assert evaluate(facts(**doubt), [rule("allow")]).effect == Effect.ASK
    assert evaluate(facts(**doubt), [rule("deny")]).effect == Effect.DENY


def test_it_requires_what_rules_for_any_effect_require_of_an_unknown_tool():
    rules = [rule("ask", effects=["irreversible"], count=3)]
    assert evaluate(facts(tool_known=False), rules).requirements["count"] == 3
    assert evaluate(facts(), rules).requirements["count"] == 1


def test_it_explains_each_condition_with_what_it_found():
    (one,) = evaluate(facts(), [rule("allow", conditions=[SMALL, {"path": "iban", "op": "exists", "value": True}])]).rules
    assert not one.matched
    assert [(told.path, told.actual, told.holds) for told in one.conditions] == [
        ("amount", "20.00", True),
        ("iban", None, False),
    ]


def test_it_reads_facts_that_arguments_cannot_forge():
    egress = {"path": "@egress", "op": "=", "value": True}
    assert evaluate(facts(egress=True, args={"@egress": False}), [rule("deny", conditions=[egress])]).effect == Effect.DENY
    about = {"path": "@input.ticket", "op": "=", "value": 7}
    assert evaluate(facts(run_input={"ticket": 7}), [rule("deny", conditions=[about])]).effect == Effect.DENY


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
some_conditions = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["amount", "to", "lines.*", "@risk"]),
            "op": st.sampled_from(["=", "!=", "<=", ">", "in", "glob", "exists", "nonsense"]),
            "value": json_values,
        }
    ),
    max_size=2,
)
some_rules = st.lists(
    st.builds(
        rule,
        st.sampled_from(["allow", "ask", "deny", "nonsense"]),
        conditions=some_conditions,
        mode=st.sampled_from(["active", "shadow", "off"]),
        agent=st.sampled_from(["*", "support", "other"]),
        count=st.integers(1, 3),
    ),
    max_size=4,
)


@given(some_rules, st.dictionaries(st.sampled_from(["amount", "to", "lines"]), json_values))
def test_it_allows_only_when_a_rule_surely_allows_and_none_objects(rules, args):
    verdict = evaluate(facts(args=args), rules)
    mine = [one for one in rules if one["mode"] == "active" and one["agent"] in ("*", "support")]
    matched = {one.id for one in verdict.rules if one.matched}
    sure = [one for one in verdict.rules if one.verdict == "allow" and one.matched and one.mode == "active"]
    if verdict.effect == Effect.ALLOW:
        assert sure
        assert all(told.holds is True for one in sure for told in one.conditions)
        assert not [one for one in mine if one["verdict"] != "allow" and one["id"] in matched]
    denied = [one for one in mine if one["verdict"] == "deny" and one["id"] in matched]
    assert (verdict.effect == Effect.DENY) == bool(denied)


@given(some_rules, st.dictionaries(st.sampled_from(["amount", "to"]), json_values), st.sampled_from(["ask", "deny"]))
def test_it_is_never_looser_with_one_more_rule_that_holds_back(rules, args, verdict):
    order = [Effect.ALLOW, Effect.ASK, Effect.DENY]
    before = evaluate(facts(args=args), rules).effect
    after = evaluate(facts(args=args), [*rules, rule(verdict)]).effect
    assert order.index(after) >= order.index(before)


@pytest.mark.django_db
class TestOnRecord:
    def test_it_writes_every_evaluation_down(self):
        allow = make_rule("allow", action="issue_refund", conditions=[SMALL])
        evaluation = evaluate_action(facts(), "runs", "ref")
        evaluation.refresh_from_db()
        assert (evaluation.verdict, evaluation.error, evaluation.source_ref) == ("allow", "", "ref")
        assert evaluation.policy_version == PolicyVersion.objects.get().pk
        assert [one["id"] for one in evaluation.rules] == [str(allow.pk)]
        assert evaluation.facts["args"] == {"amount": "20.00"}
        assert "input" not in evaluation.facts

    def test_it_keeps_the_input_when_a_rule_reads_it(self):
        make_rule("deny", conditions=[{"path": "@input.ticket", "op": "=", "value": 8}])
        assert evaluate_action(facts(run_input={"ticket": 7}), "runs", "ref").facts["input"] == {"ticket": 7}

    def test_it_asks_before_any_rule_was_published(self):
        make_rule("allow", publish_it=False)
        evaluation = evaluate_action(facts(), "runs", "ref")
        assert (evaluation.verdict, evaluation.policy_version) == ("ask", None)

    @pytest.mark.parametrize("broken", [[{}], [None], "nonsense", [{"mode": "active"}]])
    def test_it_asks_when_the_rules_cannot_be_read(self, broken, caplog):
        from agentdesk.digests import digest

        PolicyVersion.objects.create(digest=digest(broken), rules=broken)
        evaluation = evaluate_action(facts(), "runs", "ref")
        assert evaluation.verdict == "ask"
        assert evaluation.error
        assert "policy evaluation failed" in caplog.text

    def test_it_asks_when_a_policy_version_was_tampered_with(self, caplog):
        make_rule("ask")
        PolicyVersion.objects.update(rules=[rule("allow")], digest="sha256:" + "1" * 64)
        evaluation = evaluate_action(facts(), "runs", "ref")
        assert evaluation.verdict == "ask"
        assert "changed after it was published" in evaluation.error

    def test_it_stores_values_that_the_database_would_refuse(self):
        make_rule("deny", conditions=[{"path": "amount", "op": "=", "value": "x"}])
        evaluation = evaluate_action(facts(args={"amount": "\x00\ud800" * 300}), "runs", "ref")
        evaluation.refresh_from_db()
        assert evaluation.verdict == "ask"

    def test_it_publishes_a_version_for_each_change_only(self):
        author = make_user(make_team())
        one = make_rule("allow", publish_it=False, expires_after=timedelta(minutes=5))
        first = publish(author, "why")
        assert publish(author, "again") == first
        assert (first.author, first.reason, first.rules[0]["expires_after"]) == (author, "why", 300.0)
        Rule.objects.filter(pk=one.pk).update(mode=Rule.Mode.OFF)
        second = publish(None)
        assert (second.rules, second.pk > first.pk) == ([], True)
        assert current() == (second.pk, ())

    def test_it_reads_each_version_once(self, django_assert_num_queries):
        make_rule("allow")
        evaluate_action(facts(), "runs", "ref")
        with django_assert_num_queries(2):  # which version is newest, and the evaluation's own row
            evaluate_action(facts(), "runs", "ref")
        assert Evaluation.objects.count() == 2
