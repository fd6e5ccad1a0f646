"""Who sees an approval, and who decides it."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agentdesk.english import later
from agentdesk.people.models import Membership, Role, Team, User
from approvals.models import Approval


def may_see(user: User, approval: Approval) -> bool:
    """Whether the user's memberships show it."""
    if not user.is_active:
        return False
    return user.is_superuser or bool(user.team_ids() & ({approval.team_id} | approval.reviewing_teams()))


def reviews_for(user: User, approval: Approval) -> bool:
    """Whether the user's roles make them one of those who decide it."""
    return not user.is_service and bool(user.team_ids(Role.REVIEWER) & approval.reviewing_teams())


def reviewers_of(approval: Approval) -> QuerySet[User]:
    """The active people who review for the approval's teams, its requester included."""
    return User.objects.filter(
        is_active=True,
        kind=User.Kind.PERSON,
        memberships__role=Role.REVIEWER,
        memberships__team__in=approval.reviewing_teams(),
    ).distinct()


def deciders_of(approval: Approval) -> set[UUID]:
    """Those of them who may approve it: not who asked for it or answers for its agent, unless it says so. Who still has to set
    up a second factor counts, for that is theirs to do."""
    barred = set() if approval.requirements.get("self_approval") else {approval.requester_id, approval.owner_id}
    return set(reviewers_of(approval).values_list("pk", flat=True)) - barred


def reviewing_names(approval: Approval) -> list[str]:
    """The teams whose reviewers decide it."""
    return list(Team.objects.filter(pk__in=approval.reviewing_teams()).order_by("name").values_list("name", flat=True))


def why_not(user: User, approval: Approval) -> str | None:
    """Why this user may not decide this approval; None when they may. It is for the screen and for the record."""
    if not user.is_active:
        return later(lambda: _("Your account is switched off."))
    if user.is_service:
        return later(lambda: _("A service account never decides."))
    if not user.team_ids(Role.REVIEWER) & approval.reviewing_teams():
        names = ", ".join(reviewing_names(approval))
        return later(lambda: _("Only reviewers of %(teams)s decide this.") % {"teams": names})
    if approval.requester_id == user.pk and not approval.requirements.get("self_approval"):
        return later(lambda: _("You asked for this yourself, so somebody else decides."))
    if approval.owner_id == user.pk and not approval.requirements.get("self_approval"):
        return later(lambda: _("You answer for this agent, so somebody else decides."))
    if approval.requirements.get("second_factor") and not has_second_factor(user):
        return later(lambda: _("This needs a second factor. Set one up in your profile first."))
    return None


def may_reveal(user: User, approval: Approval) -> bool:
    """Whether the user may open what is masked: reviewers who decide about it, operators and admins of its team. No program."""
    if not user.is_active or user.is_service:
        return False
    if user.is_superuser or user.team_ids(Role.REVIEWER) & approval.reviewing_teams():
        return True
    return approval.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def has_second_factor(user: User) -> bool:
    """Whether sign-in asks this user for more than a password."""
    asked_for = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return bool(asked_for.exists())


def teams_reviewed_by(users: Collection[UUID] | QuerySet[Any, Any], teams: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """For which of ``teams`` each of ``users`` (ids, or a query for them) reviews now; who reviews for none is left out."""
    rows = Membership.objects.filter(
        user__in=users, team__in=teams, role=Role.REVIEWER, user__is_active=True, user__kind=User.Kind.PERSON
    ).values_list("user_id", "team_id")
    found: dict[UUID, set[UUID]] = {}
    for user, team in rows:
        found.setdefault(user, set()).add(team)
    return found
