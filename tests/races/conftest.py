"""Two web processes on one database, and people who post to them at the same moment, as browsers and programs do."""

import http.client
import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from agentdesk.audit.record import Actor
from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.people.models import User
from agentdesk.people.tokens import create_token
from approvals.models import Approval
from tests.cast import Cast, make_cast
from tests.conftest import clear_database, database_name
from tests.desk import Desk

WEBS = ("web", "web2")


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Person:
    """One reviewer at one web process: a browser's session and a personal token over one connection. Not for two threads."""

    user: User
    connection: http.client.HTTPConnection
    cookies: str
    csrf: str
    token: str
    origin: str

    @classmethod
    def at(cls, web: str, user: User) -> "Person":
        """Sign in, and open the inbox once as a browser would: the form's token comes with it."""
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        client.get("/")
        csrf = client.cookies[settings.CSRF_COOKIE_NAME].value
        token = create_token(user, "races", actor=Actor.of(user))[1]
        opened = http.client.HTTPConnection(urlsplit(web).netloc, timeout=30)
        return cls(user, opened, f"{session}; {settings.CSRF_COOKIE_NAME}={csrf}", csrf, token, web)

    def get(self, path: str, *, by_token: bool = False) -> Answer:
        return self._send("GET", path, None, self._bearer() if by_token else {"Cookie": self.cookies})

    def decide_on_page(self, approval: Approval, verdict: str, **typed: Any) -> Answer:
        """Post the form of the decision page as it was when ``approval`` was read."""
        form = {"verdict": verdict, "digest": approval.digest, "version": approval.version, **typed}
        headers = {
            "Cookie": self.cookies, "X-CSRFToken": self.csrf, "Origin": self.origin, "HX-Request": "true",
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        return self._send("POST", f"/approvals/{approval.pk}/decision/", urlencode(form), headers)

    def decide_by_api(self, approval: Approval, verdict: str, **sent: Any) -> Answer:
        body = {"verdict": verdict, "digest": approval.digest, "version": approval.version, **sent}
        headers = {**self._bearer(), "Content-Type": "application/json"}
        return self._send("POST", f"/api/v1/approvals/{approval.pk}/decision", json.dumps(body), headers)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        answer = Answer(response.status, response.read().decode())
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AssertionError(f"{method} {path}: {answer.status}\n{answer.text[:2000]}")
        return answer


@pytest.fixture(scope="module")
def webs(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """Two Daphnes over this worker's database: name -> base address. One pair for a module: starting them costs seconds."""
    ports = {name: free_port() for name in WEBS}
    folder = tmp_path_factory.mktemp("races")
    environment = os.environ | {"AGENTDESK_URL": f"http://{LOOPBACK}:{ports[WEBS[0]]}", "AGENTDESK_STATE_DIR": str(folder)}
    desk = Desk(folder, environment, ports=ports)
    with django_db_blocker.unblock():
        try:
            for name in WEBS:
                desk.start_web(name, wait=False)
            for name in WEBS:
                desk.wait_for_web(name)
            yield {name: desk.url_of(name) for name in WEBS}
        finally:
            desk.stop()
            clear_database(database_name())


@pytest.fixture(scope="module")
def cast(webs: dict[str, str]) -> Cast:
    return make_cast()


@pytest.fixture
def person_at(webs: dict[str, str]) -> Iterator[Callable[[str, User], Person]]:
    """Return a function that signs a user in at the web process of that name."""
    people: list[Person] = []

    def sign_in(name: str, user: User) -> Person:
        people.append(Person.at(webs[name], user))
        return people[-1]

    yield sign_in
    for person in people:
        person.connection.close()
