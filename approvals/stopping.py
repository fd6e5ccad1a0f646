"""The verb of people who stop what asked."""

from uuid import UUID

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import sources
from approvals.errors import NotAllowed, NotFound
from approvals.models import Approval


def what(approval: Approval, user: User) -> str:
    """What would be stopped, in words for ``user``; empty where they may not stop it, or nothing is there to stop."""
    source = sources.get(approval.source)
    return source.stops(approval.source_ref, user) if source else ""


def stop(approval_id: UUID, *, actor: Actor) -> Approval:
    """Stop what asked. Its asker's own verb writes the record. Raises NotFound, NotAllowed, and ApprovalError where it ended
    meanwhile."""
    if actor.user is None:
        raise NotAllowed
    approval = Approval.objects.visible_to(actor.user).filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    source = sources.get(approval.source)
    if source is None or not what(approval, actor.user):
        raise NotAllowed
    source.stop(approval.source_ref, actor)
    return approval
