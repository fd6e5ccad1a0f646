"""What approvals do when somebody leaves."""

from typing import Any

from django.dispatch import receiver

from agentdesk.audit.record import Actor
from agentdesk.people.leaving import Left, left
from agentdesk.people.models import User
from approvals import triage


@receiver(left)
def hand_on(sender: object, user: User, to: User | None, actor: Actor, **kwargs: Any) -> Left:
    return triage.leave(user, to, actor=actor)
