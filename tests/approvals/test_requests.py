"""The askers' verbs: asking once, taking back, asking again; and the sweep."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.ids import new_id
from approvals import decisions, handover, requests
from approvals.errors import AlreadyDecided, Consumed, InvalidAsk, KeyReused, NotCurrent, NotFound, TooLarge
from approvals.models import Approval, Decision
from approvals.signals import decided, requested
from approvals.states import ALLOWED, Status, sources_of
from approvals.tasks import sweep
from tests.approvals.cast import ARGS, entries, make_approval, make_ask, make_team, make_user, post

pytestmark = pytest.mark.django_db
DESK = Actor.desk()


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def reviewer(team):
    return make_user(team)


@pytest.fixture
def told(django_capture_on_commit_callbacks):
    """Return a function: run an act as if it had committed, and give what was told of approvals."""

    def run(act):
        heard = []

        def listen(signal, approval_id, **facts):
            heard.append((signal, approval_id))

        decided.connect(listen)
        requested.connect(listen)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                act()
        finally:
            decided.disconnect(listen)
            requested.disconnect(listen)
        return heard

    return run


def test_it_asks(team, told):
    ask = make_ask(team)
    assert told(lambda: requests.request_approval(ask, actor=DESK)) == [(requested, Approval.objects.get().pk)]
    approval = Approval.objects.get()
    assert (approval.status, approval.version, approval.revision) == (Status.PENDING, 1, 1)
    assert approval.args == approval.asked_args == ARGS
    assert approval.digest == ask.digest
    assert approval.reviewing_teams() == {team.pk}
    assert [entry.action for entry in entries(approval)] == ["approval.requested"]


def test_it_asks_the_same_question_once(team):
    ask = make_ask(team)
    first, made = requests.request_approval(ask, actor=DESK)
    again, made_again = requests.request_approval(ask, actor=DESK)
    assert (made, made_again, first.pk == again.pk) == (True, False, True)
    assert len(entries(first)) == 1


def test_it_finds_the_question_again_after_a_modification(team, reviewer):
    ask = make_ask(team)
    first, _made = requests.request_approval(ask, actor=DESK)
    post(first, reviewer, "modify", args={**ARGS, "amount": "1.00"})
    again, made = requests.request_approval(ask, actor=DESK)
    assert (again.pk, made, again.status) == (first.pk, False, Status.DECIDED)


@pytest.mark.parametrize("other", [{"args": {**ARGS, "amount": "9.00"}}, {"action": "pay"}, {"source_ref": "elsewhere"}])
def test_it_refuses_a_key_of_another_question(team, other):
    facts = {"request_key": "key", "source_ref": "here"}
    requests.request_approval(make_ask(team, **facts), actor=DESK)
    with pytest.raises(KeyReused):
        requests.request_approval(make_ask(team, **{**facts, **other}), actor=DESK)


@pytest.mark.parametrize(
    ("facts", "path"),
    [
        ({"allowed": []}, "allowed"),
        ({"allowed": ["approve", "expire"]}, "allowed"),
        ({"action": "x" * 201}, "action"),
        ({"action": "a\x00b"}, "action"),
        ({"agent": "x" * 65}, "agent"),
        ({"args_schema": {"default": "\x00"}}, "args_schema"),
    ],
)
def test_it_refuses_what_nobody_could_answer(team, facts, path):
    with pytest.raises(InvalidAsk) as error:
        requests.request_approval(make_ask(team, **facts), actor=DESK)
    assert list(error.value.errors) == [path]


def test_it_refuses_what_is_too_large(team, settings):
    with pytest.raises(TooLarge):
        requests.request_approval(make_ask(team, args={"text": "x" * settings.INPUT_MAX_BYTES}), actor=DESK)


def test_it_refuses_what_is_nested_too_deeply(team):
    args = {}
    for _level in range(5000):
        args = {"a": args}
    with pytest.raises(TooLarge, match="deep"):
        requests.request_approval(make_ask(team, args=args), actor=DESK)


def test_it_stores_whatever_an_agent_says(team):
    args = {"nul": "a\x00b", "half": "\ud800", "big": 2**70, "nested": {"$": 1}}
    approval = make_approval(team, args=args, args_schema=None, reason="why \x00 \ud800", subject="\x00")
    approval.refresh_from_db()
    assert decode(approval.args) == args
    assert (approval.reason, approval.subject) == ("why \ufffd \ufffd", "\ufffd")


def test_it_freezes_requirements_and_expiry(team, settings):
    finance = make_team("Finance")
    approval = make_approval(team, requirements={"teams": [str(finance.pk)], "count": 2, "expires_after": 60})
    assert (approval.need, approval.reviewing_teams()) == (2, {finance.pk})
    assert timedelta(seconds=50) < approval.expires_at - timezone.now() <= timedelta(seconds=60)
    usual = make_approval(team).expires_at - timezone.now()
    assert usual > timedelta(hours=settings.APPROVAL_EXPIRES_HOURS, minutes=-1)


def test_it_never_lets_a_call_in_doubt_expire(team):
    assert make_approval(team, kind="in_doubt", allowed=["respond"]).expires_at is None


def test_it_withdraws_once(team, reviewer, told):
    approval = make_approval(team)
    assert told(lambda: requests.withdraw(approval.pk, DESK, "cancelled")) == []
    assert requests.withdraw(approval.pk, DESK, "cancelled") is False
    approval.refresh_from_db()
    decision = Decision.objects.get(approval=approval)
    assert (approval.status, decision.verdict, decision.message) == (Status.WITHDRAWN, "withdraw", "cancelled")
    assert decision.delivered_at is not None
    assert len(entries(approval, "approval.withdrawn")) == 1
    with pytest.raises(AlreadyDecided):
        post(approval, reviewer)


def test_it_does_not_withdraw_what_was_decided(team, reviewer):
    approval = make_approval(team)
    post(approval, reviewer)
    assert requests.withdraw(approval.pk, DESK) is False
    approval.refresh_from_db()
    assert approval.status == Status.DECIDED


def test_it_supersedes(team, reviewer):
    approval = make_approval(team)
    assert requests.supersede(approval.pk, DESK, "new input")
    assert requests.supersede(approval.pk, DESK) is False
    assert len(entries(approval, "approval.superseded")) == 1
    with pytest.raises(NotCurrent):
        post(approval, reviewer)


def test_it_voids_the_decision_of_what_is_superseded(team, reviewer):
    approval = make_approval(team)
    decision = post(approval, reviewer).decision
    assert requests.supersede(approval.pk, DESK, "new input")
    decision.refresh_from_db()
    assert (decision.void_reason, handover.consume(decision.pk, decision.digest)) == ("new input", False)


def test_it_asks_again_as_the_next_version(team, reviewer, told):
    approval = make_approval(team)
    first = post(approval, reviewer).decision
    assert told(lambda: requests.reopen(approval.pk, "the checkpoint moved on", DESK)) == [(requested, approval.pk)]
    with pytest.raises(NotCurrent):
        post(approval, reviewer)  # the old form, and the old decision does not answer for it
    approval.refresh_from_db()
    assert (approval.status, approval.version, approval.closed_at) == (Status.PENDING, 2, None)
    assert approval.reopened_because == "the checkpoint moved on"
    second = post(approval, reviewer).decision
    first.refresh_from_db()
    assert first.voided_at is not None
    assert Decision.objects.get(approval=approval, voided_at__isnull=True) == second
    assert len(entries(approval, "decision.voided")) == len(entries(approval, "approval.reopened")) == 1


def test_it_does_not_ask_again_what_was_carried_out(team, reviewer):
    approval = make_approval(team)
    decision = post(approval, reviewer).decision
    assert handover.consume(decision.pk, decision.digest)
    with pytest.raises(Consumed):
        requests.reopen(approval.pk, "again", DESK)
    with pytest.raises(Consumed):
        requests.supersede(approval.pk, DESK)


def test_it_does_not_ask_again_what_is_being_asked(team):
    with pytest.raises(NotCurrent):
        requests.reopen(make_approval(team).pk, "again", DESK)


def test_it_finds_nothing_under_a_wrong_id():
    for verb in (lambda key: requests.withdraw(key, DESK), lambda key: requests.reopen(key, "", DESK)):
        with pytest.raises(NotFound):
            verb(new_id())


def test_it_raises_the_revision_when_something_beside_it_changed(team):
    approval = make_approval(team)
    requests.touch(approval.pk)
    approval.refresh_from_db()
    assert approval.revision == 2


def test_it_consumes_for_one_action_only(team, reviewer):
    decision = post(make_approval(team), reviewer).decision
    assert not handover.consume(decision.pk, "sha256:" + "0" * 64)
    assert handover.consume(decision.pk, decision.digest)
    assert not handover.consume(decision.pk, decision.digest)


def test_it_does_not_consume_what_may_still_be_recalled(team, reviewer):
    decision = post(make_approval(team), reviewer).decision
    Decision.objects.filter(pk=decision.pk).update(release_at=timezone.now() + timedelta(minutes=1))
    assert not handover.consume(decision.pk, decision.digest)
    assert list(handover.undelivered()) == []


def test_it_marks_delivered_once(team, reviewer):
    decision = post(make_approval(team), reviewer).decision
    assert list(handover.undelivered()) == [decision]
    assert list(handover.undelivered(timedelta(minutes=1))) == []
    assert handover.mark_delivered([decision.pk]) == 1
    assert handover.mark_delivered([decision.pk]) == 0
    assert list(handover.undelivered()) == []
    assert len(entries(decision.approval, "decision.delivered")) == 1


def test_it_hands_nothing_over_to_askers_of_the_api(team, reviewer):
    decision = post(make_approval(team, source="api", source_ref="job 7"), reviewer).decision
    assert decision.delivered_at == decision.decided_at


def test_it_expires_what_is_due(team, told):
    due, later = make_approval(team), make_approval(team)
    Approval.objects.filter(pk=due.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert told(sweep) == [(decided, due.pk)]
    due.refresh_from_db()
    later.refresh_from_db()
    assert (due.status, later.status) == (Status.EXPIRED, Status.PENDING)
    assert Decision.objects.get(approval=due).verdict == "expire"
    (entry,) = entries(due, "approval.expired")
    assert entry.actor_id is None


def test_it_expires_no_more_than_it_is_told_to(team):
    for _number in range(3):
        make_approval(team)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert [decisions.expire_due(2), decisions.expire_due(2), decisions.expire_due(2)] == [2, 1, 0]


def test_it_tells_again_of_a_decision_whose_hint_was_lost(team, reviewer, told):
    approval = make_approval(team, source="another")
    decision = post(approval, reviewer).decision
    assert told(sweep) == []
    Decision.objects.filter(pk=decision.pk).update(decided_at=timezone.now() - timedelta(minutes=1))
    assert told(sweep) == [(decided, approval.pk)]
    handover.mark_delivered([decision.pk])
    assert told(sweep) == []


def test_it_does_not_tell_an_asker_again_that_looks_for_decisions_by_itself(team, reviewer, told):
    approval = make_approval(team, source="runs")
    decision = post(approval, reviewer).decision
    Decision.objects.filter(pk=decision.pk).update(decided_at=timezone.now() - timedelta(minutes=1))
    assert told(sweep) == []


def test_it_releases_what_was_held(team, reviewer, told):
    approval = make_approval(team)
    post(approval, reviewer)
    Approval.objects.filter(pk=approval.pk).update(status=Status.HELD)
    Decision.objects.update(release_at=timezone.now() + timedelta(minutes=1))
    assert handover.release_due() == 0
    Decision.objects.update(release_at=timezone.now() - timedelta(seconds=1))
    assert told(sweep) == [(decided, approval.pk)]
    approval.refresh_from_db()
    assert approval.status == Status.DECIDED


def test_it_keeps_a_listener_that_breaks_away_from_the_decision(team, reviewer, django_capture_on_commit_callbacks):
    def broken(**facts):
        raise RuntimeError("receiver broke")

    decided.connect(broken)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            post(make_approval(team), reviewer)
    finally:
        decided.disconnect(broken)
    assert Decision.objects.count() == 1


def test_it_knows_every_way_between_states():
    assert set(ALLOWED) == set(Status)
    assert {Status.WITHDRAWN, Status.SUPERSEDED} == {state for state, targets in ALLOWED.items() if not targets}
    assert Status.DECIDED not in sources_of(Status.EXPIRED)
    assert Status.DECIDED not in sources_of(Status.WITHDRAWN)
