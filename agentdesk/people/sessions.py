"""Ending sessions. A session holds a hash of its user's password and :attr:`User.session_round`; where it no longer fits, the
next request and the next push are those of somebody who is signed out. So raising the number ends all of them at once."""

from django.db import transaction
from django.db.models import F

from agentdesk.audit.record import Actor, record
from agentdesk.people.models import User


@transaction.atomic
def end_sessions(user: User, *, actor: Actor) -> None:
    """End all sessions of ``user``, wherever they are. ``user`` gets the new number: the caller may keep the current one
    with ``update_session_auth_hash``."""
    User.objects.filter(pk=user.pk).update(session_round=F("session_round") + 1)
    user.refresh_from_db(fields=["session_round"])
    record("session.ended", actor=actor, object_type="user", object_id=user.pk, object_label=user.label)
