"""What becomes of standing approvals when their owner leaves. Each is its owner's own word and counts as their vote, so nobody
inherits one: it is offered to whom the admin chose, nothing uses it meanwhile, and taking it over makes it their word, with the
checks of making one anew. What is offered to nobody ends."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.people.leaving import Left
from agentdesk.people.models import User
from approvals import access
from approvals.errors import NotAllowed, NotFound, Taken
from approvals.models import StandingApproval
from approvals.standing import OWN_RISK, code_version_of, create, enter, is_for_one
from approvals.states import Risk


@transaction.atomic
def leave(user: User, to: User | None, *, actor: Actor) -> Left:
    """``user`` has lost a role, or was switched off: what they approved in advance and may decide no more is offered to ``to``
    where ``to`` could approve it alone, else it ends. So does what was offered to ``user``. Doing it again finds nothing."""
    came = Left()
    theirs = StandingApproval.objects.filter(Q(owner=user, offered_to=None) | Q(offered_to=user), revoked_at=None)
    theirs = theirs.filter(expires_at__gt=timezone.now()).select_related("made_from", "team").order_by("pk")
    for standing in theirs.select_for_update(of=["self"]):
        if not standing.is_open or _reviews(user, standing):
            continue
        if to is not None and to.pk != user.pk and why_not(to, standing) is None:
            _offer(standing, to, actor)
            came += Left(offered=1)
        else:
            _end(standing, "Who approved this in advance left, and nobody took it over.", actor)
            came += Left(ended=1)
    return came


@transaction.atomic
def take_over(standing_id: UUID | str, *, actor: Actor) -> StandingApproval | None:
    """Make what was offered to the actor their own: what is left of it, in their name from now on. None: they had taken it over
    already. Raises NotFound, NotAllowed, and Taken when it has ended."""
    if actor.user is None:
        raise NotAllowed
    user = User.objects.get(pk=actor.user.pk)  # anew: the caller's object may be older than the loss of a role
    seen = StandingApproval.objects.visible_to(user).select_related("made_from", "team").filter(pk=standing_id)
    standing = seen.select_for_update(of=["self"]).first()
    if standing is None:
        raise NotFound
    if standing.offered_to_id != user.pk:
        raise NotAllowed(_("It was not offered to you."))
    if StandingApproval.objects.filter(taken_from=standing).exists():
        return None
    if not standing.is_open:
        raise Taken(_("It has ended meanwhile."))
    if (reason := why_not(user, standing)) is not None:
        raise NotAllowed(reason)
    mine = create(_copy(standing, user), actor)
    _end(standing, f"Taken over by {user.label}.", actor, action="standing.taken_over")
    return mine


def why_not(user: User, standing: StandingApproval) -> str | None:
    """Why this user cannot make ``standing`` their own; None when they can."""
    if not standing.args and not standing.conditions:
        return _("It has no arguments, or they were erased: nothing would bound the calls to come.")
    if Risk(standing.risk).rank > OWN_RISK.rank:
        return _("Calls of this risk are decided one by one.")
    if standing.code_version != code_version_of(standing):
        return _("The tool is not the one that this was for any more: its calls are asked about.")
    if standing.made_from is None:
        if access.teams_reviewed_by([user.pk], [standing.team_id]):
            return None
        return _("Only reviewers of %(teams)s decide this.") % {"teams": standing.team.name}
    if (reason := access.why_not(user, standing.made_from)) is not None:
        return reason
    if not is_for_one(standing.made_from):
        return _("What needs more than one reviewer, or a second factor, is decided one by one.")
    return None


def _reviews(user: User, standing: StandingApproval) -> bool:
    """Whether ``user`` still is one of those whose word counts for it."""
    if standing.made_from is not None:
        return access.reviews_for(user, standing.made_from)
    return bool(access.teams_reviewed_by([user.pk], [standing.team_id]))


def _offer(standing: StandingApproval, to: User, actor: Actor) -> None:
    before = standing.offered_to_id or standing.owner_id
    StandingApproval.objects.filter(pk=standing.pk).update(
        offered_to=to, offered_by_label=actor.label[:200], offered_at=timezone.now()
    )
    enter("standing.offered", standing, actor, {"from": before, "to": to.pk, "uses": standing.uses, "spent": standing.spent})


def _end(standing: StandingApproval, because: str, actor: Actor, *, action: str = "standing.revoked") -> None:
    StandingApproval.objects.filter(pk=standing.pk).update(
        revoked_at=timezone.now(), revoked_by_label=actor.label[:200], revoked_because=because[:200]
    )
    enter(action, standing, actor, {"uses": standing.uses, "spent": standing.spent, "because": because})


def _copy(standing: StandingApproval, owner: User) -> StandingApproval:
    """What is left of it, for another owner."""
    return StandingApproval(
        team=standing.team, agent=standing.agent, action=standing.action, code_version=standing.code_version,
        args=standing.args, conditions=standing.conditions, risk=standing.risk, owner=owner, made_from=standing.made_from,
        taken_from=standing, reason=standing.reason, expires_at=standing.expires_at,
        most_uses=standing.most_uses - standing.uses, budget_at=standing.budget_at,
        budget=None if standing.budget is None else standing.budget - standing.spent,
    )  # fmt: skip
