"""Claims and snoozes: who has it, who is told, and what is on record."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from agentdesk.audit.record import Actor
from approvals import triage
from approvals.errors import Invalid, NotAllowed, NotCurrent, NotFound, Taken
from approvals.models import Approval, Claim, Snooze
from tests.approvals.cast import entries, make_approval, make_team, make_user, post


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def reviewer(team):
    return make_user(team, name="robin", first_name="Robin", last_name="Vale")


@pytest.fixture
def second(team):
    return make_user(team, name="sam", first_name="Sam", last_name="Ashby")


@pytest.fixture
def approval(team):
    return make_approval(team)


def by(user):
    return Actor.of(user, "web")


def actions(approval):
    return [entry.action for entry in entries(approval) if entry.action != "approval.requested"]


def test_a_claim_is_a_lease_on_record(approval, reviewer):
    claim = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    assert claim.user == reviewer
    assert timedelta(minutes=14) < claim.until - timezone.now() <= triage.LEASE
    (entry,) = entries(approval, "approval.claimed")
    assert entry.before == {"user": None, "until": None}
    assert entry.after["user"]["v"] == str(reviewer.pk)


def test_claiming_again_renews_it(approval, reviewer):
    first = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    Claim.objects.filter(pk=approval.pk).update(until=timezone.now() + timedelta(minutes=1))
    again = triage.claim(approval.pk, actor=by(reviewer), seen=first.revision)
    assert again.until - timezone.now() > timedelta(minutes=14)
    assert again.revision == first.revision + 1


def test_the_second_is_told_who_was_first(approval, reviewer, second):
    triage.claim(approval.pk, actor=by(reviewer), seen=0)
    with pytest.raises(Taken, match=r"Robin Vale has claimed it until \d\d:\d\d UTC"):
        triage.claim(approval.pk, actor=by(second), seen=0)
    assert Claim.objects.get(pk=approval.pk).user == reviewer


def test_it_is_taken_over_as_seen_only(approval, reviewer, second):
    claim = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    with pytest.raises(Taken):
        triage.claim(approval.pk, actor=by(second), seen=0, take_over=True)
    assert triage.claim(approval.pk, actor=by(second), seen=claim.revision, take_over=True).user == second
    assert actions(approval) == ["approval.claimed", "approval.taken_over"]


def test_it_lapses_by_itself(approval, reviewer, second):
    triage.claim(approval.pk, actor=by(reviewer), seen=0)
    assert triage.lapse_due() == 0
    Claim.objects.filter(pk=approval.pk).update(until=timezone.now() - timedelta(seconds=1))
    assert not triage.is_held(Claim.objects.get(pk=approval.pk))
    assert triage.lapse_due() == 1
    assert triage.lapse_due() == 0
    assert actions(approval) == ["approval.claimed", "approval.claim_lapsed"]
    assert triage.claim(approval.pk, actor=by(second), seen=0).user == second


def test_its_row_has_a_version_of_its_own(approval, reviewer):
    before = triage.row_version(approval)
    claim = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    now = Approval.objects.select_related("claim").get(pk=approval.pk)
    assert triage.row_version(now) > before
    assert now.revision == approval.revision, "a form that is open has not changed"
    triage.release(approval.pk, actor=by(reviewer), seen=claim.revision)
    released = Approval.objects.select_related("claim").get(pk=approval.pk)
    assert triage.row_version(released) > triage.row_version(now)


def test_only_the_holder_gives_it_up(approval, reviewer, second):
    claim = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    with pytest.raises(NotAllowed):
        triage.release(approval.pk, actor=by(second), seen=claim.revision)
    with pytest.raises(Taken):
        triage.release(approval.pk, actor=by(reviewer), seen=claim.revision - 1)
    triage.release(approval.pk, actor=by(reviewer), seen=claim.revision)
    with pytest.raises(NotCurrent):
        triage.release(approval.pk, actor=by(reviewer), seen=claim.revision)


def test_it_is_assigned_to_who_may_decide_only(approval, team, reviewer, second):
    claim = triage.assign(approval.pk, second.pk, actor=by(reviewer), seen=0)
    assert (claim.user, claim.until, claim.assigned_by) == (second, None, reviewer)
    for nobody in (make_user(make_team("Finance")).pk, make_user(team, role="operator").pk, "x", approval.pk):
        with pytest.raises(Invalid) as refused:
            triage.assign(approval.pk, nobody, actor=by(reviewer), seen=claim.revision)
        assert list(refused.value.errors) == ["to"]
    triage.release(approval.pk, actor=by(reviewer), seen=claim.revision)
    assert actions(approval) == ["approval.assigned", "approval.released"]


def test_whoever_has_it_hands_it_over(approval, reviewer, second):
    claim = triage.claim(approval.pk, actor=by(reviewer), seen=0)
    handed = triage.assign(approval.pk, second.pk, actor=by(reviewer), seen=claim.revision)
    assert handed.user == second
    assert actions(approval) == ["approval.claimed", "approval.handed_over"]
    with pytest.raises(Taken, match="assigned to Sam Ashby"):
        triage.claim(approval.pk, actor=by(reviewer), seen=0)


def test_those_who_may_not_decide_claim_nothing(approval, team):
    operator, stranger = make_user(team, role="operator"), make_user(make_team("Finance"))
    with pytest.raises(NotAllowed):
        triage.claim(approval.pk, actor=by(operator), seen=0)
    with pytest.raises(NotFound):
        triage.claim(approval.pk, actor=by(stranger), seen=0)
    with pytest.raises(NotFound):
        triage.snooze(approval.pk, timezone.now() + timedelta(hours=1), actor=by(stranger))
    assert actions(approval) == []


def test_a_claim_keeps_nobody_from_deciding_and_ends_with_the_question(approval, reviewer, second):
    triage.claim(approval.pk, actor=by(reviewer), seen=0)
    triage.snooze(approval.pk, timezone.now() + timedelta(hours=1), actor=by(reviewer))
    assert post(approval, second).decision is not None
    assert Claim.objects.get(pk=approval.pk).user is None
    assert not Snooze.objects.filter(approval=approval).exists()
    with pytest.raises(NotCurrent):
        triage.claim(approval.pk, actor=by(reviewer), seen=0)


def test_a_snooze_ends_in_time_by_change_and_before_the_end(approval, reviewer, second):
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() + timedelta(hours=1))
    made = triage.snooze(approval.pk, timezone.now() + timedelta(hours=5), actor=by(reviewer))
    assert timedelta(minutes=44) < made.until - timezone.now() <= timedelta(minutes=45)
    Snooze.objects.update(until=timezone.now())
    assert triage.wake_due() == 1
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() + timedelta(minutes=10))
    with pytest.raises(Invalid, match="expires too soon"):
        triage.snooze(approval.pk, timezone.now() + timedelta(hours=5), actor=by(reviewer))
    for until in (timezone.now(), timezone.now() + timedelta(days=15)):
        with pytest.raises(Invalid):
            triage.snooze(approval.pk, until, actor=by(reviewer))


def test_a_snooze_is_taken_back(approval, reviewer):
    triage.snooze(approval.pk, timezone.now() + timedelta(hours=1), actor=by(reviewer))
    triage.snooze(approval.pk, timezone.now() + timedelta(hours=2), actor=by(reviewer))
    assert Snooze.objects.count() == 1
    assert triage.wake(approval.pk, actor=by(reviewer))
    assert not triage.wake(approval.pk, actor=by(reviewer))
    assert actions(approval) == ["approval.snoozed", "approval.snoozed", "approval.woken"]


@pytest.mark.usefixtures("committed")
def test_of_two_at_once_one_wins_and_the_other_is_told():
    team = make_team("Support")
    people = [make_user(team, name=name, first_name=name) for name in ("Robin", "Sam")]
    approval = make_approval(team)
    told = []
    together = threading.Barrier(2)

    def try_it(user):
        together.wait()
        try:
            triage.claim(approval.pk, actor=by(user), seen=0)
        except Taken as error:
            told.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it, args=[user]) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = Claim.objects.get(pk=approval.pk).user
    assert len(told) == 1
    assert winner.label in told[0]
    assert len(entries(approval, "approval.claimed")) == 1
