"""A page that does not read what it is sent, against a real web process: it is cut off before it fills the memory."""

import base64
import json
import os
import socket
import threading
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import psutil
import pytest
from django.conf import settings
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from agentdesk.ids import new_id
from agentdesk.live.push import flush, token
from agentdesk.people.models import Membership, Role, Team, User
from runs.models import Agent, Run
from tests.approvals.web.conftest import web_desk
from tests.conftest import database, database_name

pytestmark = pytest.mark.timeout(120)

EVENTS = 1_500
SIZE = 100_000  # characters of each
AT_ONCE = 20
MOST = 20 * 1024 * 1024  # bytes that one socket may cost
READERS = 2


@pytest.fixture
def desk(django_db_setup, django_db_blocker, tmp_path):
    with web_desk(tmp_path, django_db_blocker) as desk, django_db_blocker.unblock(), database(f"{database_name()}_pages"):
        yield desk


@pytest.fixture
def watched(desk):
    """A run, and the headers with which a member of its team opens a socket."""
    team = Team.objects.create(slug="support", name="Support")
    user = User.objects.create_user("robin", password="secret")
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    agent = Agent.objects.create(slug="writer", name="Writer", team=team)
    run = Run.objects.create(agent=agent, team=team, input={}, thread_id=str(new_id()), requester_label="Robin")
    client = Client()
    client.force_login(user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    watch = json.dumps({"watch": [["run", str(run.pk)]]})
    return SimpleNamespace(run=run, cookie=cookie, origin=desk.url, port=desk.ports["web"], watch=watch)


class Reader(threading.Thread):
    """A page that reads everything, and notes the numbers of the pieces that came."""

    def __init__(self, page: ClientConnection, watch: str) -> None:
        super().__init__(daemon=True)
        self.page = page
        self.page.send(watch)
        while "watching" not in self.page.recv(10):
            pass
        self.came: list[int] = []
        self.more = threading.Condition()
        self.start()

    def run(self) -> None:
        with suppress(ConnectionClosed):  # when the test has ended
            for frame in map(str, self.page):
                if '"seq": ' in frame[:200]:
                    with self.more:
                        self.came.append(int(frame[:200].partition('"seq": ')[2].split(",")[0]))
                        self.more.notify_all()

    def has(self, count: int) -> bool:
        with self.more:
            return self.more.wait_for(lambda: len(self.came) >= count, 20)


def opened(watched: SimpleNamespace) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{watched.port}/ws/live/", origin=watched.origin, additional_headers={"Cookie": watched.cookie},
        compression=None, proxy=None, max_size=None,
    )  # fmt: skip


def stalled(watched: SimpleNamespace) -> socket.socket:
    """A page that opens its socket, says what it watches, and then reads no more."""
    page = socket.socket()
    page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    page.connect(("127.0.0.1", watched.port))
    host = f"127.0.0.1:{watched.port}"
    head = [
        "GET /ws/live/ HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade", f"Origin: {watched.origin}",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13",
        f"Cookie: {watched.cookie}",
    ]  # fmt: skip
    page.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    page.settimeout(10)
    got = b""
    while b'"hb"' not in got:
        got += page.recv(1024)
    payload = watched.watch.encode()
    page.sendall(bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload)  # masked with zeros
    while b"watching" not in got:
        got += page.recv(1024)
    return page


def rest_of(page: socket.socket) -> int:
    """How much still comes until the server's end is gone."""
    size = 0
    try:
        while piece := page.recv(1 << 20):
            size += len(piece)
    except ConnectionResetError:
        pass
    return size


def send(watched: SimpleNamespace, readers: list[Reader], numbers: range) -> None:
    """Push pieces of text the usual way, no quicker than the readers read."""
    for first in numbers[::AT_ONCE]:
        for number in range(first, first + AT_ONCE):
            token(watched.run.pk, "s1", number, "x" * SIZE)
        assert flush(10)
        assert all(reader.has(first + AT_ONCE) for reader in readers)


def test_a_page_that_does_not_read_is_cut_off_and_the_others_get_everything(desk, watched):
    process = psutil.Process(desk.processes["web"].pid)
    with ExitStack() as pages:
        readers = [Reader(pages.enter_context(opened(watched)), watched.watch) for _ in range(READERS)]
        warm = 5 * AT_ONCE
        send(watched, readers, range(warm))
        page = pages.enter_context(stalled(watched))
        before = most = process.memory_info().rss
        for first in range(warm, warm + EVENTS, AT_ONCE):
            send(watched, readers, range(first, first + AT_ONCE))
            most = max(most, process.memory_info().rss)
        grown = most - before
        assert grown <= MOST, f"{grown / 2**20:.1f} MiB beside {before / 2**20:.0f}"
        assert rest_of(page) < MOST, "and then the connection was gone"
        for reader in readers:
            assert reader.came == list(range(warm + EVENTS)), "in order, and none is missing"
