"""What happens when nobody decides: a reminder, then another team, then it is refused; never that it runs."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from approvals.decisions import expire_due, remind_due
from approvals.errors import NotCurrent
from approvals.models import Approval, Rule
from approvals.policy.requirements import escalated, unite
from approvals.states import Status
from approvals.web.fragments import load, render_card, render_row
from tests.approvals.cast import entries, make_approval, make_team, make_user, post

pytestmark = pytest.mark.django_db


def past_due(approval: Approval, field: str = "expires_at") -> None:
    Approval.objects.filter(pk=approval.pk).update(**{field: timezone.now() - timedelta(seconds=1)})


def escalating(team, other, **more):
    return make_approval(team, requirements={"escalate_to": [str(other.pk)], "expires_after": 60.0, **more})


def test_it_asks_the_other_team_once_and_then_refuses():
    team, other = make_team(), make_team("Leads")
    approval, boss = escalating(team, other), make_user(other)
    assert not Approval.objects.visible_to(boss).exists()
    assert "If nobody decides in time, Leads is asked too." in render_card(load(approval.pk))
    past_due(approval)
    assert expire_due() == 1
    approval.refresh_from_db()
    assert (approval.status, set(approval.reviewer_teams)) == (Status.PENDING, {team.pk, other.pk})
    assert timedelta(seconds=50) < approval.expires_at - timezone.now() <= timedelta(seconds=60)
    assert Approval.objects.visible_to(boss).exists()
    (entry,) = entries(approval, "approval.escalated")
    assert entry.after["teams"] == sorted([str(team.pk), str(other.pk)])
    assert "Escalated." in render_card(load(approval.pk))
    assert expire_due() == 0
    past_due(approval)
    assert expire_due() == 1
    approval.refresh_from_db()
    assert (approval.status, approval.standing.verdict) == (Status.EXPIRED, "expire")
    assert len(entries(approval, "approval.escalated")) == 1


def test_who_was_asked_later_decides_and_votes_from_before_count():
    team, other = make_team(), make_team("Leads")
    approval = escalating(team, other, count=2)
    post(approval, make_user(team))
    past_due(approval)
    expire_due()
    assert post(approval, make_user(other)).decision is not None


def test_a_vote_that_comes_too_late_finds_the_other_team_asked():
    team, other = make_team(), make_team("Leads")
    approval, reviewer = escalating(team, other), make_user(team)
    past_due(approval)
    with pytest.raises(NotCurrent):
        post(approval, reviewer)
    approval.refresh_from_db()
    assert approval.escalated_at is not None
    assert post(approval, reviewer).decision is not None


def test_it_reminds_once():
    team = make_team()
    approval = make_approval(team, requirements={"remind_after": 60.0})
    assert remind_due() == 0
    past_due(approval, "remind_at")
    assert (remind_due(), remind_due()) == (1, 0)
    shown = load(approval.pk)
    assert (shown.status, shown.revision) == (Status.PENDING, 2)  # open pages are told
    assert len(entries(approval, "approval.reminded")) == 1
    assert "Reminder." in render_card(shown)
    assert "reminder" in render_row(shown)


def test_nobody_is_reminded_of_what_is_decided():
    team = make_team()
    approval = make_approval(team, requirements={"remind_after": 60.0})
    post(approval, make_user(team))
    past_due(approval, "remind_at")
    assert remind_due() == 0


def test_the_end_that_comes_first_says_what_happens_then():
    first = {"expires_after": 60.0}
    later = {"expires_after": 600.0, "escalate_to": ["b"]}
    assert unite([first, later])["escalate_to"] == []
    assert unite([{**first, "escalate_to": ["a"]}, later])["escalate_to"] == ["a"]
    assert unite([{"escalate_to": ["a"]}, {"escalate_to": ["b"], "remind_after": 5}, {"remind_after": 3}])["remind_after"] == 3
    assert unite([{"escalate_to": ["a"]}, {"escalate_to": ["b"]}])["escalate_to"] == ["a", "b"]


def test_a_rule_that_escalates_names_the_team():
    with pytest.raises(ValidationError, match="Name the team"):
        Rule(name="a", verdict="ask", on_expiry="escalate").full_clean()


def test_each_rule_escalates_for_the_reviewers_that_it_wants_itself():
    finance = {"teams": ["finance"], "count": 1}
    legal = {"teams": ["legal"], "count": 1}
    wanted = unite([{"groups": [finance], "escalate_to": ["leads"]}, {"groups": [legal]}])
    assert wanted["escalate_to"] == ["leads"]
    assert [group["teams"] for group in escalated(wanted)["groups"]] == [["finance", "leads"], ["legal"]]
    both = unite([{"groups": [finance], "escalate_to": ["leads"]}, {"groups": [finance], "escalate_to": ["board"]}])
    assert [group["teams"] for group in escalated(both)["groups"]] == [["board", "finance", "leads"]]
    assert escalated(both)["escalate_to"] == []
