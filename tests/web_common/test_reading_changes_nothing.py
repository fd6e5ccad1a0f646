"""GET never changes state: every address without parameters is fetched by somebody who may do everything."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from agentdesk.people.models import Membership, Role, Team, User

WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|TRUNCATE|CREATE|ALTER|DROP)\b", re.IGNORECASE)
# Django's own bookkeeping for signing in: sessions and the cache in which login limits are counted.
OWN = re.compile(r'"(django_session|people_cache)"')


def addresses(resolver, prefix="/"):
    for each in resolver.url_patterns:
        path = prefix + str(each.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        if isinstance(each, URLResolver):
            yield from addresses(each, path)
        elif isinstance(each, URLPattern) and not re.search(r"[<(\\]", path):
            yield path


@pytest.fixture
def browser(db):
    user = User.objects.create_superuser("root", password="x")
    for role in Role:
        Membership.objects.create(user=user, team=Team.objects.get_or_create(slug="t", name="T")[0], role=role)
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


def test_it_finds_the_addresses_of_all_parts():
    found = set(addresses(get_resolver()))
    assert {"/", "/runs/", "/audit/", "/profile/", "/admin/", "/accounts/login/", "/api/v1/runs", "/readyz"} <= found
    assert len(found) > 40


@pytest.mark.parametrize("path", sorted(set(addresses(get_resolver()))))
def test_it_changes_nothing_by_reading(browser, path):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = browser.get(path)
    written = [q["sql"] for q in queries if WRITES.match(q["sql"]) and not OWN.search(q["sql"])]
    assert written == []
    assert response.status_code < 500
