"""From the commit of a pause to the row on the screens of one reviewer (a real browser) and of many (the least of a WebSocket
client each): one Daphne, everything on this machine."""

import asyncio
import base64
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, User
from approvals.requests import Ask, request_approval
from benchmarks import one_screen
from benchmarks.company import Company, session_of
from benchmarks.figures import Figure, at_most, beside, percentile
from benchmarks.stage import AGENT, Stage

BUDGETS = {500: 400, 1_000: 1_000}  # milliseconds, by how many screens are connected
ALONE = 150  # milliseconds for one reviewer
CARDS = 20
CARDS_ALONE = 100
APART = 0.7  # seconds between two pauses
PATIENCE = 10.0
WATCH = b'{"watch":[["inbox","mine"]]}'
TEXT, PING, PONG = 1, 9, 10  # kinds of frames


class Screen(asyncio.Protocol):
    """One open inbox: the least of a WebSocket client, so that the client costs little of the machine that is measured."""

    def __init__(self, host: str, session: str, arrived: dict[bytes, list[float]]) -> None:
        self.host, self.session, self.arrived = host, session, arrived
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        head = [
            "GET /ws/live/ HTTP/1.1", f"Host: {self.host}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Origin: http://{self.host}",
            f"Cookie: {settings.SESSION_COOKIE_NAME}={self.session}",
        ]  # fmt: skip
        transport.write(("\r\n".join(head) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.ready.set_exception(ConnectionError(head.decode(errors="replace")[:200]))
                return
            self._open, self._buffer = True, rest
        for frame in self._frames():
            self._read(frame, now)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the desk closed the socket"))

    def _frames(self) -> Iterator[bytes]:
        """The payloads of the whole frames that have come."""
        while len(self._buffer) >= 2:
            size, start = self._buffer[1] & 127, 2
            if size > 125:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self._buffer[2:start])
            if len(self._buffer) < start + size:
                return
            payload, is_ping = self._buffer[start : start + size], self._buffer[0] & 15 == PING
            self._buffer = self._buffer[start + size :]
            if is_ping:  # a page that does not answer is closed after half a minute
                self._write(PONG, payload)
            else:
                yield payload

    def _write(self, kind: int, payload: bytes) -> None:
        """Send a frame of at most 125 bytes."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        self.transport.write(bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked)

    def _read(self, payload: bytes, now: float) -> None:
        if not self.ready.done():  # the first heartbeat: events are heard
            self._write(TEXT, WATCH)
            self.ready.set_result(None)
            return
        for card, times in self.arrived.items():
            if card in payload[:200]:
                times.append(now)


def measure(stage: Stage, company: Company) -> Iterator[Figure]:
    sessions = [session_of(user) for user in _reviewers(company, max(BUDGETS))]
    alone = asyncio.run(_measure_alone(stage, company, sessions[0]))
    yield at_most("pause committed → row on one reviewer's page in Chromium, p99", percentile(alone, 99), ALONE, "ms")
    yield beside("the same, p50", percentile(alone, 50), "ms")
    for screens, budget in BUDGETS.items():
        taken = asyncio.run(_measure(stage, company, sessions[:screens]))
        yield at_most(f"pause committed → row on {screens:,} open inboxes, p99", percentile(taken, 99), budget, "ms")
        yield beside("the same, p50", percentile(taken, 50), "ms")


def _reviewers(company: Company, count: int) -> list[User]:
    users = User.objects.bulk_create(User(username=f"reviewer-{n}", first_name=f"Number {n}") for n in range(count))
    Membership.objects.bulk_create(Membership(user=user, team=company.team, role=Role.REVIEWER) for user in users)
    return users


async def _measure_alone(stage: Stage, company: Company, session: str) -> list[float]:
    async def pause() -> tuple[str, float]:
        arrived: dict[bytes, list[float]] = {}
        offset = time.time() - time.monotonic()
        committed = await sync_to_async(_pause)(company, new_id(), arrived)
        return next(iter(arrived)).decode(), committed + offset

    return await one_screen.measure(stage.desk.url, session, pause, CARDS_ALONE, APART / 2)


async def _measure(stage: Stage, company: Company, sessions: list[str]) -> list[float]:
    host = urlsplit(stage.desk.url).netloc
    arrived: dict[bytes, list[float]] = {}
    screens = []
    for n in range(0, len(sessions), 25):
        screens += await asyncio.gather(*(_open(host, session, arrived) for session in sessions[n : n + 25]))
    count = len(screens)
    while True:  # until the desk has taken in what the last of them watches
        first = await _card(company, arrived, count)
        if len(first) == count:
            break
        if lost := sum(screen.is_lost for screen in screens):
            raise ConnectionError(f"the desk closed {lost} of {count} sockets")
    taken = []
    for _ in range(CARDS):
        await asyncio.sleep(APART)
        times = await _card(company, arrived, count)
        if len(times) < count:
            raise TimeoutError(f"after {PATIENCE} s the row is on {len(times)} of {count} screens")
        taken += times
    for screen in screens:
        screen.transport.close()
    return taken


async def _card(company: Company, arrived: dict[bytes, list[float]], count: int) -> list[float]:
    """Let one row appear on ``count`` screens. Returns the milliseconds it took to each screen that it reached in time."""
    arrived.clear()
    committed = await sync_to_async(_pause)(company, new_id(), arrived)
    (times,) = arrived.values()
    until = time.monotonic() + PATIENCE
    while len(times) < count and time.monotonic() < until:
        await asyncio.sleep(0.02)
    return [(at - committed) * 1000 for at in times]


async def _open(host: str, session: str, arrived: dict[bytes, list[float]]) -> Screen:
    name, _, port = host.partition(":")
    _, screen = await asyncio.get_running_loop().create_connection(lambda: Screen(host, session, arrived), name, int(port))
    await screen.ready
    return screen


def _pause(company: Company, key: UUID, arrived: dict[bytes, list[float]]) -> float:
    """Ask as the gate does when a run pauses. Returns the moment of the commit."""
    committed: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.monotonic()))
        approval, _ = request_approval(
            Ask(
                source="bench", source_ref=str(key), request_key=str(key), kind="tool_call", agent=AGENT,
                team_id=company.team.pk, action="pay", args={"to": str(key), "amount": "10.00"},
                allowed=["approve", "reject"], effect="write", egress=True,
            ),
            actor=Actor.desk(),
        )  # fmt: skip
        arrived[str(approval.pk).encode()] = []
    return committed[0]
