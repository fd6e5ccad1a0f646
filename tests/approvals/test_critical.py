"""Critical risk: two different people, whatever the rules say, and no edit asks for less."""

import pytest

from agentdesk import checks
from agentdesk.audit.record import Actor
from approvals.errors import AlreadyDecided, NotAllowed, NotProved
from approvals.models import Approval, Decision
from approvals.policy.requirements import normal, of_people, progress, unite
from approvals.states import Status
from tests.approvals.cast import ARGS, entries, make_approval, make_rule, make_team, make_user, post


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def reviewer(team):
    return make_user(team, name="robin")


@pytest.fixture
def second(team):
    return make_user(team, name="sam")


def test_it_waits_for_a_second_person_and_one_person_twice_is_still_one(team, reviewer, second):
    approval = make_approval(team, risk="critical")
    assert approval.requirements["people"] == 2
    assert entries(approval, "approval.requested")[0].after["requirements"]["count"] == 2
    first = post(approval, reviewer)
    assert (first.decision, first.have, first.need) == (None, 1, 2)
    again = post(approval, reviewer)
    assert (again.decision, again.repeated) == (None, True)
    assert post(approval, second).decision is not None
    assert [entry.action for entry in entries(approval, "approval.reviewed", "approval.decided")] == [
        "approval.reviewed", "approval.decided",
    ]  # fmt: skip
    with pytest.raises(AlreadyDecided):
        post(approval, make_user(team, name="third"))


def test_one_refusal_is_enough(team, reviewer):
    assert post(make_approval(team, risk="critical"), reviewer, "reject", message="No.").decision is not None


@pytest.mark.parametrize("facts", [{"kind": "in_doubt", "allowed": ["respond"]}, {"kind": "interrupt", "allowed": ["respond"]}])
def test_what_lets_nothing_happen_needs_one(team, reviewer, facts):
    approval = make_approval(team, risk="critical", **facts)
    assert approval.need == 1
    assert post(approval, reviewer, "respond", answer="happened").decision is not None


@pytest.mark.parametrize(
    "facts", [{}, {"kind": "interrupt"}, {"source": "api"}, {"adapter": "undo", "allowed": ["approve", "reject"]}]
)
def test_every_road_asks_for_two(team, facts):
    assert make_approval(team, risk="critical", **facts).need == 2
    assert make_approval(team, risk="high", **facts).need == 1


def test_a_desk_of_one_person_may_say_one_and_what_was_asked_before_keeps_what_it_was_asked_with(team, reviewer, settings):
    before = make_approval(team, risk="critical")
    settings.CRITICAL_APPROVERS = 1
    assert [found.id for found in checks.check_critical_approvers(None)] == ["agentdesk.W028"]
    assert post(make_approval(team, risk="critical"), reviewer).decision is not None
    assert post(before, reviewer).decision is None
    settings.CRITICAL_APPROVERS = 0
    assert [found.id for found in checks.check_critical_approvers(None)] == ["agentdesk.E028"]
    settings.CRITICAL_APPROVERS = 2
    assert checks.check_critical_approvers(None) == []


def test_somebody_in_both_teams_of_a_rule_is_one_person(team, second):
    finance = make_team("Finance")
    both = make_user(team, finance, name="both")
    groups = [{"teams": [str(team.pk)], "count": 1}, {"teams": [str(finance.pk)], "count": 1}]
    assert post(make_approval(team, risk="high", requirements={"groups": groups}), both).decision is not None
    approval = make_approval(team, risk="critical", requirements={"groups": groups})
    assert post(approval, both).decision is None
    assert post(approval, second).decision is not None


def test_the_rules_may_ask_for_more_and_never_for_less():
    assert of_people({"count": 3}, 2)["count"] == 3
    wanted = of_people({}, 2)
    assert normal(wanted) == wanted
    assert unite([wanted, normal({})])["people"] == unite([normal({}), wanted])["people"] == 2
    assert progress({**wanted, "groups": [{"teams": [], "count": 1}]}, {}) == (0, 2)


def test_an_edit_keeps_the_two_and_the_first_vote_falls_away(team, reviewer, second):
    make_rule("allow", action="issue_refund")
    approval = make_approval(team, risk="critical")
    post(approval, reviewer)
    assert post(approval, second, "modify", args={**ARGS, "amount": "1.00"}).decision is None
    approval.refresh_from_db()
    assert (approval.need, approval.version) == (2, 2)
    assert post(approval, reviewer).decision is not None


@pytest.fixture
def raising(team):
    """A rule that wants a second factor from 1000 on."""
    return make_rule(
        "ask", action="issue_refund", second_factor=True, conditions=[{"path": "amount", "op": ">=", "value": 1000}]
    )


def test_an_edit_that_needs_a_second_factor_is_not_cast_without_one(team, reviewer, raising):
    """What is required of the changed arguments is required of the one who changes them."""
    from allauth.mfa.models import Authenticator

    approval = make_approval(team)
    dear = {"args": {**ARGS, "amount": "5000.00"}}
    with pytest.raises(NotAllowed, match="second factor"):
        post(approval, reviewer, "modify", **dear)
    Authenticator.objects.create(user=reviewer, type=Authenticator.Type.TOTP, data={})
    with pytest.raises(NotProved, match="second factor"):
        post(approval, reviewer, "modify", **dear)
    kept = Approval.objects.get(pk=approval.pk)
    assert (kept.status, kept.version, kept.requirements) == (Status.PENDING, 1, approval.requirements)
    assert not Decision.objects.exists()
    assert len(entries(approval, "approval.refused")) == 2
    proved = Actor.of(reviewer, "web", proof="totp")
    assert post(approval, reviewer, "modify", actor=proved, **dear).decision is not None
