import re
from datetime import timedelta

import pytest
from django.test import Client

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Token, User
from agentdesk.people.tokens import authenticate
from tests.people.conftest import PASSWORD, sign_in

PROFILE = {"first_name": "Robin", "last_name": "Vale", "time_zone": "Europe/Vienna", "theme": "dark"}


@pytest.fixture
def browser(robin):
    client = sign_in(robin)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


@pytest.mark.parametrize("path", ["/profile/", "/profile/theme/", "/profile/tokens/"])
def test_it_is_for_who_is_signed_in(db, path):
    response = Client().get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_it_changes_the_profile_and_says_so_on_record(browser, robin):
    assert browser.post("/profile/", PROFILE).status_code == 302
    robin.refresh_from_db()
    assert (robin.label, robin.time_zone, robin.theme) == ("Robin Vale", "Europe/Vienna", "dark")
    entry = AuditEntry.objects.get(action="user.changed")
    assert (entry.before["last_name"], entry.after["last_name"]) == ("", "Vale")
    assert entry.actor_id == robin.pk
    page = browser.get("/profile/").content.decode()
    assert 'data-theme="dark"' in page
    assert "Vale" in page


def test_it_writes_nothing_where_nothing_changed(browser):
    browser.post("/profile/", PROFILE)
    browser.post("/profile/", PROFILE)
    assert AuditEntry.objects.filter(action="user.changed").count() == 1


def test_it_shows_errors_at_the_field_and_changes_nothing(browser, robin):
    response = browser.post("/profile/", PROFILE | {"time_zone": "Mars/Olympus"})
    assert response.status_code == 422
    assert "Mars/Olympus is not one of the available choices" in response.content.decode()
    robin.refresh_from_db()
    assert robin.time_zone == ""


def test_it_gives_nobody_more_rights(browser, robin):
    browser.post("/profile/", PROFILE | {"is_superuser": "on", "kind": "service", "username": "root", "is_staff": "on"})
    robin.refresh_from_db()
    assert (robin.is_superuser, robin.is_staff, robin.kind, robin.username) == (False, False, "person", "robin")


def test_it_sets_the_theme_and_goes_back(browser, robin):
    response = browser.post("/profile/theme/", {"theme": "light"}, headers={"Referer": "http://testserver/runs/"})
    assert response["Location"] == "http://testserver/runs/"
    robin.refresh_from_db()
    assert robin.theme == "light"


def test_it_goes_to_no_foreign_page_after_setting_the_theme(browser):
    response = browser.post("/profile/theme/", {"theme": "light"}, headers={"Referer": "http://evil.example/"})
    assert response["Location"] == "/profile/"


def test_it_knows_three_themes(browser, robin):
    assert browser.post("/profile/theme/", {"theme": "pink"}).status_code == 400
    assert browser.get("/profile/theme/").status_code == 405
    robin.refresh_from_db()
    assert robin.theme == "system"


def test_it_shows_a_new_token_once(browser, robin):
    response = browser.post("/profile/tokens/", {"name": "nightly", "days": "30"})
    text = re.search(r'value="(ad_[\w-]{43})"', response.content.decode())[1]
    assert "no-store" in response["Cache-Control"]
    user, token = authenticate(text)
    assert (user, token.name) == (robin, "nightly")
    assert token.expires_at - token.created_at > timedelta(days=29)
    assert text not in browser.get("/profile/").content.decode()


def test_it_asks_for_the_password_again_before_it_makes_a_token(robin):
    client = sign_in(robin)
    response = client.post("/profile/tokens/", {"name": "nightly", "days": "30"})
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/reauthenticate/")
    assert not Token.objects.exists()
    response = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/profile/tokens/"})
    assert "ad_" in response.content.decode()
    assert Token.objects.get().name == "nightly"


def test_it_makes_no_token_without_a_name(browser):
    assert browser.post("/profile/tokens/", {"name": "", "days": "30"}).status_code == 422
    assert not Token.objects.exists()


def test_it_revokes_ones_own_tokens_only(browser, person):
    browser.post("/profile/tokens/", {"name": "nightly", "days": "0"})
    token = Token.objects.get()
    stranger = sign_in(person("stranger"))
    assert stranger.post(f"/profile/tokens/{token.pk}/revoke/").status_code == 404
    assert browser.get(f"/profile/tokens/{token.pk}/revoke/").status_code == 405
    token.refresh_from_db()
    assert token.revoked_at is None
    assert browser.post(f"/profile/tokens/{token.pk}/revoke/").status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_it_needs_the_csrf_token(robin):
    client = Client(enforce_csrf_checks=True)
    client.force_login(robin)
    for path in ("/profile/", "/profile/theme/", "/profile/tokens/"):
        assert client.post(path, {**PROFILE, "name": "x", "days": "30"}).status_code == 403
    assert User.objects.get(pk=robin.pk).theme == "system"
