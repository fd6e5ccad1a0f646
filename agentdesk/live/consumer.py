"""The WebSocket of a page: /ws/live/. Data flows to the page; all it sends is what it wants to hear of.

Server to page: ``{"kind", "id", "version", "html"}`` with ``run`` where there is one, ``{"kind": "token", …}``,
``{"kind": "hb"}`` and ``{"kind": "resync"}`` (fetch everything anew). Page to server: ``{"watch": [[kind, id], …]}``,
answered by ``{"kind": "hb", "watching": true}``: what the page fetches after that leaves no gap.
A refused socket is accepted first and closed with a code of ours: closed before that, the browser would see 1006 and try for
ever.
"""

import json
import logging
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.cookie import parse_cookie

from agentdesk.live.audience import INBOX, Seat, Topic, admit
from agentdesk.live.hub import HEARTBEAT, hub
from agentdesk.live.outgoing import Outgoing
from agentdesk.people.languages import of_browser

log = logging.getLogger(__name__)

SIGNED_OUT = 4401
WRONG_ORIGIN = 4403
MALFORMED = 4400
TOO_MANY = 4429
TRY_AGAIN = 1013  # RFC 6455's registry: try again later
FRAME_MAX = 32 * 1024  # characters
WATCH_MAX = 300
WATCHING = json.dumps({"kind": "hb", "watching": True})
SOCKETS_MAX = 50  # per user and process
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WATCHED_KINDS = frozenset({"approval", "claim", "comment", "preview", "run"})


class Malformed(Exception):
    """The frame is not a list of what to watch."""


class Behind(Exception):
    """The page does not read what it is sent, and was cut off."""


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is not typed
    """One page's socket."""

    channel_layer_alias = ""  # none: the hub subscribes once for all sockets of the process
    seat: Seat
    outgoing: Outgoing | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.outgoing = Outgoing.of(send)
        await super().__call__(scope, receive, send)

    async def connect(self) -> None:
        headers = dict(self.scope["headers"])
        origin, host = (headers.get(name, b"").decode("latin1") for name in (b"origin", b"host"))
        if not origin_allowed(origin, host):
            await self._refuse(WRONG_ORIGIN)
            return
        cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin1"))
        accepted = headers.get(b"accept-language", b"").decode("latin1")
        language = of_browser(cookies.get(settings.LANGUAGE_COOKIE_NAME, ""), accepted)
        seat = await hub().call(admit, cookies.get(settings.SESSION_COOKIE_NAME), language)
        if seat is None:
            await self._refuse(SIGNED_OUT)
        elif hub().open_for(seat.user_id) >= SOCKETS_MAX:
            await self._refuse(TOO_MANY)
        else:
            self.seat = seat
            await self.accept()  # before it joins: from then on the hub may send
            await hub().join(self)
            if hub().hears:
                await self.send_frame(HEARTBEAT)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            hub().watch(self, read_watch(text_data))
        except Malformed:
            await self.close(MALFORMED)
        else:
            if hub().hears:  # else a resync follows, once it does
                await self.send_frame(WATCHING)

    async def disconnect(self, code: int) -> None:
        if hasattr(self, "seat"):
            hub().leave(self)

    async def send_frame(self, text: str) -> None:
        """Send one frame of JSON, which is ASCII. Raises Behind."""
        await self.send(text_data=text)
        if self.outgoing and not self.outgoing.add(len(text)):
            raise Behind("it did not read what was sent")

    async def end(self) -> None:
        """Close: whoever opened the page is no longer signed in."""
        await self.close(SIGNED_OUT)

    async def drop(self) -> None:
        """Close: the page was given up and should connect again."""
        await self.close(TRY_AGAIN)

    async def _refuse(self, code: int) -> None:
        await self.accept()
        await self.close(code)


def origin_allowed(origin: str, host: str = "") -> bool:
    """Whether a page from ``origin`` (scheme, host and port) may open a socket. A browser always sends it.

    A desk on loopback may be reached by other ports than its own (a tunnel, a second web process), so there a page's own
    origin is right too: the one that ``host``, the request's Host header, names.
    """
    came_from = _origin(origin)
    if came_from in {_origin(each) for each in settings.ORIGINS}:
        return True
    if settings.LOOPBACK and came_from == _origin(f"http://{host}") and came_from is not None and came_from[1] in LOOPBACK:
        return True
    log.warning("a WebSocket from %r was refused; AGENTDESK_URL is %s", origin[:200], settings.AGENTDESK_URL)
    return False


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    extra = parts.path or parts.query or parts.fragment or parts.username
    return (parts.scheme, parts.hostname, port) if parts.hostname and not extra else None


def read_watch(text: str | None) -> set[Topic]:
    """The topics of a page's frame. Raises Malformed."""
    if text is None or len(text) > FRAME_MAX:
        raise Malformed
    try:
        frame: Any = json.loads(text)
        wanted = frame["watch"]
        if not isinstance(wanted, list) or len(wanted) > WATCH_MAX:
            raise Malformed
        return {_topic(kind, id) for kind, id in wanted}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Malformed from error


def _topic(kind: Any, id: Any) -> Topic:
    if (kind, id) == INBOX:
        return INBOX
    if kind not in WATCHED_KINDS or not isinstance(id, str):
        raise ValueError(kind)
    return (kind, str(UUID(id)))
