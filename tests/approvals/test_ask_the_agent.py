"""Asking the agent back: nothing is executed, one such vote is enough, and the agent's next call of the action follows."""

import threading

import pytest
from django.db import connection

from approvals import requests
from approvals.errors import AlreadyDecided, InvalidAnswer, NotAllowed, NotCurrent
from approvals.models import Approval, Decision
from approvals.states import Status, Verdict
from tests.approvals.cast import ALL, entries, make_approval, make_team, make_user, post

WHICH = "Which of the two orders?"
ASKABLE = (*ALL, "ask")


@pytest.fixture
def team(db):
    return make_team()


@pytest.fixture
def reviewer(team):
    return make_user(team, name="reviewer")


@pytest.fixture
def approval(team):
    return make_approval(team, allowed=ASKABLE)


def next_call(approval, **facts):
    """The agent's next call in the same run, linked as the run's engine and the API link it."""
    follows = requests.followed_by(approval.source, approval.source_ref, facts.get("action", approval.action))
    given = {"source_ref": approval.source_ref, "follows_id": follows, **facts}
    return make_approval(approval.team, **given)


def test_it_decides_with_the_question_and_says_so_on_record(approval, reviewer):
    outcome = post(approval, reviewer, "ask", message=WHICH)
    approval.refresh_from_db()
    assert approval.status == Status.DECIDED
    assert outcome.decision == Decision.objects.get(verdict=Verdict.ASK, message=WHICH, delivered_at=None)
    (entry,) = entries(approval, "approval.decided")
    assert entry.after["verdict"] == "ask"
    assert entry.content.body["message"] == WHICH


def test_the_same_post_again_is_the_same_decision(approval, reviewer):
    first = post(approval, reviewer, "ask", message=WHICH)
    again = post(approval, reviewer, "ask", message=WHICH)
    assert (again.decision, again.repeated) == (first.decision, True)
    assert len(entries(approval, "approval.decided")) == 1


def test_without_a_question_nothing_is_sent(approval, reviewer):
    with pytest.raises(InvalidAnswer) as error:
        post(approval, reviewer, "ask", message="  \n ")
    assert error.value.errors == {"message": ["Write what you want to know."]}
    approval.refresh_from_db()
    assert approval.is_pending


def test_only_where_it_is_allowed_and_by_who_may_decide(team, approval, reviewer):
    with pytest.raises(InvalidAnswer):
        post(make_approval(team), reviewer, "ask", message=WHICH)
    with pytest.raises(NotAllowed):
        post(approval, make_user(team, name="reader", role="operator"), "ask", message=WHICH)
    assert entries(approval, "approval.refused")


def test_a_question_about_an_older_version_is_refused(reviewer, team):
    approval = make_approval(team, allowed=ASKABLE, requirements={"count": 2})
    post(approval, make_user(team, name="editor"), "modify", args={"order_id": "A-1", "amount": "12.00"})
    with pytest.raises(NotCurrent):
        post(approval, reviewer, "ask", message=WHICH)


def test_one_question_is_enough_where_several_must_approve(team, reviewer):
    approval = make_approval(team, allowed=ASKABLE, requirements={"count": 2})
    post(approval, make_user(team, name="other"), "approve")
    approval.refresh_from_db()
    outcome = post(approval, reviewer, "ask", message=WHICH)
    assert outcome.decision.verdict == Verdict.ASK
    assert Decision.objects.filter(approval=approval).count() == 1


def test_what_was_asked_back_is_never_held_and_cannot_be_approved_afterwards(approval, reviewer, settings):
    settings.HOLD_SECONDS = {"medium": 30}
    assert post(approval, reviewer, "ask", message=WHICH).decision.release_at is None
    with pytest.raises(AlreadyDecided):
        post(approval, reviewer, "approve")


def test_the_next_call_of_the_action_follows_and_no_other(approval, reviewer):
    post(approval, reviewer, "ask", message=WHICH)
    assert next_call(approval, action="send_email").follows_id is None
    assert make_approval(approval.team).follows_id is None
    successor = next_call(approval)
    assert successor.follows_id == approval.pk
    assert next_call(approval).follows_id is None, "one call follows one question"


def test_nothing_follows_a_rejection_or_a_question_that_did_not_count(approval, reviewer):
    post(approval, reviewer, "reject", message="No.")
    assert next_call(approval).follows_id is None
    other = make_approval(approval.team, allowed=ASKABLE)
    outcome = post(other, reviewer, "ask", message=WHICH)
    requests.void(outcome.decision, "The run was cancelled.")
    assert next_call(other).follows_id is None


@pytest.mark.parametrize("rival", ["approve", "ask"])
def test_of_two_at_once_one_decides(committed, rival):
    team = make_team()
    approval = make_approval(team, allowed=ASKABLE)
    people = [make_user(team, name="one"), make_user(team, name="two")]
    ready, refused = threading.Barrier(2), []

    def act(person, verdict):
        ready.wait()
        try:
            post(approval, person, verdict, message=f"{WHICH} {person.pk}")
        except AlreadyDecided as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=pair) for pair in zip(people, ("ask", rival), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Decision.objects.filter(approval=approval, voided_at=None).count() == 1
    assert Approval.objects.get(pk=approval.pk).status == Status.DECIDED
