"""More than one reviewer: votes, versions, teams, and one rejection that is enough."""

import os
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from agentdesk.people.models import Membership
from approvals.errors import AlreadyDecided, NotCurrent
from approvals.models import Review
from approvals.policy.requirements import freeze, normal, progress, unite
from approvals.states import Status
from tests.approvals.cast import ARGS, entries, make_approval, make_team, make_user, post

pytestmark = pytest.mark.django_db
TWO = {"count": 2}


def test_it_waits_for_the_second_vote():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    first = post(approval, make_user(team))
    assert (first.decision, first.have, first.need) == (None, 1, 2)
    approval.refresh_from_db()
    assert (approval.status, approval.revision) == (Status.PENDING, 2)
    second = post(approval, make_user(team))
    assert second.decision is not None
    assert (second.have, second.need) == (2, 2)
    actions = [entry.action for entry in entries(approval)]
    assert actions == ["approval.requested", "approval.reviewed", "approval.decided"]


def test_it_counts_nobody_twice():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    reviewer = make_user(team)
    post(approval, reviewer)
    again = post(approval, reviewer)
    assert (again.repeated, again.decision, again.have) == (True, None, 1)
    once_more = post(approval, reviewer, message="really")
    assert (once_more.repeated, once_more.decision, once_more.have) == (False, None, 1)
    assert Review.objects.filter(approval=approval).count() == 1


def test_it_decides_with_one_rejection():
    team = make_team()
    approval = make_approval(team, requirements={"count": 3})
    post(approval, make_user(team))
    outcome = post(approval, make_user(team), "reject", message="no")
    assert outcome.decision is not None
    assert outcome.decision.verdict == "reject"


def test_it_lets_a_reviewer_think_again_and_reject():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    reviewer = make_user(team)
    post(approval, reviewer)
    outcome = post(approval, reviewer, "reject")
    assert outcome.decision is not None
    assert outcome.decision.verdict == "reject"


def test_it_starts_counting_anew_after_a_modification():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    first, editor = make_user(team), make_user(team)
    post(approval, first)
    edited = post(approval, editor, "modify", args={**ARGS, "amount": "5.00"})
    assert (edited.decision, edited.have) == (None, 1)
    with pytest.raises(NotCurrent):
        post(approval, first)
    approval.refresh_from_db()
    outcome = post(approval, first)
    assert outcome.decision is not None
    assert (outcome.decision.verdict, outcome.decision.version) == ("modify", 2)
    assert [entry.action for entry in entries(approval)][1:] == ["approval.reviewed", "approval.modified", "approval.decided"]


def test_it_gives_the_editor_the_standing_outcome_for_the_same_post_again():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    editor = make_user(team)
    args = {**ARGS, "amount": "5.00"}
    post(approval, editor, "modify", args=args)
    again = post(approval, editor, "modify", args=args)
    assert (again.repeated, again.have, again.need) == (True, 1, 2)
    assert again.approval.version == 2


def test_it_calls_it_approved_when_a_modification_led_back_to_what_was_asked():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    one, two = make_user(team), make_user(team)
    post(approval, one, "modify", args={**ARGS, "amount": "5.00"})
    approval.refresh_from_db()
    post(approval, two, "modify", args=ARGS)
    approval.refresh_from_db()
    outcome = post(approval, one)
    assert outcome.decision is not None
    assert (outcome.decision.verdict, outcome.decision.version) == ("approve", 3)


def test_it_counts_only_equal_answers_together():
    team = make_team()
    approval = make_approval(team, requirements=TWO, allowed=["respond"], answer_schema={"enum": ["a", "b"]})
    post(approval, make_user(team), "respond", answer="a")
    other = post(approval, make_user(team), "respond", answer="b")
    assert (other.decision, other.have) == (None, 1)
    third = post(approval, make_user(team), "respond", answer="a")
    assert third.decision is not None
    assert third.decision.answer == "a"


def test_it_forgets_the_vote_of_somebody_who_no_longer_reviews():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    gone = make_user(team)
    post(approval, gone)
    Membership.objects.filter(user=gone).delete()
    outcome = post(approval, make_user(team))
    assert (outcome.decision, outcome.have) == (None, 1)


def test_it_wants_votes_of_every_group():
    support, finance = make_team(), make_team("Finance")
    groups = [{"teams": [str(support.pk)], "count": 2}, {"teams": [str(finance.pk)], "count": 1}]
    approval = make_approval(support, requirements={"groups": groups})
    for person in (make_user(support), make_user(support), make_user(support)):
        outcome = post(approval, person)
        assert outcome.decision is None
    assert (outcome.have, outcome.need) == (2, 3)
    assert post(approval, make_user(finance)).decision is not None


def test_it_tells_a_voter_on_the_losing_side_that_it_was_decided_otherwise():
    team = make_team()
    approval = make_approval(team, requirements=TWO)
    voter = make_user(team)
    post(approval, voter)
    post(approval, make_user(team), "reject")
    with pytest.raises(AlreadyDecided):
        post(approval, voter)


