"""Django admin for people: a team's admin rules their team and nothing else."""

import re

import pytest
from django.core import mail
from django.test import Client

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.models import Membership, Role, Team, User
from agentdesk.people.tokens import create_token
from tests.people.conftest import PASSWORD

NEW = {"username": "kim", "email": "kim@example.com", "first_name": "Kim", "last_name": "Osei", "role": "operator"}


@pytest.fixture
def as_user():
    def sign_in(user):
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def browser(as_user, ada):
    return as_user(ada)


@pytest.fixture
def root(db, as_user):
    return as_user(User.objects.create_superuser("root"))


@pytest.fixture
def stranger(person, other_team):
    return person("stranger", Role.ADMIN, team=other_team, email="s@example.com")


def paths(*users):
    return [f"/admin/people/user/{user.pk}/change/" for user in users]


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.OPERATOR])
def test_it_is_closed_to_who_administers_nothing(as_user, person, role):
    client = as_user(person("kim", role))
    for path in ("/admin/", "/admin/people/user/", "/admin/people/team/add/"):
        assert client.get(path, follow=True).status_code == 403


def test_it_sends_strangers_to_the_desks_own_sign_in(db):
    response = Client().get("/admin/people/user/")
    assert response.status_code == 302
    response = Client().get(response["Location"])
    assert response["Location"].startswith("/accounts/login/")


def test_it_lists_the_people_of_ones_teams(browser, robin, stranger):
    page = browser.get("/admin/people/user/").content.decode()
    assert "robin@example.com" in page
    assert "stranger" not in page
    own, foreign = paths(robin, stranger)
    assert browser.get(own).status_code == 200
    assert browser.get(foreign).status_code == 302  # Django admin: gone, back to its index


def test_it_invites_a_person_with_a_role(browser, team, ada):
    response = browser.post("/admin/people/user/add/", NEW | {"team": str(team.pk)})
    assert response.status_code == 302, response.context["errors"]
    kim = User.objects.get(username="kim")
    assert not kim.has_usable_password()
    assert Membership.objects.get(user=kim).role == Role.OPERATOR
    entries = AuditEntry.objects.filter(actor_id=ada.pk, via="admin").order_by("id")
    assert [(entry.action, entry.after) for entry in entries] == [
        ("user.changed", {"username": "kim", "email": "kim@example.com", "first_name": "Kim", "last_name": "Osei"}),
        ("membership.changed", {"role": "operator"}),
        ("user.changed", {"invited": True}),
    ]
    (message,) = mail.outbox
    assert message.to == ["kim@example.com"]
    link = re.search(r"http://127\.0\.0\.1:8000(/accounts/password/reset/key/\S+)", message.body)[1]
    guest = Client()
    form = guest.get(link, follow=True)
    guest.post(form.redirect_chain[-1][0], {"password1": PASSWORD, "password2": PASSWORD})
    assert guest.post("/accounts/login/", {"login": "kim", "password": PASSWORD}).status_code == 302
    assert guest.get("/profile/").status_code == 200


def test_it_invites_into_ones_own_teams_only(browser, other_team):
    assert browser.post("/admin/people/user/add/", NEW | {"team": str(other_team.pk)}).status_code == 200
    assert browser.post("/admin/people/user/add/", NEW | {"team": ""}).status_code == 200
    assert not User.objects.filter(username="kim").exists()


def test_it_makes_nobody_a_superuser(browser, team, robin):
    browser.post("/admin/people/user/add/", NEW | {"team": str(team.pk), "is_superuser": "on", "kind": "service"})
    browser.post(paths(robin)[0], {"first_name": "R", "is_active": "on", "is_superuser": "on", "email": "ada2@example.com"})
    assert not User.objects.filter(is_superuser=True).exists()
    kim, changed = User.objects.get(username="kim"), User.objects.get(pk=robin.pk)
    assert kim.kind == User.Kind.PERSON
    assert (changed.first_name, changed.email) == ("R", "robin@example.com")


def test_it_leaves_people_of_other_teams_alone(browser, robin, other_team):
    Membership.objects.create(user=robin, team=other_team, role=Role.REVIEWER)
    assert browser.get(paths(robin)[0]).status_code == 200
    assert browser.post(paths(robin)[0], {"first_name": "R"}).status_code == 403
    robin.refresh_from_db()
    assert robin.is_active


def test_it_leaves_superusers_alone(browser, robin):
    User.objects.filter(pk=robin.pk).update(is_superuser=True)
    assert browser.post(paths(robin)[0], {"first_name": "R"}).status_code == 403


def test_it_deletes_nobody(root, robin):
    assert root.get(f"/admin/people/user/{robin.pk}/delete/").status_code == 403
    assert root.post(f"/admin/people/user/{robin.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=robin.pk).exists()


def test_it_takes_each_address_once(browser, team, robin):
    response = browser.post("/admin/people/user/add/", NEW | {"team": str(team.pk), "email": "Robin@example.com"})
    assert "Somebody else has this address" in response.content.decode()


def memberships_form(team, *rows):
    data = {"name": team.name, "slug": team.slug, "memberships-TOTAL_FORMS": len(rows)}
    data["memberships-INITIAL_FORMS"] = sum("id" in row for row in rows)
    for number, row in enumerate(rows):
        data |= {f"memberships-{number}-{name}": value for name, value in row.items()}
        data[f"memberships-{number}-team"] = str(team.pk)
    return data


def test_it_gives_and_takes_roles_on_record(browser, team, ada, robin):
    path = f"/admin/people/team/{team.pk}/change/"
    held = Membership.objects.get(user=robin)
    kept = {"id": str(held.pk), "user": str(robin.pk), "role": "operator"}
    added = {"user": str(robin.pk), "role": "admin"}
    response = browser.post(path, memberships_form(team, kept, added))
    assert response.status_code == 302, response.context["errors"]
    assert robin.team_ids(Role.OPERATOR) == robin.team_ids(Role.ADMIN) == {team.pk}
    assert robin.team_ids(Role.REVIEWER) == set()
    entries = AuditEntry.objects.filter(action="membership.changed").order_by("id")
    assert [(entry.before["role"], entry.after["role"], entry.team_id) for entry in entries] == [
        (None, "admin", team.pk),
        ("reviewer", "operator", team.pk),
    ]


def test_it_adds_no_strangers_to_a_team_and_changes_no_other_team(browser, team, other_team, stranger):
    path = f"/admin/people/team/{team.pk}/change/"
    assert browser.post(path, memberships_form(team, {"user": str(stranger.pk), "role": "admin"})).status_code == 200
    assert not Membership.objects.filter(user=stranger, team=team).exists()
    foreign = f"/admin/people/team/{other_team.pk}/change/"
    assert browser.get(foreign).status_code == 302
    assert browser.get("/admin/people/team/add/").status_code == 403


def test_it_lets_superusers_make_teams(root):
    assert root.post("/admin/people/team/add/", memberships_form(Team(name="New", slug="new"))).status_code == 302
    team = Team.objects.get(slug="new")
    assert AuditEntry.objects.get(action="team.changed").object_id == str(team.pk)


def test_it_revokes_tokens_of_ones_people(browser, robin, stranger):
    own, _ = create_token(robin, "own", actor=Actor.of(robin))
    foreign, _ = create_token(stranger, "foreign", actor=Actor.of(stranger))
    action = {"action": "revoke", "_selected_action": [str(own.pk), str(foreign.pk)]}
    assert browser.post("/admin/people/token/", action).status_code == 302
    own.refresh_from_db()
    foreign.refresh_from_db()
    assert own.revoked_at
    assert not foreign.revoked_at
