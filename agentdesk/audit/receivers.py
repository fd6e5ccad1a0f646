"""Signing in and out, on record."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Q
from django.dispatch import receiver
from django.http import HttpRequest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.people.address import client_address
from agentdesk.people.models import User


@receiver(user_logged_in)
def record_login(sender: object, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    record("login.succeeded", actor=_actor(user, request), object_type="user", object_id=user.pk, object_label=user.label)


@receiver(user_logged_out)
def record_logout(sender: object, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record("logout", actor=_actor(user, request), object_type="user", object_id=user.pk, object_label=user.label)


@receiver(user_login_failed)
def record_failure(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """The name that was tried goes into the erasable content: people type passwords there by mistake."""
    tried = str(credentials.get("username") or credentials.get("email") or "")[:200]
    user = User.objects.filter(Q(username__iexact=tried) | Q(email__iexact=tried)).first() if tried else None
    record(
        "login.failed",
        actor=_actor(None, request),
        object_type="user",
        object_id=user.pk if user else "",
        object_label=user.label if user else "",
        content={"tried": tried},
    )


def _actor(user: User | None, request: HttpRequest | None) -> Actor:
    label = user.label if user else "nobody signed in"
    if request is None:
        return Actor(label, AuditEntry.Via.WEB, user)
    agent = request.headers.get("User-Agent", "")[:300]
    return Actor(label, AuditEntry.Via.WEB, user, client_address(request), agent)
