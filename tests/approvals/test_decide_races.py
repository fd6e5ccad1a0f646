"""Several at once, each on a connection of its own: one wins, the others are told, and the record has one decision."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import requests, standing
from approvals.decisions import Outcome, expire_due, remind_due
from approvals.errors import AlreadyDecided, ApprovalError, Expired, NotCurrent
from approvals.handover import consume, mark_delivered
from approvals.models import Approval, Decision, Review, StandingApproval
from approvals.states import Status
from tests.approvals.cast import ARGS, entries, make_approval, make_ask, make_rule, make_team, make_user, post
from tests.approvals.test_standing import ask as ask_low

RACES = 200
MOST = 8  # acts at the same moment


type Act = Callable[[], Any]
type AtOnce = Callable[..., list[Any]]


@pytest.fixture
def at_once(committed: None) -> Iterator[AtOnce]:
    """Return a function that runs acts at the same moment, and returns what each returned or raised, in their order."""
    with ThreadPoolExecutor(MOST) as pool:

        def run(act: Act, barrier: Barrier) -> Any:
            barrier.wait()
            try:
                return act()
            except ApprovalError as error:
                return error

        def run_all(*acts: Act) -> list[Any]:
            barrier = Barrier(len(acts))
            return list(pool.map(run, acts, [barrier] * len(acts)))

        yield run_all
        together = Barrier(MOST)

        def leave(_number: int) -> None:
            together.wait()
            connection.close()

        list(pool.map(leave, range(MOST)))


def reviewers(count: int, *teams: Any) -> list[User]:
    return [make_user(*teams, name=f"r{number}") for number in range(count)]


def test_it_has_one_winner_in_every_race_of_two_reviewers(at_once):
    team = make_team()
    one, two = reviewers(2, team)
    for number in range(RACES):
        approval = make_approval(team)
        verdicts = ("approve", "reject") if number % 2 else ("approve", "modify")
        results = at_once(
            lambda approval=approval, verdict=verdicts[0]: post(approval, one, verdict),
            lambda approval=approval, verdict=verdicts[1]: post(approval, two, verdict, args={**ARGS, "amount": "1.00"}),
        )
        (winner,) = [result for result in results if isinstance(result, Outcome)]
        (loser,) = [result for result in results if isinstance(result, AlreadyDecided)]
        decision = Decision.objects.get(approval=approval)
        assert winner.decision == decision == loser.decision
        assert len(entries(approval, "approval.decided")) == 1


def test_it_counts_a_double_click_once(at_once):
    team = make_team()
    (reviewer,) = reviewers(1, team)
    for _number in range(10):
        approval = make_approval(team)
        results = at_once(*[lambda approval=approval: post(approval, reviewer)] * 4)
        assert sorted(result.repeated for result in results) == [False, True, True, True]
        assert len({result.decision.pk for result in results}) == 1
        assert len(entries(approval, "approval.decided")) == 1


@pytest.mark.parametrize("needed", [2, 3])
def test_it_decides_once_when_many_vote_at_the_same_moment(at_once, needed):
    team = make_team()
    people = reviewers(6, team)
    for _number in range(10):
        approval = make_approval(team, requirements={"count": needed})
        results = at_once(*[lambda approval=approval, person=person: post(approval, person) for person in people])
        deciding = [result for result in results if isinstance(result, Outcome) and result.decision is not None]
        assert len(deciding) == 1
        assert Review.objects.filter(approval=approval).count() == needed
        assert len([result for result in results if isinstance(result, AlreadyDecided)]) == len(people) - needed
        assert len(entries(approval, "approval.decided")) == 1
        assert len(entries(approval, "approval.reviewed")) == needed - 1


def test_it_either_expires_or_decides(at_once):
    team = make_team()
    (reviewer,) = reviewers(1, team)
    for _number in range(15):
        approval = make_approval(team)
        Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() + timedelta(milliseconds=8))
        decided, _expired, _again = at_once(
            lambda approval=approval: post(approval, reviewer), lambda: expire_due(), lambda: expire_due()
        )
        expire_due()
        approval.refresh_from_db()
        decision = Decision.objects.get(approval=approval)
        if isinstance(decided, Outcome):
            assert (approval.status, decision.verdict) == (Status.DECIDED, "approve")
        elif isinstance(decided, Expired):
            assert (approval.status, decision.verdict) == (Status.EXPIRED, "expire")
        else:
            pytest.fail(repr(decided))


def test_it_expires_each_approval_once_with_two_sweeps_at_once(at_once):
    team = make_team()
    approvals = [make_approval(team) for _number in range(20)]
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sum(at_once(*[lambda: expire_due()] * 3)) == len(approvals)
    assert Decision.objects.filter(verdict="expire").count() == len(approvals)


def test_it_either_withdraws_or_decides(at_once):
    team = make_team()
    (reviewer,) = reviewers(1, team)
    for _number in range(15):
        approval = make_approval(team)
        decided, withdrawn = at_once(
            lambda approval=approval: post(approval, reviewer),
            lambda approval=approval: requests.withdraw(approval.pk, Actor.desk(), "cancelled"),
        )
        decision = Decision.objects.get(approval=approval, voided_at__isnull=True)
        if withdrawn:
            assert isinstance(decided, AlreadyDecided)
            assert decision.verdict == "withdraw"
        else:
            assert isinstance(decided, Outcome)
            assert decision.verdict == "approve"


def test_it_asks_the_same_question_once(at_once):
    team = make_team()
    for _number in range(10):
        ask = make_ask(team)
        results = at_once(*[lambda ask=ask: requests.request_approval(ask, actor=Actor.desk())] * 3)
        assert sorted(made for _approval, made in results) == [False, False, True]
        assert len({approval.pk for approval, _made in results}) == 1
        assert len(entries(results[0][0], "approval.requested")) == 1


def test_it_hands_a_decision_over_and_out_once(at_once):
    team = make_team()
    (reviewer,) = reviewers(1, team)
    for _number in range(10):
        decision = post(make_approval(team), reviewer).decision
        assert decision is not None
        assert sum(at_once(*[lambda d=decision: consume(d.pk, d.digest)] * 4)) == 1
        assert sum(at_once(*[lambda d=decision: mark_delivered([d.pk])] * 4)) == 1
        assert len(entries(decision.approval, "decision.delivered")) == 1


def test_it_never_publishes_rules_without_a_change_made_beside_it(at_once):
    from django.db import transaction

    from approvals.models import PolicyVersion, Rule
    from approvals.policy.versions import publish

    rules = [make_rule("ask", name=f"rule {number}", publish_it=False) for number in range(8)]

    def switch_off(rule: Rule) -> None:
        with transaction.atomic():
            Rule.objects.filter(pk=rule.pk).update(mode=Rule.Mode.OFF)
            publish(None, "off")

    at_once(*[lambda rule=rule: switch_off(rule) for rule in rules])
    newest = PolicyVersion.objects.order_by("-pk")[0]
    assert newest.rules == []
    assert [len(version.rules) for version in PolicyVersion.objects.order_by("pk")] == list(range(7, -1, -1))


def test_it_reopens_once(at_once):
    team = make_team()
    (reviewer,) = reviewers(1, team)
    for _number in range(10):
        approval = make_approval(team)
        post(approval, reviewer)
        results = at_once(*[lambda a=approval: requests.reopen(a.pk, "the checkpoint moved on", Actor.desk())] * 3)
        assert len([result for result in results if isinstance(result, Approval)]) == 1
        assert len([result for result in results if isinstance(result, NotCurrent)]) == 2
        approval.refresh_from_db()
        assert (approval.status, approval.version) == (Status.PENDING, 2)


@pytest.mark.parametrize(("sweep", "field"), [(expire_due, "expires_at"), (remind_due, "remind_at")])
def test_two_sweeps_at_once_escalate_and_remind_once(at_once, sweep, field):
    team, other = make_team(), make_team("Leads")
    wanted = {"escalate_to": [str(other.pk)], "expires_after": 60.0, "remind_after": 1.0}
    approval = make_approval(team, requirements=wanted)
    Approval.objects.filter(pk=approval.pk).update(**{field: timezone.now() - timedelta(seconds=1)})
    assert sum(at_once(sweep, sweep)) == 1
    assert len(entries(approval, "approval.escalated", "approval.reminded")) == 1


def test_of_two_calls_at_once_one_gets_the_last_use_of_a_standing_approval(at_once):
    team = make_team()
    (owner,) = reviewers(1, team)
    given = StandingApproval.objects.create(
        team=team, agent="support", action="issue_refund", owner=owner, made_by_label="x", reason="x", args=ARGS, most_uses=5,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    approvals = [ask_low(team, args=ARGS) for _number in range(MOST)]
    decided = [done for done in at_once(*[lambda a=each: in_advance(a) for each in approvals]) if done is not None]
    assert len(decided) == 5
    given.refresh_from_db()
    assert given.uses == 5
    assert Approval.objects.filter(status=Status.PENDING).count() == MOST - 5


def in_advance(approval: Approval) -> Any:
    with transaction.atomic():
        return standing.use(approval)
