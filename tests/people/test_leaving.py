"""Somebody leaves a team or the desk: what they looked after goes to others, and their ways in are closed."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user
from django.test import Client
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.leaving import Left, leave
from agentdesk.people.models import Membership, Role, User
from agentdesk.people.tokens import authenticate, create_token
from approvals import triage
from approvals.models import Approval, Claim, Snooze
from tests.approvals.cast import entries, make_approval
from tests.people.conftest import sign_in


@pytest.fixture
def sam(person):
    return person("sam", Role.REVIEWER, first_name="Sam")


@pytest.fixture
def admin(ada):
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def claimed(team, robin):
    """Something that robin looks after."""
    approval = make_approval(team)
    triage.claim(approval.pk, actor=Actor.of(robin, "web"), seen=0)
    return approval


def by(user):
    return Actor.of(User.objects.get(pk=user.pk), "admin")


def switch_off(admin, user, to=None):
    given = {"first_name": user.first_name, "last_name": user.last_name, "hand_over_to": to.pk if to else ""}
    return admin.post(f"/admin/people/user/{user.pk}/change/", given, follow=True)


def team_form(team, *, to=None, remove=(), roles=None):
    rows = list(Membership.objects.filter(team=team).order_by("pk"))
    given = {"name": team.name, "reject_reasons": "", "hand_over_to": to.pk if to else ""}
    given |= {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": len(rows)}
    for i, row in enumerate(rows):
        role = (roles or {}).get(row.user_id, row.role)
        given |= {f"memberships-{i}-id": row.pk, f"memberships-{i}-team": team.pk}
        given |= {f"memberships-{i}-user": row.user_id, f"memberships-{i}-role": role}
        if row.user_id in remove:
            given[f"memberships-{i}-DELETE"] = "on"
    return given


def test_what_they_had_is_given_up(admin, robin, ada, claimed):
    response = switch_off(admin, robin)
    assert "Approvals handed over: 0. Given up: 1." in response.content.decode()
    assert Claim.objects.get(pk=claimed.pk).user is None
    (entry,) = entries(claimed, "approval.released")
    assert entry.actor_id == ada.pk
    assert entry.before["user"]["v"] == str(robin.pk)


def test_what_they_had_goes_to_whom_the_admin_chooses(admin, robin, sam, ada, claimed):
    switch_off(admin, robin, to=sam)
    held = Claim.objects.get(pk=claimed.pk)
    assert (held.user, held.until, held.assigned_by) == (sam, None, ada)
    assert len(entries(claimed, "approval.handed_over")) == 1
    assert "hand_over_to" not in AuditEntry.objects.get(action="user.changed").after


def test_what_the_other_may_not_decide_is_given_up(robin, sam, team, claimed):
    asked_by_sam = make_approval(team, requester_id=sam.pk)
    triage.claim(asked_by_sam.pk, actor=Actor.of(robin, "web"), seen=0)
    Membership.objects.filter(user=robin).delete()
    assert leave(robin, to=sam, actor=by(sam)) == Left(handed_over=1, released=1)
    assert Claim.objects.get(pk=claimed.pk).user == sam
    assert Claim.objects.get(pk=asked_by_sam.pk).user is None


def test_leaving_twice_changes_nothing_more(robin, sam, claimed):
    Membership.objects.filter(user=robin).delete()
    assert leave(robin, to=sam, actor=by(sam)) == Left(handed_over=1)
    assert leave(robin, to=sam, actor=by(sam)) == Left()
    assert len(entries(claimed, "approval.handed_over")) == 1


def test_who_stays_a_reviewer_keeps_what_they_have(robin, sam, team, claimed):
    extra = Membership.objects.create(user=robin, team=team, role=Role.OPERATOR)
    extra.delete()
    assert leave(robin, to=sam, actor=by(sam)) == Left()
    assert Claim.objects.get(pk=claimed.pk).user == robin


def test_what_is_closed_stays_as_it_is(robin, sam, claimed):
    Approval.objects.filter(pk=claimed.pk).update(status="withdrawn", closed_at=timezone.now())
    Membership.objects.filter(user=robin).delete()
    assert leave(robin, to=sam, actor=by(sam)) == Left()


def test_what_they_put_off_is_put_off_no_more(admin, robin, team):
    approval = make_approval(team)
    triage.snooze(approval.pk, timezone.now() + timedelta(hours=1), actor=Actor.of(robin, "web"))
    switch_off(admin, robin)
    assert not Snooze.objects.exists()
    assert len(entries(approval, "approval.woken")) == 1


def test_losing_the_membership_hands_over_too(admin, robin, sam, team, claimed):
    response = admin.post(f"/admin/people/team/{team.pk}/change/", team_form(team, to=sam, remove=[robin.pk]))
    assert response.status_code == 302, response.context["errors"]
    assert Claim.objects.get(pk=claimed.pk).user == sam
    assert "team.changed" not in AuditEntry.objects.values_list("action", flat=True)


def test_another_role_gives_up_what_a_reviewer_had(admin, robin, team, claimed):
    response = admin.post(f"/admin/people/team/{team.pk}/change/", team_form(team, roles={robin.pk: "operator"}))
    assert response.status_code == 302, response.context["errors"]
    assert Claim.objects.get(pk=claimed.pk).user is None


def test_only_reviewers_of_ones_teams_are_offered(admin, robin, person, other_team, claimed):
    stranger = person("stranger", Role.REVIEWER, team=other_team)
    for to in (stranger, robin):
        assert switch_off(admin, robin, to=to).context["adminform"].form.errors["hand_over_to"]
    robin.refresh_from_db()
    assert robin.is_active
    assert Claim.objects.get(pk=claimed.pk).user == robin


def test_sessions_and_tokens_end_and_do_not_come_back(admin, robin):
    browser = sign_in(robin)
    robin.refresh_from_db()
    _token, text = create_token(robin, "nightly", actor=Actor.of(robin, "web"))
    switch_off(admin, robin)
    User.objects.filter(pk=robin.pk).update(is_active=True)
    assert not get_user(browser).is_authenticated
    assert authenticate(text) is None
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"session.ended", "token.revoked"} <= actions


def test_one_signs_out_everywhere_else(robin):
    here, elsewhere = sign_in(robin), Client()
    elsewhere.login(username="robin", password="long enough 42")
    assert get_user(elsewhere).is_authenticated
    assert here.get("/profile/sign-out-others/").status_code == 405
    response = here.post("/profile/sign-out-others/", follow=True)
    assert "You are signed out everywhere else." in response.content.decode()
    assert get_user(here).is_authenticated
    assert not get_user(elsewhere).is_authenticated
    assert elsewhere.post("/profile/sign-out-others/").status_code == 302
    here.post("/profile/sign-out-others/")
    assert get_user(here).is_authenticated
    assert AuditEntry.objects.filter(action="session.ended").count() == 2
