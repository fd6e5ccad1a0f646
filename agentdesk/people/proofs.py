"""What somebody has proved of themselves in this session lately: that they know the password, that they hold a second factor.

django-allauth notes in the session each time that somebody gives one, at sign-in and when they confirm that it is still them
(``account_reauthenticate``, ``mfa_reauthenticate``); here these notes are read.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from agentdesk.people.models import User

SECOND = frozenset({"totp", "webauthn", "recovery_codes"})


@dataclass(frozen=True, slots=True)
class Proof:
    """``factor``: password, socialaccount (signed in elsewhere), totp, webauthn or recovery_codes."""

    factor: str
    at: datetime

    @property
    def is_second(self) -> bool:
        return self.factor in SECOND

    @property
    def until(self) -> datetime:
        """When it is too old."""
        return self.at + _lifetime()


def proof_of(request: HttpRequest) -> Proof | None:
    """The best of what the signed-in person proved within the last ``REAUTH_SECONDS``: a second factor before all
    else, then the newest. None where that was nothing."""
    if not isinstance(request.user, User) or not hasattr(request, "session"):
        return None
    records: list[dict[str, Any]] = get_authentication_records(request, request.user)
    proofs = [Proof(_factor(record), datetime.fromtimestamp(record["at"], UTC)) for record in records]
    fresh = [proof for proof in proofs if proof.at <= timezone.now() < proof.until]
    return max(fresh, key=lambda proof: (proof.is_second, proof.at), default=None)


def may_prove(user: User) -> bool:
    """Whether there is anything to confirm with; who signs in elsewhere only has nothing."""
    return bool(get_reauthentication_flows(user))


def _factor(record: dict[str, Any]) -> str:
    return str(record.get("type") or record["method"]) if record["method"] == "mfa" else str(record["method"])


def _lifetime() -> timedelta:
    return timedelta(seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)
