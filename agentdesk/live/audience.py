"""Who gets which event, and how it looks: the database's half of a push, run in a thread."""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection
from django.utils import translation
from django.utils.crypto import constant_time_compare

from agentdesk.live import registry
from agentdesk.people.languages import chosen_by
from agentdesk.people.models import User

type Topic = tuple[str, str]

MOST_PUSHED = 500_000  # characters of a fragment; what is larger is fetched by the pages that show it
INBOX: Topic = ("inbox", "mine")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose page it is: the user, the session it was opened in, what the session's hash was then, and the language that the
    browser asks for, empty for none."""

    user_id: UUID
    session_key: str
    session_hash: str
    language: str = ""


class Seated(Protocol):
    seat: Seat


@dataclass(frozen=True, slots=True)
class Event:
    """One event as the channel layer brought it. ``text`` and ``seq`` are a token's. A ``bare`` one says the version only."""

    kind: str
    id: str
    version: int = 0
    run: str = ""
    text: str = ""
    seq: int = 0
    bare: bool = False

    @classmethod
    def read(cls, raw: dict[str, Any]) -> "Event":
        """Raises KeyError, TypeError or ValueError for what is not an event."""
        if raw["kind"] == "token":
            return cls("token", str(raw["step"]), run=str(raw["run"]), text=str(raw["text"]), seq=int(raw["seq"]))
        return cls(str(raw["kind"]), str(raw["id"]), int(raw["version"]), run=str(raw.get("run", "")))

    @property
    def topic(self) -> Topic:
        """What a page must watch to get it."""
        match self.kind:
            case "row":
                return INBOX
            case "step" | "call" | "token":
                return ("run", self.run)
        return (self.kind, self.id)

    @property
    def subject(self) -> tuple[str, str]:
        """The registered kind and the id whose visibility decides: a token is as visible as its run."""
        return ("run", self.run) if self.kind == "token" else (self.kind, self.id)


@dataclass(slots=True)
class Delivery[S: Seated]:
    """Frames to send, each with its receivers, in order; the sockets whose session or user is no longer valid; and of which
    versions pages are told thereby: kind, id, version."""

    frames: list[tuple[str, list[S]]]
    ended: set[S]
    told: list[tuple[str, str, int]]


def admit(session_key: str | None, language: str = "") -> Seat | None:
    """The seat of whoever is signed in with this session, in a browser of this language, or None. Changes nothing."""
    if not session_key:
        return None
    session = SessionStore(session_key).load()
    try:
        user_id = User._meta.pk.to_python(session.get(SESSION_KEY))
    except ValidationError:
        return None
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None:
        return None
    known = str(session.get(HASH_SESSION_KEY, ""))
    valid = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    if not any(constant_time_compare(known, each) for each in valid):
        return None
    return Seat(user.pk, session_key, user.get_session_auth_hash(), language)


def still_present[S: Seated](sockets: Collection[S]) -> dict[S, User]:
    """Those whose session still exists, unexpired, and whose user is active and has not changed the password. Three queries."""
    if not sockets:
        return {}
    users = User.active_with_roles({socket.seat.user_id for socket in sockets})
    hashes = {pk: _session_hash(user.password, user.session_round) for pk, user in users.items()}
    alive = _living_sessions({socket.seat.session_key for socket in sockets})
    return {
        socket: users[seat.user_id]
        for socket in sockets
        if (seat := socket.seat).session_key in alive and hashes.get(seat.user_id) == seat.session_hash
    }


@lru_cache(maxsize=10_000)
def _session_hash(password: str, session_round: int) -> str:
    """What sessions of a user with this (stored) password, in this round of sessions, carry. Kept, because it is asked for
    with every event."""
    return User(password=password, session_round=session_round).get_session_auth_hash()


def _living_sessions(keys: Collection[str]) -> set[str]:
    with connection.cursor() as cursor:
        query = "SELECT session_key FROM django_session WHERE session_key = ANY(%s) AND expire_date > now()"
        cursor.execute(query, [list(keys)])
        return {key for (key,) in cursor.fetchall()}


def prepare[S: Seated](events: Sequence[tuple[Event, Collection[S]]]) -> Delivery[S]:
    """Decide who of the watchers gets each event and render it once per language. Permissions are as of now."""
    sockets = {socket for _, watchers in events for socket in watchers}
    present = still_present(sockets)
    visible = _visible([(event, [present[s] for s in watchers if s in present]) for event, watchers in events])
    frames: list[tuple[str, list[S]]] = []
    told: list[tuple[str, str, int]] = []
    for event, watchers in events:
        told.append((event.kind, event.id, event.version))
        receivers: dict[str, list[S]] = defaultdict(list)
        for socket in watchers:
            user = present.get(socket)
            if user is not None and (user.pk, *event.subject) in visible:
                receivers[chosen_by(user) or socket.seat.language or settings.DESK_LANGUAGE].append(socket)
        for language, group in receivers.items():
            with translation.override(language):
                frame = _frame_or_hint(event)
            if frame is not None:
                frames.append((json.dumps(frame), group))
                told.append((event.kind, event.id, frame.get("version", 0)))
    return Delivery(frames, sockets - present.keys(), told)


def _visible(events: Iterable[tuple[Event, Collection[User]]]) -> set[tuple[UUID, str, str]]:
    """(user, kind, id) of everything that may be seen; one query per kind."""
    ids: dict[str, set[str]] = defaultdict(set)
    users: dict[str, dict[UUID, User]] = defaultdict(dict)
    for event, viewers in events:
        kind, id = event.subject
        ids[kind].add(id)
        users[kind].update((user.pk, user) for user in viewers)
    found: set[tuple[UUID, str, str]] = set()
    for kind, wanted in ids.items():
        pushed = registry.get(kind)
        if pushed is not None and users[kind]:
            seen = pushed.visible_ids(users[kind].values(), wanted)
            found |= {(user, kind, id) for user, visible in seen.items() for id in visible}
    return found


def _frame_or_hint(event: Event) -> dict[str, Any] | None:
    """The frame; where its fragment cannot be made, the bare version, so that pages fetch it, and only this one."""
    try:
        return _frame(event)
    except DatabaseError:
        raise
    except Exception:
        log.exception("the fragment of %s %s failed", event.kind, event.id)
        return _frame(replace(event, bare=True))


def _frame(event: Event) -> dict[str, Any] | None:
    """The frame, or None when the object is gone."""
    if event.kind == "token":
        return {"kind": "token", "run": event.run, "step": event.id, "seq": event.seq, "text": event.text}
    pushed = registry.get(event.kind)
    rendered = (event.version, "") if event.bare else pushed.render(event.id, event.version) if pushed else None
    if rendered is None:
        return None
    version, html = rendered
    html = html if len(html) <= MOST_PUSHED else ""
    frame = {"kind": event.kind, "id": event.id, "version": version, "html": html}
    return frame | ({"run": event.run} if event.run else {})
