"""Somebody leaves: a team, or the desk. What they looked after must not wait for them."""

from dataclasses import astuple, dataclass
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from agentdesk.audit.record import Actor
from agentdesk.people.models import Token, User
from agentdesk.people.sessions import end_sessions
from agentdesk.people.tokens import revoke_token

# Sent inside the transaction, so that nobody leaves half. Receivers return a :class:`Left`.
# provides: user (User, as of now), to (User or None), actor (Actor)
left = Signal()


@dataclass(frozen=True, slots=True)
class Left:
    """How many things were handed to somebody, and how many were given up; how many standing approvals were offered to
    somebody, and how many ended."""

    handed_over: int = 0
    released: int = 0
    offered: int = 0
    ended: int = 0

    def __add__(self, other: "Left") -> "Left":
        return Left(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@transaction.atomic
def leave(user: User, *, to: User | None, actor: Actor) -> Left:
    """Give up what ``user`` may no longer look after, as their roles are now: to ``to`` where they may decide it, else to
    nobody. Who is switched off loses sessions and tokens too. Doing it again changes nothing more."""
    now = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not now.is_active:
        for token in Token.objects.filter(user=now, revoked_at=None):
            revoke_token(token, actor=actor)
    answers: list[Any] = [answer for _receiver, answer in left.send(sender=User, user=now, to=to, actor=actor)]
    return sum(answers, Left())


@transaction.atomic
def switched_off(user: User, *, to: User | None, actor: Actor) -> Left:
    """``user`` was switched off in this transaction: they leave, and a session of theirs stays ended when they come back."""
    end_sessions(user, actor=actor)
    return leave(user, to=to, actor=actor)
