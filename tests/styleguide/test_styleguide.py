"""The living page of the design system: who sees it, that its samples act on nothing, and that each of its ids is one."""

import re
from collections import Counter

import pytest
from django.test import Client
from django.urls import reverse

from agentdesk.people.models import Role, User
from agentdesk.styleguide.apart import apart
from tests.approvals.cast import make_team, make_user

_pages: dict[tuple[str, ...], str] = {}  # by query: a page of many hundred parts is made once


@pytest.fixture
def look(db):
    def get(user, **query):
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client.get(reverse("styleguide"), query)

    return get


@pytest.fixture
def page_of(look):
    """Return a function that gives the page's text for a query."""

    def text(**query):
        key = tuple(f"{name}={value}" for name, value in query.items())
        if key not in _pages:
            _pages[key] = look(make_user(make_team(), role=Role.ADMIN, name="ada"), **query).text
        return _pages[key]

    return text


def test_admins_of_a_team_see_it_and_superusers(look, page_of):
    assert "Every part in every state" in page_of()
    assert look(User.objects.create_superuser("root", password="x"), theme="dark").status_code == 200


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.OPERATOR])
def test_to_others_there_is_no_such_page(look, role):
    assert look(make_user(make_team(), role=role)).status_code == 404


def test_whoever_is_signed_out_is_asked_to_sign_in(client, db):
    assert client.get(reverse("styleguide")).headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(("asked", "shown"), [("", {"light", "dark"}), ("dark", {"dark"}), ("green", {"light", "dark"})])
def test_it_shows_both_themes_or_the_one_asked_for(page_of, asked, shown):
    page = page_of(theme=asked) if asked else page_of()
    assert set(re.findall(r'class="swatch" data-theme="(\w+)"', page)) == shown
    assert ('<html lang="en" data-theme="dark"' in page) == (asked == "dark")


def test_no_id_comes_twice_and_what_names_an_id_finds_it(page_of):
    page = page_of()
    ids = Counter(re.findall(r'\sid="([^"]+)"', page))
    assert [name for name, times in ids.items() if times > 1] == []
    named = re.findall(r'\b(?:for|aria-labelledby|aria-describedby)="([^"]+)"', page)
    assert [one for several in named for one in several.split() if one not in ids] == []


def test_nothing_in_a_sample_acts_or_leads_away(page_of):
    samples = page_of().partition('<section class="part"')[2]
    assert not re.search(r"<[^>]* (?:hx-\w+|data-watch|data-refetch|data-key|action|formaction)=", samples)
    assert set(re.findall(r'<form\b[^>]* method="(\w+)"', samples)) == {"dialog"}
    assert [href for href in re.findall(r'<a\b[^>]* href="([^"]*)"', samples) if not href.startswith("#")] == []


def test_it_is_of_the_moment_asked_for(page_of):
    years = Counter(at[:4] for at in re.findall(r'datetime="([^"]+)"', page_of(at="2040-03-05T14:02:10Z")))
    assert years.most_common(1)[0][0] == "2040"


@pytest.mark.parametrize("at", ["tomorrow", "2040-03-05T14:02:10", "9999-12-31T23:59:59Z", "2040-02-31T00:00:00Z"])
def test_any_other_moment_is_now(look, at):
    assert look(make_user(make_team(), role=Role.ADMIN), at=at).status_code == 200


def test_a_fragment_set_apart_keeps_its_own_words():
    html = (
        '<form class="x" method="post" action="/decide/" hx-post="/decide/"><label for="why"> action=&quot;/x&quot;</label>'
        '<textarea id="why" data-key="a"> href=&quot;/x&quot;</textarea></form><a href="/approvals/1/" target="_blank">Open</a>'
        '<details class="act" name="act" id="act-ask"></details><input type="radio" name="reason" value="a">'
    )
    assert apart(html, "s1") == (
        '<form class="x" method="dialog"><label for="s1-why"> action=&quot;/x&quot;</label>'
        '<textarea id="s1-why"> href=&quot;/x&quot;</textarea></form><a href="#s1">Open</a>'
        '<details class="act" name="s1-act" id="s1-act-ask"></details><input type="radio" name="s1-reason" value="a">'
    )
