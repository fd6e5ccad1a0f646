"""Counts and sums over calls: what they mean, that they are right on real rows, and right when two calls come at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agentdesk.audit.record import Actor
from agentdesk.people.models import Team
from approvals import requests
from approvals.decisions import decide
from approvals.erasure import erase_content
from approvals.models import Approval, Evaluation
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.conditions import problems
from approvals.policy.evaluate import Facts, ReadyRule, evaluate, tallies_for
from approvals.policy.lint import Known, lint
from approvals.policy.measure import measure, number_at
from approvals.policy.record import evaluate_action
from approvals.policy.replay import past_calls, replay
from approvals.policy.tallies import Counted, Series, Tally, tally_of
from approvals.states import Kind, Verdict
from tests.approvals.cast import make_rule, make_team, make_user
from tests.approvals.policy.test_evaluate import TEAM, rule

NO_AMOUNTS = ["x", "", True, None, [1], {}, -4, "-0.01", "5\u2003", "5\u00a0", "\u0665"]
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIVE_AN_HOUR = [{"path": "@count.1h", "op": "<=", "value": 5}]


def call(team: Team, amount: Any = "10.00", **facts: Any) -> Facts:
    given = {"agent": "support", "team_id": team.pk, "action": "issue_refund", "args": {"amount": amount}, **facts}
    return Facts(**given)


def proposed(team: Team, amount: Any = "10.00", *, ref: str = "run-1", **how: Any) -> Evaluation:
    return evaluate_action(call(team, amount, **how.pop("facts", {})), "runs", ref, **how)


def asked(team: Team, evaluation: Evaluation, key: str = "") -> Approval:
    args = {"amount": evaluation.facts["args"]["amount"]}
    ask = requests.Ask(
        source="runs", source_ref=evaluation.source_ref, request_key=f"{evaluation.pk}{key}", kind=Kind.TOOL_CALL,
        agent="support", team_id=team.pk, action="issue_refund", args=args,
        allowed=[Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT],
        args_schema={"type": "object"}, evaluation=evaluation, requirements=evaluation.requirements,
    )  # fmt: skip
    return requests.request_approval(ask, actor=Actor.desk())[0]


def said(approval: Approval, user: Any, verdict: str, **what: Any) -> Approval:
    decide(approval.pk, actor=Actor.of(user), verdict=verdict, digest=approval.digest, version=approval.version, **what)
    approval.refresh_from_db()
    return approval


def measured(team: Team, *paths: str, amount: Any = "10.00", ref: str = "run-1", **how: Any) -> list[Any]:
    tallies = [tally for path in paths if (tally := tally_of(path)) is not None]
    assert len(tallies) == len(paths)
    found = measure(call(team, amount), tallies, source="runs", source_ref=ref, **{"at": timezone.now(), **how})
    return [found[path] for path in paths]


@pytest.mark.parametrize(
    ("path", "window", "argument"),
    [
        ("@count.run", None, ()), ("@count.90m", timedelta(minutes=90), ()), ("@count.31d", timedelta(days=31), ()),
        ("@sum.1d.amount", timedelta(days=1), ("amount",)), ("@sum.run.lines.0.price", None, ("lines", "0", "price")),
    ],
)  # fmt: skip
def test_it_reads_what_a_path_asks_for(path: str, window: timedelta | None, argument: tuple[str, ...]):
    assert tally_of(path) == Tally(path, window, argument)
    assert problems({"path": path, "op": "<=", "value": 5}) == []


@pytest.mark.parametrize(
    "path", ["@count", "@count.1w", "@count.0h", "@count.32d", "@count.1h.amount", "@sum.1d", "@sum.1d.lines.*.price", "@sum"]
)
def test_it_says_what_it_cannot_count(path: str):
    assert tally_of(path) is None
    assert problems({"path": path, "op": "<=", "value": 5})


def test_a_count_is_compared_with_a_number():
    for condition in ({"op": "=", "value": "many"}, {"op": "in", "value": [1, 2]}, {"op": "exists", "value": True}):
        assert problems({"path": "@count.1h", **condition})


def test_a_rule_counts_the_call_itself():
    facts = Facts(agent="a", team_id=TEAM, action="pay", args={}, tallies={"@count.1h": 5})
    rules = [rule("allow", conditions=FIVE_AN_HOUR)]
    assert evaluate(facts, rules).effect == Effect.ALLOW
    assert evaluate(replace(facts, tallies={"@count.1h": 6}), rules).effect == Effect.ASK
    for unknown in ({}, {"@count.1h": None}):
        assert evaluate(replace(facts, tallies=unknown), rules).effect == Effect.ASK
        assert evaluate(replace(facts, tallies=unknown), [rule("deny", conditions=FIVE_AN_HOUR)]).effect == Effect.DENY


def test_only_rules_that_speak_about_the_call_make_it_count():
    facts = Facts(agent="support", team_id=TEAM, action="issue_refund", args={})
    rules = [
        ReadyRule.of(rule("allow", action=action, mode=mode, conditions=[{"path": path, "op": "<", "value": 3}]))
        for action, mode, path in [
            ("issue_*", "active", "@count.1h"), ("*", "shadow", "@count.1d"), ("send_*", "active", "@count.2h"),
            ("*", "off", "@count.3h"), ("*", "active", "amount"),
        ]
    ]  # fmt: skip
    assert {tally.path for tally in tallies_for(facts, rules)} == {"@count.1h", "@count.1d"}


class TestOnTheRecord:
    pytestmark = pytest.mark.usefixtures("db")

    def test_at_most_five_an_hour(self):
        team = make_team()
        make_rule("allow", name="five an hour", conditions=FIVE_AN_HOUR)
        assert [proposed(team).verdict for _ in range(7)] == ["allow"] * 5 + ["ask"] * 2
        explained = Evaluation.objects.order_by("at").last()
        assert explained is not None
        assert explained.rules[0]["conditions"][0]["actual"] == 7
        assert explained.facts["tallies"] == {"@count.1h": 7}
        Evaluation.objects.update(at=timezone.now() - timedelta(minutes=61))
        assert proposed(team).verdict == "allow"

    def test_at_most_500_a_day(self):
        team = make_team()
        make_rule("allow", conditions=[{"path": "@sum.1d.amount", "op": "<=", "value": 500}])
        verdicts = [proposed(team, amount).verdict for amount in ("300.00", 200, Decimal("0.01"))]
        assert verdicts == ["allow", "allow", "ask"]

    def test_what_is_denied_does_not_use_a_limit_up(self):
        team = make_team()
        make_rule("allow")
        make_rule("deny", conditions=[{"path": "@sum.1d.amount", "op": ">", "value": 100}])
        assert [proposed(team, n).verdict for n in (90, 20, 15, 10, 1)] == ["allow", "deny", "deny", "allow", "deny"]

    def test_other_agents_tools_and_rehearsals_do_not_count(self):
        team = make_team()
        proposed(team)
        proposed(team, facts={"agent": "depot"})
        proposed(team, facts={"action": "cancel_order"})
        proposed(team, counted=False)
        proposed(team, occasion=Occasion.EXECUTING)
        assert measured(team, "@count.1h", "@sum.1h.amount") == [2, Decimal("20.00")]

    def test_a_run_counts_its_own_calls(self):
        team = make_team()
        for ref in ("run-1", "run-1", "run-2", ""):
            proposed(team, ref=ref)
        Evaluation.objects.update(at=timezone.now() - timedelta(days=40))
        assert measured(team, "@count.run", "@count.1h") == [3, 1]
        assert measured(team, "@count.run", "@sum.run.amount", ref="") == [None, None], "who names no run has none"

    @pytest.mark.parametrize(
        ("verdict", "counts"), [("approve", True), ("reject", False), ("", True), ("expire", False), ("withdraw", False)]
    )
    def test_what_people_refused_does_not_count(self, verdict: str, counts: bool):
        team = make_team()
        approval = asked(team, proposed(team, "40.00"))
        if verdict == "withdraw":
            requests.withdraw(approval.pk, Actor.desk())
        elif verdict == "expire":
            Approval.objects.update(status="expired")
        elif verdict:
            said(approval, make_user(team), verdict)
        assert measured(team, "@count.1h", "@sum.1h.amount") == ([2, Decimal(50)] if counts else [1, Decimal(10)])

    def test_a_modification_counts_with_its_new_arguments(self):
        team = make_team()
        make_rule("ask", name="two people over 500", count=2, conditions=[{"path": "@sum.1d.amount", "op": ">", "value": 500}])
        other = said(asked(team, proposed(team, "100.00")), make_user(team), "modify", args={"amount": "450.00"})
        assert measured(team, "@sum.1d.amount") == [Decimal("460.00")]
        second = asked(team, proposed(team, "50.00"))
        assert (other.need, second.need) == (1, 1)
        changed = said(second, make_user(team), "modify", args={"amount": "51.00"})
        assert (changed.need, changed.status) == (2, "pending"), "it may need more people"

    def test_a_call_about_to_run_is_counted_as_of_its_proposal(self):
        team = make_team()
        first = proposed(team)
        for _ in range(9):
            proposed(team)
        make_rule("deny", conditions=[{"path": "@count.1h", "op": ">", "value": 5}])
        calls = list(Evaluation.objects.order_by("at"))
        again = [evaluate_action(call(team), "runs", "run-1", Occasion.EXECUTING, of=one).verdict for one in calls]
        assert calls[0] == first
        assert again == ["ask"] * 5 + ["deny"] * 5

    def test_a_value_that_is_no_number_makes_the_sum_unknown(self):
        team = make_team()
        proposed(team, "a lot")
        assert measured(team, "@sum.1h.amount", "@count.1h") == [None, 2]
        assert measured(team, "@sum.1h.amount", amount=True, before=NOON) == [None]

    def test_an_amount_below_zero_buys_no_room(self):
        team = make_team()
        make_rule("allow", conditions=[{"path": "@sum.1d.amount", "op": "<=", "value": 500}])
        assert [proposed(team, amount).verdict for amount in (-100_000, 600, 10)] == ["ask", "ask", "ask"]

    def test_a_call_is_counted_as_of_the_decision_that_let_it_through(self):
        team = make_team()
        make_rule("ask", name="all")
        make_rule("deny", conditions=[{"path": "@sum.1d.amount", "op": ">", "value": 500}])
        first = proposed(team, 400)
        requests.withdraw(asked(team, first).pk, Actor.desk())
        assert proposed(team, 400, ref="run-2").verdict == "ask", "what was withdrawn does not count"
        again = asked(team, first, key="again")
        said(again, make_user(team), "approve")
        now = evaluate_action(call(team, 400), "runs", "run-1", Occasion.EXECUTING, of=first)
        assert now.verdict == "deny", "800 of 500"

    def test_an_erased_call_still_counts_and_its_amount_is_unknown(self):
        team = make_team()
        approval = said(asked(team, proposed(team)), make_user(team), "approve")
        erase_content("runs", approval.source_ref)
        assert measured(team, "@count.1h", "@sum.1h.amount") == [2, None]

    @pytest.mark.parametrize(
        "amount",
        [1, 1.5, "2.50", " 3 ", "\t4\n", ".5", "1e2", Decimal("7.25"), 2**70, "1" * 390, 1e16, *NO_AMOUNTS],
    )
    def test_the_database_reads_numbers_as_rules_do(self, amount: Any):
        team = make_team()
        proposed(team, amount)
        expected = number_at({"amount": amount}, ("amount",))
        assert measured(team, "@sum.1h.amount", amount=0) == [expected]

    def test_it_finds_arguments_inside_others(self):
        team = make_team()
        args = {"lines": [{"price": "3.00"}]}
        proposed(team, facts={"args": args})
        tally = tally_of("@sum.1h.lines.0.price")
        assert tally is not None
        found = measure(call(team, args=args), [tally], source="runs", source_ref="", at=timezone.now())
        assert found == {tally.path: Decimal("6.00")}

    def test_it_asks_the_database_once_for_all_rules(self, django_assert_num_queries: Any):
        team = make_team()
        for path in ("@count.1h", "@count.run", "@sum.1d.amount", "@sum.2d.amount", "@sum.run.amount"):
            make_rule("ask", conditions=[{"path": path, "op": ">", "value": 3}])
        proposed(team)
        with django_assert_num_queries(4):  # the version, the lock, all counts and sums, the evaluation's own row
            proposed(team)

    def test_a_replay_counts_the_calls_that_it_looks_at(self):
        team = make_team()
        reviewer = make_user(team)
        for n in range(8):
            evaluation = proposed(team, n)
            Evaluation.objects.filter(pk=evaluation.pk).update(at=timezone.now() - timedelta(minutes=8 - n))
        refused = asked(team, proposed(team, 1))
        said(refused, reviewer, "reject")
        calls, _cut = past_calls(None)
        shown = replay(calls, [], [rule("allow", conditions=FIVE_AN_HOUR)])
        assert [(kind.before, kind.after, kind.count) for kind in shown.kinds] == [("ask", "allow", 5)]
        by_sum = replay(calls, [], [rule("deny", conditions=[{"path": "@sum.1d.amount", "op": ">", "value": 14}])])
        assert [(kind.after, kind.count) for kind in by_sum.kinds] == [("deny", 4)], "5, 6, 7, and the one that was refused"
        by_run = replay(calls, [], [rule("deny", conditions=[{"path": "@count.run", "op": ">=", "value": 9}])])
        assert [kind.count for kind in by_run.kinds] == [1]


@pytest.mark.parametrize("limit", ["@count.1h", "@sum.1h.amount"])
def test_two_calls_at_once_are_never_both_the_last_one(committed: None, limit: str):
    team = make_team()
    make_rule("allow", conditions=[{"path": limit, "op": "<=", "value": 5}])
    barrier = Barrier(8)

    def propose(_n: int) -> list[str]:
        try:
            verdicts = []
            for n in range(3):
                if n == 0:
                    barrier.wait()
                with transaction.atomic():  # as the gate: the verdict and what follows from it are one transaction
                    verdicts.append(str(proposed(team, 1).verdict))
            return verdicts
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        verdicts = [verdict for each in pool.map(propose, range(8)) for verdict in each]
    assert (verdicts.count("allow"), verdicts.count("ask")) == (5, 19)


def brute(calls: list[Counted], tally: Tally, at: datetime, run: tuple[str, str]) -> Any:
    earlier = [c for c in calls if c.at < at and (c.run == run if tally.window is None else c.at > at - tally.window)]
    if not tally.argument:
        return len(earlier)
    numbers = [number_at(c.args, tally.argument) for c in earlier]
    return None if None in numbers else sum((n for n in numbers if n is not None), Decimal(0))


some_calls = st.lists(
    st.builds(
        lambda minute, run, amount: Counted(NOON + timedelta(minutes=minute), ("runs", run), {"amount": amount}),
        st.integers(0, 300), st.sampled_from(["a", "b"]), st.one_of(st.integers(-50, 50), st.just("x")),
    ),
    max_size=12,
)  # fmt: skip


@given(some_calls, st.integers(0, 300), st.sampled_from(["@count.1h", "@count.run", "@sum.2h.amount", "@sum.run.amount"]))
def test_a_series_counts_as_one_would_by_hand(calls: list[Counted], minute: int, path: str):
    tally = tally_of(path)
    assert tally is not None
    at, run = NOON + timedelta(minutes=minute), ("runs", "a")
    assert Series(calls, number_at).before(tally, at, run) == brute(calls, tally, at, run)


def test_lint_knows_counts_and_the_arguments_of_sums():
    known = Known("a", "pay", str(UUID(int=1)), "write", {"type": "object", "properties": {"amount": {}}})

    def kinds(path: str, value: int) -> list[str]:
        found = lint([rule("ask", conditions=[{"path": path, "op": "<", "value": value}])], [known])
        return [finding.kind for finding in found]

    assert kinds("@sum.1d.amount", 5) == []
    assert kinds("@sum.1d.amout", 5) == ["unknown_argument"]
    assert kinds("@count.1h", 1) == ["never"]
    assert kinds("@count.1h", 2) == []
    assert kinds("@count.run", 1) == [], "a program that names no run leaves a doubt"


def test_several_actions_of_one_transaction_never_wait_for_each_other(committed: None):
    team = make_team()
    make_rule("ask", conditions=FIVE_AN_HOUR)
    barrier = Barrier(2)

    def pause(order: list[str]) -> list[str]:
        try:
            with transaction.atomic():
                first = proposed(team, facts={"action": order[0]}, in_turn=False)
                barrier.wait()
                return [str(first.verdict), str(proposed(team, facts={"action": order[1]}, in_turn=False).verdict)]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(pause, [["pay", "refund"], ["refund", "pay"]])) == [["ask", "ask"]] * 2
