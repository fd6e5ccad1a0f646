"""A team's last admin stays, unless a superuser takes them away."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Membership, Role, Team, User
from agentdesk.people.team_admins import teams_left_alone
from tests.people.test_leaving import team_form

REFUSED = "A team keeps an admin. Make somebody else one first, or ask a superuser."


@pytest.fixture
def browse():
    def sign_in(user):
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root")


def change(client, team, **facts):
    return client.post(f"/admin/people/team/{team.pk}/change/", team_form(team, **facts), follow=True)


def off(client, user):
    given = {"first_name": user.first_name, "last_name": user.last_name, "hand_over_to": ""}
    return client.post(f"/admin/people/user/{user.pk}/change/", given, follow=True)


def admins(team):
    found = Membership.objects.filter(team=team, role=Role.ADMIN, user__is_active=True)
    return set(found.values_list("user__username", flat=True))


@pytest.mark.parametrize("how", [{"remove": True}, {"roles": "operator"}])
def test_the_last_one_is_neither_removed_nor_demoted(browse, ada, team, how):
    facts = {"remove": [ada.pk]} if "remove" in how else {"roles": {ada.pk: how["roles"]}}
    answer = change(browse(ada), team, **facts)
    assert REFUSED in answer.content.decode()
    assert admins(team) == {"ada"}
    assert not AuditEntry.objects.filter(action="membership.changed").exists()


def test_one_of_two_goes(browse, ada, team, person):
    person("bea", Role.ADMIN)
    change(browse(ada), team, remove=[ada.pk])
    assert admins(team) == {"bea"}
    assert AuditEntry.objects.filter(action="membership.changed").count() == 1


@pytest.mark.parametrize("facts", [{"is_active": False}, {"kind": User.Kind.SERVICE}])
def test_who_cannot_sign_in_does_not_count(browse, ada, team, person, facts):
    person("bea", Role.ADMIN, **facts)
    assert REFUSED in change(browse(ada), team, remove=[ada.pk]).content.decode()


def test_the_role_may_pass_to_somebody_in_the_same_form(browse, ada, robin, team):
    answer = change(browse(ada), team, roles={ada.pk: "operator", robin.pk: "admin"})
    assert answer.redirect_chain
    assert admins(team) == {"robin"}


def test_the_last_one_is_not_switched_off(browse, ada, team):
    answer = off(browse(ada), ada)
    assert "This is the last admin of Refunds." in str(answer.context["adminform"].form.errors["is_active"])
    assert admins(team) == {"ada"}


def test_a_superuser_may_and_is_told(browse, root, ada, team):
    answer = change(browse(root), team, remove=[ada.pk])
    assert "Nobody but superusers administers Refunds now." in answer.content.decode()
    assert admins(team) == set()


def test_a_superuser_may_switch_the_last_one_off_and_is_told(browse, root, ada, team):
    given = {"username": "ada", "email": ada.email, "first_name": "", "last_name": "", "kind": "person", "hand_over_to": ""}
    answer = browse(root).post(f"/admin/people/user/{ada.pk}/change/", given, follow=True)
    assert "Nobody but superusers administers Refunds now." in answer.content.decode()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("how", ["removed", "switched off"])
def test_of_two_who_take_each_other_away_at_once_one_stays(browse, how):
    team = Team.objects.create(slug="refunds", name="Refunds")
    both = [User.objects.create_user(name) for name in ("ada", "bea")]
    for user in both:
        Membership.objects.create(user=user, team=team, role=Role.ADMIN)
    clients = [browse(user) for user in both]
    forms = [team_form(team, remove=[user.pk]) for user in reversed(both)]
    together = threading.Barrier(2)

    def act(number):
        try:
            together.wait()
            if how == "removed":
                clients[number].post(f"/admin/people/team/{team.pk}/change/", forms[number])
            else:
                off(clients[number], both[1 - number])
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admins(team)) == 1


def test_it_names_the_teams_that_nobody_else_administers(ada, team, other_team, person):
    Membership.objects.create(user=ada, team=other_team, role=Role.ADMIN)
    person("bea", Role.ADMIN)
    with transaction.atomic():
        assert teams_left_alone(ada) == [other_team]
