"""Sessions of a person: which there are, and ending them.

A session holds a hash of its user's password and :attr:`User.session_round`; where it no longer fits, the next request and the
next push are those of somebody who is signed out. So raising the number ends all of them at once. Where each was begun is
noted at sign-in (``allauth.usersessions``), so a request costs nothing more; a push looks whether its session still is there.
"""

from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.people.models import User

# What a browser calls itself holds the names of those that it wants to be taken for: the first that fits is the one.
BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS X": "macOS", "Linux": "Linux",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One browser in which somebody is signed in, ``since`` they signed in there."""

    id: int
    browser: str
    address: str
    since: datetime
    is_this: bool


def places_of(user: User, session_key: str | None) -> list[Place]:
    """Where ``user`` is signed in, this browser first, then the newest. Some queries for each."""
    found = [
        Place(one.pk, browser_of(one.user_agent), one.ip, one.created_at, one.session_key == session_key)
        for one in UserSession.objects.purge_and_list(user)
    ]
    return sorted(found, key=lambda place: (not place.is_this, -place.since.timestamp()))


def browser_of(agent: str) -> str:
    """The browser in words: ``Firefox on Linux``; as it calls itself where that is not known."""
    browser = next((word for mark, word in BROWSERS.items() if mark in agent), "")
    system = next((word for mark, word in SYSTEMS.items() if mark in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or agent[:60] or _("Unknown browser")


@transaction.atomic
def end_session(user: User, session_id: int, *, actor: Actor) -> bool:
    """End one session of ``user``. False: there is no such one (any more)."""
    found = UserSession.objects.select_for_update().filter(user=user, pk=session_id).first()
    if found is None:
        return False
    after = {"browser": browser_of(found.user_agent), "address": found.ip}
    found.end()
    record("session.ended", actor=actor, object_type="user", object_id=user.pk, object_label=user.label, after=after)
    return True


@transaction.atomic
def end_sessions(user: User, *, actor: Actor) -> None:
    """End all sessions of ``user``, wherever they are. ``user`` gets the new number: the caller may keep the current one
    with :func:`keep_session`."""
    User.objects.filter(pk=user.pk).update(session_round=F("session_round") + 1)
    user.refresh_from_db(fields=["session_round"])
    record("session.ended", actor=actor, object_type="user", object_id=user.pk, object_label=user.label)


def keep_session(request: HttpRequest, user: User) -> None:
    """Keep this session where the hash that it holds has changed. It gets a new key, under which it is noted anew."""
    update_session_auth_hash(request, user)
    UserSession.objects.create_from_request(request)
