from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from agentdesk.audit.models import AuditContent, AuditEntry
from agentdesk.people.demo import NotHere, seed_people
from agentdesk.people.models import Membership, Team, User
from tests.people.conftest import PASSWORD, sign_in


def test_it_has_no_sign_up(db):
    assert Client().get("/accounts/signup/").status_code == 404
    assert Client().post("/accounts/signup/", {"username": "me", "password1": "x", "password2": "x"}).status_code == 404
    assert not User.objects.exists()


def test_it_records_signing_in_and_out(robin):
    client = sign_in(robin)
    client.post("/accounts/logout/")
    entries = list(AuditEntry.objects.order_by("id").values_list("action", "actor_id", "address"))
    assert entries == [("login.succeeded", robin.pk, "127.0.0.1"), ("logout", robin.pk, "127.0.0.1")]


def test_it_signs_out_by_post_only(robin):
    client = sign_in(robin)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/profile/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/profile/").status_code == 302


def test_it_records_failures_with_the_tried_name_in_the_erasable_part(robin):
    Client().post("/accounts/login/", {"login": "hunter2 my password", "password": "wrong"})
    Client().post("/accounts/login/", {"login": "robin", "password": "wrong"})
    first, second = AuditEntry.objects.filter(action="login.failed").order_by("id")
    assert (first.object_label, first.object_id) == ("", "")
    assert "hunter2" not in str(first.__dict__)
    assert first.content.body == {"tried": "hunter2 my password"}
    assert second.object_id == str(robin.pk)
    assert "wrong" not in str(list(AuditContent.objects.values("body")))


def test_it_signs_in_by_address_too(robin):
    robin.set_password("long enough 42")
    robin.save()
    client = Client()
    client.post("/accounts/login/", {"login": "Robin@Example.com", "password": "long enough 42"})
    assert client.get("/profile/").status_code == 200


def test_it_stops_guessing(robin):
    robin.set_password("long enough 42")
    robin.save()
    client = Client()
    for _ in range(12):
        client.post("/accounts/login/", {"login": "robin", "password": "guess"})
    response = client.post("/accounts/login/", {"login": "robin", "password": "long enough 42"})
    assert response.status_code in (200, 429)
    assert client.get("/profile/").status_code == 302
    assert AuditEntry.objects.filter(action="login.succeeded").count() == 0


def test_it_lets_nobody_in_who_is_switched_off(robin):
    client = sign_in(robin)
    User.objects.update(is_active=False)
    assert client.get("/profile/").status_code == 302


def test_it_lets_no_program_sign_in(robin):
    robin.kind = User.Kind.SERVICE
    robin.set_password(PASSWORD)
    robin.save()
    client = Client()
    response = client.post("/accounts/login/", {"login": "robin", "password": PASSWORD})
    assert response["Location"] == "/accounts/inactive/"
    assert client.get("/profile/").status_code == 302


def test_it_clears_ended_sessions_away_when_somebody_signs_in(robin):
    yesterday, tomorrow = (timezone.now() + timedelta(days=days) for days in (-1, 1))
    Session.objects.create(session_key="ended", session_data="", expire_date=yesterday)
    Session.objects.create(session_key="lives", session_data="", expire_date=tomorrow)
    sign_in(robin)
    keys = set(Session.objects.values_list("session_key", flat=True))
    assert "ended" not in keys
    assert "lives" in keys


def test_it_seeds_the_demo_people_once(db, settings):
    settings.DEMO = settings.EMBEDDED = settings.LOOPBACK = True
    team, people = seed_people()
    assert set(people) == {"reviewer", "second", "operator", "admin"}
    people["reviewer"].set_password("changed by its owner")
    people["reviewer"].save()
    again, same = seed_people()
    assert (again, Team.objects.count(), User.objects.count(), Membership.objects.count()) == (team, 1, 4, 4)
    assert same["reviewer"].check_password("changed by its owner")
    assert same["second"].check_password("demo")
    assert Client().post("/accounts/login/", {"login": "operator", "password": "demo"}).status_code == 302


@pytest.mark.parametrize("missing", ["DEMO", "EMBEDDED", "LOOPBACK"])
def test_it_seeds_nobody_where_others_can_reach_the_desk(db, settings, missing):
    settings.DEMO = settings.EMBEDDED = settings.LOOPBACK = True
    setattr(settings, missing, False)
    with pytest.raises(NotHere):
        seed_people()
    assert not User.objects.exists()