TEAMS = ("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002")
requirement = st.fixed_dictionaries(
    {
        "teams": st.lists(st.sampled_from(TEAMS), max_size=2),
        "count": st.integers(1, 4),
        "expires_after": st.none() | st.floats(1, 1e6),
        "self_approval": st.booleans(),
        "second_factor": st.booleans(),
        "message_required": st.booleans(),
    }
)


@given(st.lists(requirement, min_size=1, max_size=4))
def test_it_never_asks_less_than_any_of_the_united_requirements(parts):
    united = unite(parts)
    for part in parts:
        wanted = normal(part)
        assert all(
            any(group["teams"] == own["teams"] and group["count"] >= own["count"] for group in united["groups"])
            for own in wanted["groups"]
        )
        assert united["second_factor"] >= wanted["second_factor"]
        assert united["message_required"] >= wanted["message_required"]
        assert united["self_approval"] <= wanted["self_approval"]
        if wanted["expires_after"] is not None:
            assert united["expires_after"] is not None
            assert united["expires_after"] <= wanted["expires_after"]
    assert unite([united]) == united
    assert unite(reversed(parts)) == united


@given(st.lists(requirement, max_size=3), st.dictionaries(st.uuids(), st.sets(st.sampled_from(TEAMS)), max_size=6))
def test_it_is_met_only_when_every_group_is(parts, votes):
    from uuid import UUID

    team = UUID(TEAMS[0])
    frozen = freeze(unite(parts), team)
    voters = {person: {UUID(name) for name in teams} for person, teams in votes.items()}
    have, need = progress(frozen, voters)
    met = all(sum(1 for teams in votes.values() if teams & set(group["teams"])) >= group["count"] for group in frozen["groups"])
    assert (have == need) == met
    assert 0 <= have <= need == frozen["count"]


class AnySequenceOfVotes(TestCase):
    """Whatever is posted in whatever order: carried out only with enough distinct, current, agreeing reviewers, and not where
    one refused. ``VOTE_SEQUENCES=5000 pytest tests/approvals/test_quorum.py`` tries so many."""

    @settings(max_examples=int(os.environ.get("VOTE_SEQUENCES", "60")), deadline=None)
    @given(
        st.integers(1, 3),
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["approve", "reject", "modify", "stale"])), max_size=8),
    )
    def test_it_is_honest(self, count: int, posts: Sequence[tuple[int, str]]) -> None:
        team = make_team()
        people = [make_user(team) for _number in range(4)]
        approval = make_approval(team, requirements={"count": count})
        agreeing: set[int] = set()
        for number, (person, verdict) in enumerate(posts):
            if verdict == "stale":
                with pytest.raises(NotCurrent):
                    post(approval, people[person], version=approval.version + 5)
                continue
            outcome = post(approval, people[person], verdict, args={**ARGS, "amount": f"{number}.50"})
            agreeing = {person} if verdict == "modify" else agreeing | {person}
            is_over = verdict == "reject" or len(agreeing) >= count
            assert (outcome.decision is not None) == is_over
            if outcome.decision is not None:
                assert (outcome.decision.verdict == "reject") == (verdict == "reject")
                return
            approval.refresh_from_db()
        assert approval.status == Status.PENDING


def different_teams(count: int = 2, from_teams: int = 2, teams: int = 2):
    named = [make_team(name) for name in ("Support", "Finance", "Legal")[:teams]]
    groups = [{"teams": [str(team.pk) for team in named], "count": count, "from_teams": from_teams}]
    return named, make_approval(named[0], requirements={"groups": groups})


def test_it_wants_people_of_different_teams():
    (support, finance), approval = different_teams()
    for person in (make_user(support), make_user(support)):
        outcome = post(approval, person)
        assert (outcome.decision, outcome.have, outcome.need) == (None, 1, 2)
    assert post(approval, make_user(finance)).decision is not None


def test_one_person_of_two_teams_counts_for_one():
    (support, finance), approval = different_teams()
    assert post(approval, make_user(support, finance)).have == 1
    assert post(approval, make_user(finance)).decision is not None


def test_reviewers_read_from_how_many_teams():
    from approvals.web.fragments import load, render_card, render_row

    _teams, approval = different_teams()
    assert "from 2 different teams" in render_row(load(approval.pk))
    assert "They come from 2 different teams; one person counts for one." in render_card(load(approval.pk))


@given(st.lists(st.sets(st.integers(0, 3), max_size=4), max_size=5), st.integers(1, 3), st.integers(1, 4))
def test_it_is_met_by_different_teams_only_when_people_can_be_told_apart_so(people, count, from_teams):
    from itertools import permutations
    from uuid import UUID

    names = [UUID(int=number) for number in range(4)]
    required = normal({"groups": [{"teams": names, "count": count, "from_teams": from_teams}]})
    voters = {UUID(int=100 + number): {names[team] for team in teams} for number, teams in enumerate(people)}
    have, need = progress(required, voters)
    agreeing = [teams for teams in people if teams]
    spread = any(
        all(team in person for team, person in zip(order, chosen, strict=True))
        for order in permutations(range(4), from_teams)
        for chosen in permutations(agreeing, from_teams)
    )
    assert (have == need) == (len(agreeing) >= count and spread)
    assert unite([required, {"teams": names, "count": 1}])["groups"] == required["groups"]
