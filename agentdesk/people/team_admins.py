"""A team keeps somebody who administers it: only a superuser, who administers everything, takes its last admin away. Of two at
once the second counts what the first has left: the team is locked until the end of the transaction."""

from uuid import UUID

from django.db.models import QuerySet

from agentdesk.people.models import Membership, Role, Team, User


def admins_of(team_id: UUID) -> QuerySet[Membership]:
    """The memberships of people who administer the team now. The team is locked; in a transaction only."""
    list(Team.objects.select_for_update(no_key=True).filter(pk=team_id).values_list("pk"))
    return admins_now(team_id)


def admins_now(team_id: UUID) -> QuerySet[Membership]:
    """The same without a lock: to tell, not to decide by."""
    return Membership.objects.filter(team=team_id, role=Role.ADMIN, user__is_active=True, user__kind=User.Kind.PERSON)


def teams_left_alone(user: User) -> list[Team]:
    """The teams that nobody else administers than ``user``, by name. They are locked, in the order of their keys."""
    own = Membership.objects.filter(user=user, role=Role.ADMIN).order_by("team").values_list("team", flat=True)
    alone = [team_id for team_id in own if _is_only_one(user, team_id)]
    return list(Team.objects.filter(pk__in=alone))


def _is_only_one(user: User, team_id: UUID) -> bool:
    admins = set(admins_of(team_id).values_list("user", flat=True))
    return admins == {user.pk}
