"""Signatures of webhooks as the Standard Webhooks specification has them: HMAC-SHA256 over ``id.timestamp.body``.

A secret is not stored but made from the subscription's nonce and the desk's SECRET_KEY. Where Django's SECRET_KEY_FALLBACKS
name former keys, bodies are signed with the secrets of those as well, so that a new SECRET_KEY breaks no receiver at once.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac

from agentdesk.notices.models import Subscription

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)
_SALT = "agentdesk.notices.webhook"


def new_secret(subscription: Subscription) -> str:
    """Give the subscription a new secret and return its text; the former one lasts :data:`OVERLAP` more. The caller saves."""
    if subscription.nonce:
        subscription.former_nonce, subscription.former_until = subscription.nonce, timezone.now() + OVERLAP
    subscription.nonce = secrets.token_bytes(32)
    return PREFIX + base64.b64encode(_key(subscription.nonce, settings.SECRET_KEY)).decode()


def headers(subscription: Subscription, delivery_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers that go with ``body``: one signature for each secret that is valid ``at``."""
    stamp = str(int(at.timestamp()))
    signed = f"{delivery_id}.{stamp}.".encode() + body
    signatures = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in _keys(subscription, at)]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _keys(subscription: Subscription, at: datetime) -> list[bytes]:
    nonces = [subscription.nonce]
    if subscription.former_until is not None and at < subscription.former_until:
        nonces.append(subscription.former_nonce)
    desk_keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [_key(bytes(nonce), desk_key) for desk_key in desk_keys for nonce in nonces if nonce]


def _key(nonce: bytes, desk_key: str) -> bytes:
    return salted_hmac(_SALT, nonce, secret=desk_key, algorithm="sha256").digest()
