"""One reviewer, one approval: every verdict, once, twice, too late, not allowed; and what the record says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, decode
from agentdesk.people.models import Membership, Role, User
from approvals.decisions import decide
from approvals.errors import AlreadyDecided, Expired, InvalidAnswer, NotAllowed, NotCurrent, NotFound, NotProved, TooLarge
from approvals.models import Approval, Decision, Review
from approvals.signals import decided
from approvals.states import Status
from tests.approvals.cast import ARGS, entries, make_approval, make_rule, make_team, make_user, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def reviewer(team):
    return make_user(team, name="reviewer")


@pytest.fixture
def approval(team):
    return make_approval(team)


def test_it_approves_what_was_asked(approval, reviewer):
    outcome = post(approval, reviewer, message="fine", view_digest="sha256:seen", seconds_open=4.5)
    approval.refresh_from_db()
    assert approval.status == Status.DECIDED
    assert approval.closed_at is not None
    decision = Decision.objects.get(approval=approval)
    assert outcome.decision == decision
    assert (decision.verdict, decision.decided_by, decision.via) == ("approve", reviewer, "web")
    assert (decision.args, decision.digest) == (ARGS, approval.digest)
    assert (decision.message, decision.view_digest, decision.seconds_open) == ("fine", "sha256:seen", 4.5)
    assert decision.delivered_at is None
    assert (outcome.have, outcome.need, outcome.repeated) == (1, 1, False)


def test_it_writes_one_audit_entry_for_a_decision(approval, reviewer):
    post(approval, reviewer, message="fine")
    asked, entry = entries(approval)
    assert asked.action == "approval.requested"
    assert (entry.action, entry.actor_id, entry.via) == ("approval.decided", reviewer.pk, "web")
    assert entry.after["verdict"] == "approve"
    assert entry.after["digest"] == approval.digest
    assert str(entry.run_id) == approval.source_ref
    assert entry.content.body == {"args": ARGS, "message": "fine"}


def test_it_raises_the_revision_with_every_change(approval, reviewer):
    before = approval.revision
    post(approval, reviewer)
    approval.refresh_from_db()
    assert approval.revision > before


def test_it_tells_after_the_commit(approval, reviewer, django_capture_on_commit_callbacks):
    told = []

    def listen(**facts):
        told.append((facts["approval_id"], facts["source"], facts["source_ref"]))

    decided.connect(listen)
    try:
        with django_capture_on_commit_callbacks() as callbacks:
            post(approval, reviewer)
        assert told == []
        for callback in callbacks:
            callback()
    finally:
        decided.disconnect(listen)
    assert told == [(approval.pk, "runs", approval.source_ref)]


def test_it_modifies_and_makes_a_new_version(approval, reviewer):
    outcome = post(approval, reviewer, "modify", args={**ARGS, "amount": "199.00"})
    approval.refresh_from_db()
    assert (approval.version, approval.args["amount"], approval.asked_args["amount"]) == (2, "199.00", "240.00")
    assert outcome.decision is not None
    assert (outcome.decision.verdict, outcome.decision.version) == ("modify", 2)
    expected = action_digest("support", "issue_refund", "", {**ARGS, "amount": "199.00"})
    assert outcome.decision.digest == approval.digest == expected
    (entry,) = entries(approval, "approval.decided")
    assert entry.before["digest"] != entry.after["digest"]
    assert (entry.before["status"], entry.after["status"]) == ("pending", "decided")


def test_it_takes_a_modification_without_a_change_as_approval(approval, reviewer):
    outcome = post(approval, reviewer, "modify", args=dict(ARGS))
    assert outcome.decision is not None
    assert (outcome.decision.verdict, outcome.decision.version) == ("approve", 1)


def test_it_keeps_the_types_of_what_did_not_change(team, reviewer):
    args = {"order": 7, "lines": [{"n": 2, "price": "1.50"}]}
    approval = make_approval(team, args=args, args_schema=None)
    post(approval, reviewer, "modify", args={"order": 8.0, "lines": [{"n": 2.0, "price": "1.50"}]})
    decision = Decision.objects.get(approval=approval)
    kept = decode(decision.args)
    assert type(kept["order"]) is int
    assert type(kept["lines"][0]["n"]) is int


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"order_id": "A-1", "amount": 199}, "amount"),
        ({"order_id": "A-1", "amount": "199"}, "amount"),
        ({"order_id": "A-1"}, "amount"),
        ({**ARGS, "notify": "yes"}, "notify"),
        ({**ARGS, "extra": 1}, ""),
    ],
)
def test_it_refuses_arguments_that_the_schema_does_not_take(approval, reviewer, args, path):
    with pytest.raises(InvalidAnswer) as error:
        post(approval, reviewer, "modify", args=args)
    assert list(error.value.errors) == [path]
    approval.refresh_from_db()
    assert (approval.status, approval.version, approval.revision) == (Status.PENDING, 1, 1)


def test_it_lets_nothing_pass_a_schema_that_points_outside(team, reviewer):
    approval = make_approval(team, args_schema={"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(InvalidAnswer) as error:
        post(approval, reviewer, "modify", args={**ARGS, "amount": "1.00"})
    assert "cannot be used" in str(error.value)


def test_it_refuses_a_modification_that_a_rule_denies(approval, reviewer):
    make_rule("deny", name="No big refunds", conditions=[{"path": "amount", "op": ">", "value": 500}])
    with pytest.raises(NotAllowed, match="No big refunds"):
        post(approval, reviewer, "modify", args={**ARGS, "amount": "900.00"})
    approval.refresh_from_db()
    assert (approval.status, approval.version) == (Status.PENDING, 1)
    (entry,) = entries(approval, "approval.refused")
    assert entry.actor_id == reviewer.pk


def test_it_names_the_rules_in_force_that_deny_a_modification_and_none_on_trial(approval, reviewer):
    make_rule("deny", name="On trial", mode="shadow", conditions=[{"path": "amount", "op": ">", "value": 500}])
    make_rule("deny", name="No big refunds", conditions=[{"path": "amount", "op": ">", "value": 500}])
    with pytest.raises(NotAllowed) as refused:
        post(approval, reviewer, "modify", args={**ARGS, "amount": "900.00"})
    assert "“No big refunds”" in str(refused.value)
    assert "On trial" not in str(refused.value)


def test_it_unites_what_a_modification_requires_with_what_was_frozen(team, reviewer):
    finance = make_team("Finance")
    approval = make_approval(team)
    make_rule("ask", name="Big", conditions=[{"path": "amount", "op": ">", "value": 500}], teams=(finance,))
    outcome = post(approval, reviewer, "modify", args={**ARGS, "amount": "900.00"})
    assert outcome.decision is None
    assert (outcome.have, outcome.need) == (1, 2)
    approval.refresh_from_db()
    assert approval.reviewing_teams() == {team.pk, finance.pk}
    last = post(approval, make_user(finance))
    assert last.decision is not None
    assert last.decision.verdict == "modify"


def test_it_rejects_with_the_reason(approval, reviewer):
    outcome = post(approval, reviewer, "reject", message="  too much \x00 ")
    assert outcome.decision is not None
    assert (outcome.decision.verdict, outcome.decision.message) == ("reject", "too much \ufffd")


def test_it_wants_a_reason_where_the_requirements_say_so(team, reviewer):
    approval = make_approval(team, requirements={"message_required": True})
    with pytest.raises(InvalidAnswer) as error:
        post(approval, reviewer, "reject")
    assert list(error.value.errors) == ["message"]


def test_it_stores_the_answer(team, reviewer):
    approval = make_approval(team, answer_schema={"type": "object", "properties": {"ok": {"type": "boolean"}}})
    outcome = post(approval, reviewer, "respond", answer={"ok": True})
    assert outcome.decision is not None
    assert decode(outcome.decision.answer) == {"ok": True}


def test_it_tells_null_from_no_answer(team, reviewer):
    approval = make_approval(team)
    with pytest.raises(InvalidAnswer):
        post(approval, reviewer, "respond")
    outcome = post(approval, reviewer, "respond", answer=None)
    assert outcome.decision is not None
    assert outcome.decision.answer is None


def test_it_refuses_an_answer_outside_its_schema(team, reviewer):
    approval = make_approval(team, answer_schema={"type": "string", "enum": ["happened", "retry"]}, allowed=["respond"])
    with pytest.raises(InvalidAnswer):
        post(approval, reviewer, "respond", answer="whatever")
    assert post(approval, reviewer, "respond", answer="retry").decision is not None


@pytest.mark.parametrize("verdict", ["approve", "modify", "expire", "withdraw", "nonsense", ""])
def test_it_refuses_a_verdict_that_is_not_allowed(team, reviewer, verdict):
    approval = make_approval(team, allowed=["reject"])
    with pytest.raises(InvalidAnswer) as error:
        post(approval, reviewer, verdict, args={})
    assert list(error.value.errors) == ["verdict"]


def test_it_gives_the_standing_decision_to_the_same_post_again(approval, reviewer):
    first = post(approval, reviewer, message="fine")
    again = post(approval, reviewer, message="fine")
    assert again.repeated
    assert again.decision == first.decision
    assert len(entries(approval, "approval.decided")) == 1


def test_it_gives_the_standing_decision_to_the_same_modification_again(approval, reviewer):
    args = {**ARGS, "amount": "10.00"}
    first = post(approval, reviewer, "modify", args=args)
    again = post(approval, reviewer, "modify", args=args)
    assert again.repeated
    assert again.decision == first.decision
    assert Review.objects.filter(approval=approval).count() == 1


@pytest.mark.parametrize(
    ("verdict", "facts"),
    [("reject", {}), ("approve", {"message": "something else"}), ("modify", {"args": {**ARGS, "amount": "1.00"}})],
)
def test_it_takes_another_post_of_the_same_person_as_too_late(approval, reviewer, verdict, facts):
    post(approval, reviewer)
    with pytest.raises(AlreadyDecided):
        post(approval, reviewer, verdict, **facts)


def test_it_tells_the_loser_who_decided_what_and_when(approval, team, reviewer):
    first = post(approval, reviewer, "reject")
    with pytest.raises(AlreadyDecided) as error:
        post(approval, make_user(team))
    assert error.value.decision == first.decision
    assert reviewer.label in str(error.value)
    assert Decision.objects.filter(approval=approval).count() == 1


@pytest.mark.parametrize("stale", [{"digest": "sha256:" + "0" * 64}, {"version": 2}, {"version": 0}, {"digest": ""}])
def test_it_changes_nothing_for_a_stale_form(approval, reviewer, stale):
    with pytest.raises(NotCurrent) as error:
        post(approval, reviewer, **stale)
    assert error.value.approval.pk == approval.pk
    assert not Decision.objects.filter(approval=approval).exists()
    assert [entry.action for entry in entries(approval)] == ["approval.requested"]


def test_it_refuses_a_post_for_the_version_before_a_modification(team):
    approval = make_approval(team, requirements={"count": 2})
    post(approval, make_user(team), "modify", args={**ARGS, "amount": "10.00"})
    with pytest.raises(NotCurrent):
        post(approval, make_user(team))


def test_it_hides_approvals_of_other_teams(approval):
    with pytest.raises(NotFound):
        post(approval, make_user(make_team("Other")))


@pytest.mark.parametrize("key", ["no uuid", "00000000-0000-7000-8000-000000000000"])
def test_it_finds_nothing_under_a_wrong_id(reviewer, key):
    with pytest.raises(NotFound):
        decide(key, actor=Actor.of(reviewer), verdict="approve", digest="", version=1)


@pytest.mark.parametrize(
    ("role", "facts"),
    [(Role.OPERATOR, {}), (Role.ADMIN, {}), (Role.REVIEWER, {"kind": User.Kind.SERVICE})],
)
def test_it_lets_only_people_who_review_decide(team, approval, role, facts):
    outsider = make_user(team, role=role, **facts)
    with pytest.raises(NotAllowed):
        post(approval, outsider)
    approval.refresh_from_db()
    assert approval.status == Status.PENDING
    (entry,) = entries(approval, "approval.refused")
    assert entry.actor_id == outsider.pk


def test_it_does_not_let_a_superuser_decide_without_the_role(approval):
    with pytest.raises(NotAllowed):
        post(approval, make_user(is_superuser=True))


def test_it_does_not_let_the_desk_decide(approval):
    with pytest.raises(NotAllowed):
        decide(approval.pk, actor=Actor.desk(), verdict="approve", digest=approval.digest, version=1)


def test_it_looks_at_roles_as_they_are_now(approval, team, reviewer):
    assert reviewer.team_ids(Role.REVIEWER)  # read, and kept on the object
    Membership.objects.filter(user=reviewer).delete()
    with pytest.raises(NotFound):
        post(approval, reviewer)


def test_it_refuses_people_who_were_switched_off(approval, reviewer):
    User.objects.filter(pk=reviewer.pk).update(is_active=False)
    with pytest.raises(NotFound):
        post(approval, reviewer)


def test_it_does_not_let_the_requester_decide(team, reviewer):
    approval = make_approval(team, requester_id=reviewer.pk)
    with pytest.raises(NotAllowed, match="yourself"):
        post(approval, reviewer)
    allowed = make_approval(team, requester_id=reviewer.pk, requirements={"self_approval": True})
    assert post(allowed, reviewer).decision is not None


def test_it_wants_a_second_factor_where_the_requirements_say_so(team, reviewer):
    from allauth.mfa.models import Authenticator

    approval = make_approval(team, requirements={"second_factor": True})
    with pytest.raises(NotAllowed, match="second factor"):
        post(approval, reviewer)
    Authenticator.objects.create(user=reviewer, type=Authenticator.Type.TOTP, data={})
    with pytest.raises(NotAllowed, match="browser"):
        decide(
            approval.pk, actor=Actor.of(reviewer, "api"), verdict="approve", digest=approval.digest, version=approval.version
        )
    for proof in ("", "password"):
        with pytest.raises(NotProved, match="second factor"):
            post(approval, reviewer, actor=Actor.of(reviewer, "web", proof=proof))
    assert post(approval, reviewer, actor=Actor.of(reviewer, "web", proof="totp")).decision is not None
    assert entries(approval, "approval.decided")[0].after["proof"] == "totp"
    assert len(entries(approval, "approval.refused")) == 4


def test_critical_risk_wants_a_proof_to_approve_and_none_to_reject(team, reviewer):
    bare = Actor.of(reviewer, "web")
    approval = make_approval(team, risk="critical")
    for verdict, facts in (("approve", {}), ("modify", {"args": {**ARGS, "amount": "1.00"}})):
        with pytest.raises(NotProved):
            post(approval, reviewer, verdict, actor=bare, **facts)
    approval.refresh_from_db()
    assert (approval.status, approval.version) == (Status.PENDING, 1)
    assert post(approval, reviewer, "reject", actor=bare, message="No.").decision is not None
    other, second = make_approval(team, risk="critical"), make_user(team, name="second")
    assert post(other, reviewer, actor=Actor.of(reviewer, "web", proof="password")).decision is None, "two decide"
    with pytest.raises(NotProved):
        post(other, second, actor=Actor.of(second, "web"))
    assert post(other, second, actor=Actor.of(second, "web", proof="password")).decision is not None
    assert "proof" not in entries(make_approval(team), "approval.requested")[0].after
    plain = make_approval(team, risk="high")
    post(plain, reviewer, actor=Actor.of(reviewer, "web", proof="password"))
    assert "proof" not in entries(plain, "approval.decided")[0].after, "nobody asked for it"


def test_it_expires_at_the_moment_of_a_late_decision(approval, reviewer):
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Expired):
        post(approval, reviewer)
    approval.refresh_from_db()
    assert approval.status == Status.EXPIRED
    assert Decision.objects.get(approval=approval).verdict == "expire"
    with pytest.raises(Expired):
        post(approval, reviewer)
    assert len(entries(approval, "approval.expired")) == 1


def test_it_takes_no_more_than_the_desk_takes(approval, reviewer, settings):
    settings.INPUT_MAX_BYTES = 1000
    with pytest.raises(TooLarge):
        post(approval, reviewer, "reject", message="x" * 2000)


def test_it_changes_nothing_when_the_record_cannot_be_written(approval, reviewer, monkeypatch):
    def broken(*args, **facts):
        raise RuntimeError("no record")

    monkeypatch.setattr("approvals.moves.record", broken)
    with pytest.raises(RuntimeError, match="no record"):
        post(approval, reviewer)
    approval.refresh_from_db()
    assert approval.status == Status.PENDING
    assert not Decision.objects.filter(approval=approval).exists()


def test_who_answers_for_the_agent_decides_nothing_that_it_asks_unless_a_rule_says_so(team, reviewer):
    own = make_approval(team, owner_id=reviewer.pk)
    with pytest.raises(NotAllowed, match="You answer for this agent"):
        post(own, reviewer)
    assert post(own, make_user(team)).decision is not None
    assert post(make_approval(team, owner_id=reviewer.pk, requirements={"self_approval": True}), reviewer).decision is not None
