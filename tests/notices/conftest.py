"""A receiver of webhooks that is a real HTTP server, and short ways to subscribe to something and to have it sent."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone

from agentdesk.notices import outbox, sending
from agentdesk.notices.models import EVENTS, Delivery, Lane, PersonalRules, Subscription
from agentdesk.notices.signing import new_secret
from agentdesk.people.models import User
from tests.cast import Cast, make_cast

ALL = [event for event, _label in EVENTS]


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """``answers``: statuses in their order, the last one for good; a callable gets the handler and answers itself."""

    url: str = ""
    answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        self.let_go.wait(20)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then, for ever."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.let_go.is_set():
            handler.wfile.write(b"X")
            self.let_go.wait(0.05)

    def flood(self, handler: BaseHTTPRequestHandler) -> None:
        """Far more than anybody reads."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
        for _piece in range(1_000):
            handler.wfile.write(b"x" * 100_000)

    def redirect(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {self.url}elsewhere\r\nContent-Length: 0\r\n\r\n".encode())

    def later(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 900\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def receiver(settings: Any) -> Generator[Receiver]:
    settings.NOTICES_PRIVATE_HOSTS = ["127.0.0.1"]
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            try:
                if callable(answer):
                    answer(self)
                else:
                    self.send_response(answer)
                    self.end_headers()
                    self.wfile.write(b"thank you\x00\n" * 200)
            except OSError:
                pass  # the desk has hung up, as it should

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield told
    told.let_go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def subscribe(url: str, team: Any, *, events: Sequence[str] = ALL, **facts: Any) -> Subscription:
    """A subscription, with its secret at ``.text``."""
    subscription = Subscription(name="Ops", team=team, url=url, events=list(events), **facts)
    text = new_secret(subscription)
    subscription.save()
    subscription.text = text  # type: ignore[attr-defined]
    return subscription


def write_to(user: User, **rules: Any) -> PersonalRules:
    """The person wants e-mail about everything, or as ``rules`` say."""
    user.email = f"{user.username}@example.com"
    user.save()
    return PersonalRules.objects.create(**{"user": user, "mail": True, "events": ALL, **rules})


def run_all() -> None:
    """What the sweep and the tasks would do now."""
    outbox.spread()
    for lane in outbox.due_lanes():
        sending.deliver(lane)


def make_due() -> None:
    """As if the time to the next try, or until somebody may be written to, were over."""
    Delivery.objects.update(next_at=timezone.now())
    Lane.objects.update(busy_until=None)


def wait_until(holds: Callable[[], Any], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)
