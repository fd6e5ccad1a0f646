"""Access tokens: made once, shown once, kept as digests.

A token is 256 random bits, so its plain SHA-256 can be the key to find it by: there is nothing to guess, and the time of an
index lookup says nothing about a digest that the caller cannot choose.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from agentdesk.audit.record import Actor, record
from agentdesk.people.models import Token, User

PREFIX = "ad_"
HINT = 8  # characters
USED_EVERY = timedelta(minutes=1)


def create_token(user: User, name: str, *, actor: Actor, expires_at: datetime | None = None) -> tuple[Token, str]:
    """Make a token for ``user``; return it with its text, which is kept nowhere and cannot be shown again."""
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = Token.objects.create(user=user, name=name[:120], digest=_digest(text), hint=text[:HINT], expires_at=expires_at)
        record(
            "token.created", actor=actor, object_type="token", object_id=token.pk, object_label=str(token),
            after={"user": str(user.pk), "name": token.name, "expires_at": expires_at and expires_at.isoformat()},
        )  # fmt: skip
    return token, text


def revoke_token(token: Token, *, actor: Actor) -> bool:
    """Make a token worthless; False when it was already."""
    with transaction.atomic():
        revoked = Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        if revoked:
            record("token.revoked", actor=actor, object_type="token", object_id=token.pk, object_label=str(token))
    return bool(revoked)


def authenticate(raw: str) -> tuple[User, Token] | None:
    """Who sends this token: None when it is unknown, revoked, past its time, or its user is switched off."""
    if not raw.startswith(PREFIX) or len(raw) > 200 or not raw.isascii():
        return None
    now = timezone.now()
    in_time = Q(expires_at=None) | Q(expires_at__gt=now)
    found = Token.objects.filter(in_time, digest=_digest(raw), revoked_at=None, user__is_active=True)
    token = found.select_related("user").first()
    if token is None:
        return None
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user, token


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
