"""Two teams, their reviewers, and browsers of theirs."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import signing
from django.test import Client
from django.urls import reverse

from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.ids import new_id
from agentdesk.people.models import Team, User
from approvals.models import Approval
from approvals.web.panel import SEEN
from tests.approvals.cast import make_approval, make_team, make_user
from tests.conftest import database, database_name, make_database
from tests.desk import Desk

HTMX = {"HX-Request": "true"}


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def reviewer(team):
    return make_user(team, name="robin", first_name="Robin", last_name="Vale")


@pytest.fixture
def second(team):
    return make_user(team, name="sam", first_name="Sam", last_name="Ashby")


@pytest.fixture
def stranger(db):
    return make_user(make_team("Finance"), name="eve")


@pytest.fixture
def approval(team: Team) -> Approval:
    return make_approval(team, reason="The tent arrived torn.", subject="Order A-1: please refund 240.00.")


@pytest.fixture
def browse():
    """Return a client that is signed in as a user."""

    def sign_in(user: User, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


def binding(approval: Approval, verdict: str, **typed: Any) -> dict[str, Any]:
    """What the form of ``approval`` (as the caller read it) posts."""
    return {"verdict": verdict, "digest": approval.digest, "version": approval.version, **typed}


def post(client: Client, approval: Approval, verdict: str = "approve", *, htmx: bool = True, **typed: Any) -> Any:
    address = reverse("approvals:decide", args=[approval.pk])
    return client.post(address, binding(approval, verdict, **typed), headers=HTMX if htmx else {})


def looked_at(approval: Approval, seconds: float = 10, **typed: Any) -> dict[str, Any]:
    """What the form of a grave approval posts beside its reason, once its reader has read for so long."""
    facts = ["sha256:0", time.time() - seconds, f"{approval.pk}:{approval.version}", str(new_id())]
    return {"seen": signing.dumps(facts, salt=SEEN), "read": "yes", **typed}


@contextmanager
def web_desk(folder: Path, django_db_blocker: Any, **more: str) -> Iterator[Desk]:
    """A desk's web process with a database of its own; ``more`` is added to its environment."""
    port = free_port()
    name = f"{database_name()}_pages"
    facts = {key: os.environ[key].rsplit("/", 1)[0] + f"/{name}" for key in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    facts |= {"AGENTDESK_URL": f"http://{LOOPBACK}:{port}", "AGENTDESK_STATE_DIR": str(folder)}
    desk = Desk(folder, os.environ | facts | more, ports={"web": port})
    with django_db_blocker.unblock():
        make_database(name)
    try:
        desk.start_web("web")
        yield desk
    finally:
        desk.stop()


@pytest.fixture(scope="module")
def web_process(django_db_setup, django_db_blocker, tmp_path_factory):
    """A desk's web process, for all browser tests of a module."""
    with web_desk(tmp_path_factory.mktemp("web"), django_db_blocker) as desk:
        yield desk


@pytest.fixture
def web(web_process, django_db_blocker):
    """The web process, this test's own connections leading to its database; its pages hear what this process pushes. What
    a test writes there stays: each has teams and people of its own."""
    with django_db_blocker.unblock(), database(f"{database_name()}_pages"):
        yield web_process


@pytest.fixture
def open_as(web, new_page):
    """Return a function that opens an address of the desk as a user, in a browser profile of their own."""

    def open_page(user: User, address: str, **options: Any) -> Any:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        page = new_page(**{"base_url": web.url, "viewport": {"width": 1440, "height": 900}, **options})
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": web.url}])
        page.goto(address)
        return page

    return open_page


def approve(page: Any) -> None:
    """Approve what is of medium risk: open what will happen, and confirm it there."""
    part = page.locator("#act-approve")
    part.locator("summary").click()
    part.locator("form").get_by_role("button", name=re.compile("^Approve")).click()


def look_again(page: Any) -> None:
    """Let the inbox fetch its list anew, until one is in place."""
    page.evaluate(
        """() => new Promise((done) => {
          document.addEventListener("desk:placed", function placed({ detail }) {
            if (detail.id !== "rows") return;
            document.removeEventListener("desk:placed", placed);
            done();
          });
          document.dispatchEvent(new Event("visibilitychange"));
        })"""
    )
