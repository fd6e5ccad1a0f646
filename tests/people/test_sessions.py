"""Where somebody is signed in, and signing out of one of these browsers."""

import re

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from agentdesk.audit.models import AuditEntry
from agentdesk.people.sessions import browser_of
from tests.people.conftest import PASSWORD, sign_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def robin(person):
    return person("robin", email="robin@example.com")


def signed_in(user, agent=FIREFOX):
    """One more browser of somebody whose password is known."""
    client = Client(headers={"User-Agent": agent})
    assert client.post("/accounts/login/", {"login": user.username, "password": PASSWORD}).status_code == 302
    return client


def other(page):
    return re.search(r"/profile/sessions/(\d+)/end/", page)[1]


def test_it_lists_each_browser_and_says_which_one_this_is(robin):
    first, second = sign_in(robin), signed_in(robin)
    page = second.get("/profile/").text
    assert "Firefox on Linux" in page
    assert page.count('<span class="dim">this browser</span>') == 1
    assert page.count("Sign out of ") == 1
    first.post("/accounts/logout/")
    assert "Sign out of " not in second.get("/profile/").text


def test_it_signs_out_of_one_of_them_at_once_and_once(robin):
    first, second, third = sign_in(robin), signed_in(robin), signed_in(robin)
    number = UserSession.objects.get(session_key=second.session.session_key).pk
    for told in ("You are signed out there.", "You were not signed in there any more."):
        answer = first.post(f"/profile/sessions/{number}/end/", follow=True)
        assert told in answer.text
    assert [client.get("/profile/").status_code for client in (first, second, third)] == [200, 302, 200]
    (entry,) = AuditEntry.objects.filter(action="session.ended")
    assert (entry.actor_id, entry.after) == (robin.pk, {"browser": "Firefox on Linux", "address": "127.0.0.1"})
    assert not Session.objects.filter(session_key=second.session.session_key).exists()


def test_it_keeps_this_one(robin):
    client = sign_in(robin)
    number = UserSession.objects.get().pk
    answer = client.post(f"/profile/sessions/{number}/end/", follow=True)
    assert "That is this browser." in answer.text
    assert client.get("/profile/").status_code == 200


def test_somebody_elses_is_none(robin, person):
    eve = sign_in(person("eve"))
    mine = sign_in(robin)
    number = UserSession.objects.get(user=robin).pk
    assert "You were not signed in there any more." in eve.post(f"/profile/sessions/{number}/end/", follow=True).text
    assert mine.get("/profile/").status_code == 200
    assert Client().post(f"/profile/sessions/{number}/end/").status_code == 302
    assert UserSession.objects.filter(user=robin).exists()


def test_after_signing_out_everywhere_else_this_one_is_left(robin):
    first, second = sign_in(robin), signed_in(robin)
    first.post("/profile/sign-out-others/")
    page = first.get("/profile/").text
    assert page.count('<span class="dim">this browser</span>') == 1
    assert "Sign out of " not in page
    assert second.get("/profile/").status_code == 302


def test_the_packages_own_page_leads_to_the_profile(robin):
    assert sign_in(robin).get("/accounts/sessions/")["Location"] == "/profile/"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9", "curl/8.9"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_named_in_words(agent, words):
    assert browser_of(agent) == words


def test_what_calls_itself_something_hostile_is_shown_as_text(robin):
    sign_in(robin)
    page = signed_in(robin, "<script>alert(1)</script>" + "x" * 3000).get("/profile/").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
