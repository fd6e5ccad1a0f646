"""An approval is held before it counts: by its risk, or as long as its tool's row says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.checks import check_hold_seconds
from approvals import handover, holding, requests
from approvals.errors import AlreadyDecided
from approvals.models import Approval, Decision, Tool
from approvals.signals import decided
from approvals.states import Kind, Status
from tests.approvals.cast import entries, make_approval, make_team, make_user, post

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ten_seconds_for_high(settings):
    settings.HOLD_SECONDS = {"high": "10"}


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def reviewer(team):
    return make_user(team, name="reviewer")


@pytest.fixture
def told(django_capture_on_commit_callbacks):
    """Collect which approvals are handed over while it is entered."""

    def capture(act):
        heard = []

        def hear(*, approval_id, **facts):
            heard.append(approval_id)

        decided.connect(hear)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                act()
        finally:
            decided.disconnect(hear)
        return heard

    return capture


def seconds_held(approval):
    standing = Decision.objects.get(approval=approval, voided_at__isnull=True)
    return (standing.release_at - standing.decided_at).total_seconds() if standing.release_at else 0


def test_an_approval_of_high_risk_is_held_and_nobody_hears_of_it(team, reviewer, told):
    approval = make_approval(team, risk="high")
    assert told(lambda: post(approval, reviewer)) == []
    approval.refresh_from_db()
    assert (approval.status, approval.closed_at) == (Status.HELD, None)
    assert seconds_held(approval) == pytest.approx(10, abs=0.5)
    assert not handover.undelivered().exists()


def test_a_modification_is_held_like_an_approval(team, reviewer):
    approval = make_approval(team, risk="high")
    post(approval, reviewer, "modify", args={"order_id": "A-1", "amount": "10.00"})
    assert seconds_held(approval) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("verdict", "said"), [("reject", {"message": "No."}), ("respond", {"answer": "Ask again."})])
def test_what_lets_nothing_happen_counts_at_once(team, reviewer, verdict, said):
    approval = make_approval(team, risk="high")
    post(approval, reviewer, verdict, **said)
    assert Approval.objects.get(pk=approval.pk).status == Status.DECIDED


def test_a_risk_that_is_not_named_and_a_call_in_doubt_are_not_held(team, reviewer):
    low, doubt = make_approval(team, risk="low"), make_approval(team, risk="high", kind=Kind.IN_DOUBT)
    for approval in (low, doubt):
        post(approval, reviewer)
        assert seconds_held(approval) == 0


@pytest.mark.parametrize(("of_the_tool", "held"), [(0, 0), (45, 45)])
def test_the_tools_row_counts_before_the_risk(team, reviewer, of_the_tool, held):
    Tool.objects.create(agent="support", team=team, name="issue_refund", hold_seconds=of_the_tool)
    approval = make_approval(team, risk="high")
    post(approval, reviewer)
    assert seconds_held(approval) == pytest.approx(held, abs=0.5)


def test_it_is_held_from_the_last_vote_that_was_needed(team, reviewer):
    approval = make_approval(team, risk="high", requirements={"count": 2})
    post(approval, reviewer)
    assert Approval.objects.get(pk=approval.pk).status == Status.PENDING
    post(approval, make_user(team, name="second"))
    assert Approval.objects.get(pk=approval.pk).status == Status.HELD


def test_it_is_let_go_once_when_the_time_is_up(team, reviewer, told):
    approval = make_approval(team, risk="high")
    post(approval, reviewer)
    assert told(handover.release_due) == []
    Decision.objects.filter(approval=approval).update(release_at=timezone.now() - timedelta(milliseconds=1))
    assert told(lambda: (handover.release_due(), handover.release_due())) == [approval.pk]
    approval.refresh_from_db()
    assert approval.status == Status.DECIDED
    assert approval.closed_at is not None


def test_the_record_says_who_decided_until_when_and_that_it_was_let_go(team, reviewer):
    approval = make_approval(team, risk="high")
    post(approval, reviewer)
    Decision.objects.filter(approval=approval).update(release_at=timezone.now())
    handover.release_due()
    by_whom, let_go = entries(approval, "approval.decided", "decision.released")
    assert (by_whom.actor_label, by_whom.after["status"]) == (reviewer.label, "held")
    assert by_whom.after["release_at"]
    assert let_go.after == {"status": "decided"}


def test_the_same_post_again_is_no_second_decision_and_others_are_too_late(team, reviewer):
    approval = make_approval(team, risk="high")
    first = post(approval, reviewer)
    again = post(approval, reviewer)
    assert (again.repeated, again.decision) == (True, first.decision)
    with pytest.raises(AlreadyDecided):
        post(approval, make_user(team, name="second"), "reject", message="No.")


def test_the_asker_may_withdraw_what_is_held(team, reviewer):
    approval = make_approval(team, risk="high")
    post(approval, reviewer)
    assert requests.withdraw(approval.pk, Actor.desk())
    assert Approval.objects.get(pk=approval.pk).status == Status.WITHDRAWN


def test_ones_own_held_decisions_come_the_next_to_be_let_go_first(team, reviewer, settings):
    settings.HOLD_SECONDS = {"high": "10", "critical": "30"}
    later, sooner = make_approval(team, risk="critical"), make_approval(team, risk="high")
    others = make_approval(team, risk="high")
    second = make_user(team, name="second")
    post(later, second)
    post(later, reviewer)
    post(sooner, reviewer)
    post(others, second)
    assert [one.approval_id for one in holding.held_by(reviewer)] == [sooner.pk, later.pk]


@pytest.mark.parametrize(
    ("said", "ids"),
    [({}, []), ({"low": "0", "critical": "3600"}, []), ({"hihg": "5"}, ["agentdesk.E021"]),
     ({"high": "-1"}, ["agentdesk.E021"]), ({"high": "5s"}, ["agentdesk.E021"]), ({"high": "3601"}, ["agentdesk.E021"])],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_refused_at_the_start(settings, said, ids):
    settings.HOLD_SECONDS = said
    assert [message.id for message in check_hold_seconds(None)] == ids
