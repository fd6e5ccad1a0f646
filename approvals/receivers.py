"""What approvals do when somebody leaves, or is away for some days."""

from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people.absence import began, present_for
from agentdesk.people.leaving import Left, left
from agentdesk.people.models import Absence, User
from approvals import successors, triage


@receiver(left)
def hand_over(sender: object, user: User, to: User | None, actor: Actor, **kwargs: Any) -> Left:
    instead = present_for(to, timezone.now()) if to else None  # what waits goes to somebody who is there
    return triage.leave(user, instead, actor=actor) + successors.leave(user, to, actor=actor)


@receiver(began)
def hand_on(sender: object, absence: Absence, actor: Actor, **kwargs: Any) -> Left:
    return triage.hand_on(absence.user, present_for(absence.user, timezone.now()), actor=actor)
