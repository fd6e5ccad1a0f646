"""The demo's people, for a desk that only its own machine can reach."""

from django.conf import settings
from django.db import transaction

from agentdesk.people.models import Membership, Role, Team, User

PASSWORD = "demo"  # noqa: S105 - it is printed beside the address; only an embedded desk on loopback has these users
PEOPLE: tuple[tuple[str, str, str, Role], ...] = (
    ("reviewer", "Robin", "Vale", Role.REVIEWER),
    ("second", "Sam", "Ashby", Role.REVIEWER),
    ("operator", "Kim", "Osei", Role.OPERATOR),
    ("admin", "Ada", "Quill", Role.ADMIN),
)


class NotHere(Exception):
    """Demo users are made only on an embedded desk on loopback."""


def seed_people() -> tuple[Team, dict[str, User]]:
    """Make the team ``support`` with one user for each role and a second reviewer; users that exist are left as they are.
    Raises NotHere."""
    if not (settings.DEMO and settings.EMBEDDED and settings.LOOPBACK):
        raise NotHere(NotHere.__doc__)
    with transaction.atomic():
        team, _ = Team.objects.get_or_create(slug="support", defaults={"name": "Support"})
        return team, {person[0]: _seed_person(team, *person) for person in PEOPLE}


def _seed_person(team: Team, username: str, first_name: str, last_name: str, role: Role) -> User:
    names = {"first_name": first_name, "last_name": last_name, "email": f"{username}@example.com"}
    user, is_new = User.objects.get_or_create(username=username, defaults={**names, "is_superuser": role == Role.ADMIN})
    if is_new:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
        Membership.objects.create(user=user, team=team, role=role)
    return user
