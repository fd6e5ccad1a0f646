"""The verbs of people who say that a decision turned out wrong, and who take that back."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.people.models import Role, User
from approvals import access, moves, requests
from approvals.errors import Invalid, NotAllowed, NotCurrent, NotFound
from approvals.models import Approval, Regret
from approvals.states import PEOPLES_VERDICTS, Status
from approvals.texts import storable

LONGEST = 2_000  # characters


def may(user: User, approval: Approval) -> bool:
    """Those who decide such approvals, and the operators and admins of its team. No program."""
    if not user.is_active or user.is_service:
        return False
    return access.reviews_for(user, approval) or approval.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def why_not(user: User, approval: Approval) -> str:
    """Why this user may not mark this decision; empty when they may."""
    if not may(user, approval):
        return _("Those who decide such approvals say so, and operators of the team.")
    return "" if is_regrettable(approval) else _("Only what people decided can turn out wrong.")


def is_regrettable(approval: Approval) -> bool:
    """Whether people decided it, and that counts."""
    standing = approval.standing
    return approval.status == Status.DECIDED and standing is not None and standing.verdict in PEOPLES_VERDICTS


def of(approval: Approval) -> Regret | None:
    """What stands about it. One query."""
    return Regret.objects.filter(approval=approval, withdrawn_at__isnull=True).first()


@transaction.atomic
def regret(approval_id: UUID, reason: str, *, actor: Actor) -> Regret:
    """Say that the decision turned out wrong, and why. The same person's same words again bring what stands.

    Raises NotFound, NotAllowed, NotCurrent for what nobody decided or what is marked already, and Invalid at ``reason``.
    """
    approval = _locked(approval_id, actor)
    said = storable(reason).strip()
    standing = of(approval)
    if standing is not None and (standing.by_id, standing.reason) == (actor.user.pk if actor.user else None, said):
        return standing
    if standing is not None:
        raise NotCurrent(approval, _("%(name)s has marked this already.") % {"name": standing.by_label})
    if not is_regrettable(approval):
        raise NotCurrent(approval, _("Only what people decided can turn out wrong."))
    if not said or len(said) > LONGEST:
        raise Invalid({"reason": [_("Say what went wrong, in at most %(most)d characters.") % {"most": LONGEST}]})
    made = Regret.objects.create(approval=approval, by=actor.user, by_label=actor.label[:200], reason=said)
    moves.enter(approval, "approval.regretted", actor=actor, after={"regret": made.pk}, content={"reason": said})
    requests.touch(approval.pk)
    return made


@transaction.atomic
def withdraw(approval_id: UUID, *, actor: Actor) -> bool:
    """Take it back; it stays on record. False: nothing stands. Raises NotFound, NotAllowed."""
    approval = _locked(approval_id, actor)
    standing = of(approval)
    if standing is None:
        return False
    standing.withdrawn_at, standing.withdrawn_by_label = timezone.now(), actor.label[:200]
    standing.save(update_fields=["withdrawn_at", "withdrawn_by_label"])
    moves.enter(
        approval, "approval.regret_withdrawn", actor=actor, before={"regret": standing.pk, "by": standing.by_label}, after={}
    )
    requests.touch(approval.pk)
    return True


def _locked(approval_id: UUID, actor: Actor) -> Approval:
    """The approval, locked so that two at once come one after the other. Raises NotFound, NotAllowed."""
    if actor.user is None:
        raise NotAllowed
    approval = Approval.objects.visible_to(actor.user).select_for_update(of=("self",)).filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    if not may(actor.user, approval):
        raise NotAllowed(_("Those who decide such approvals say so, and operators of the team."))
    return approval
