"""``manage.py tokens``: access tokens of people and of programs."""

from typing import Any
from uuid import UUID

from django.db import transaction

from agentdesk.audit.record import record
from agentdesk.management.verbs import Refused, VerbCommand, actor, add_as, person
from agentdesk.people.models import Membership, Role, Team, Token, User
from agentdesk.people.tokens import create_token, revoke_token

COLUMNS = ("id", "user", "name", "hint", "created_at", "last_used_at", "expires_at", "revoked_at")


class Command(VerbCommand):
    help = "Create, list and revoke access tokens."

    def add_verbs(self) -> None:
        create = self.verb("create", self.create, "Create a token and print it: it is shown this once.")
        create.add_argument("user", metavar="USER")
        create.add_argument("--service", action="store_true", help="For a program: makes the service account if there is none.")
        create.add_argument("--team", metavar="SLUG", help="With --service: the account becomes an operator of this team.")
        create.add_argument("--name", default="command line", help="What it is for.")
        add_as(create)
        listed = self.verb("list", self.list, "List tokens.")
        listed.add_argument("--user", metavar="USER")
        revoke = self.verb("revoke", self.revoke, "Make a token worthless.")
        revoke.add_argument("id", metavar="ID")
        add_as(revoke)

    @transaction.atomic
    def create(self, *, user: str, service: bool, team: str | None, name: str, **options: Any) -> None:
        if team and not service:
            raise Refused("--team goes with --service; people's teams are set in the admin pages.")
        owner = self._service_account(user, team, options["username"]) if service else person(user)
        if owner.is_service and not service:
            raise Refused(f"{user!r} is a service account: say --service.")
        token, text = create_token(owner, name, actor=actor(options["username"]))
        if options["json"]:
            self.print_json({"id": token.pk, "user": owner.username, "name": token.name, "token": text})
        else:
            self.stdout.write(text)

    def list(self, *, user: str | None, **options: Any) -> None:
        tokens = Token.objects.select_related("user")
        if user:
            tokens = tokens.filter(user=person(user))
        rows = [{**{name: getattr(token, name) for name in COLUMNS}, "user": token.user.username} for token in tokens]
        self.show_list(rows, COLUMNS, as_json=options["json"])

    def revoke(self, *, id: str, **options: Any) -> None:
        try:
            token = Token.objects.filter(pk=UUID(id)).first()
        except ValueError:
            token = None
        if token is None:
            raise Refused(f"There is no token {id!r}.")
        if not revoke_token(token, actor=actor(options["username"])):
            raise Refused("That token was revoked before.")

    def _service_account(self, username: str, team: str | None, acting: str | None) -> User:
        """The service account of that name, made where there is none. Raises Refused for a person's name."""
        account, made = User.objects.get_or_create(username=username, defaults={"kind": User.Kind.SERVICE})
        if not account.is_service or not account.is_active:
            raise Refused(f"{username!r} is {'a person' if not account.is_service else 'switched off'}.")
        if made:
            account.set_unusable_password()
            account.save(update_fields=["password"])
            self._tell("user.changed", "user", account, acting)
        if team:
            self._join(account, team, acting)
        return account

    def _join(self, account: User, slug: str, acting: str | None) -> None:
        team = Team.objects.filter(slug=slug).first()
        if team is None:
            raise Refused(f"There is no team {slug!r}.")
        membership, made = Membership.objects.get_or_create(user=account, team=team, role=Role.OPERATOR)
        if made:
            self._tell("membership.changed", "membership", membership, acting)

    def _tell(self, action: str, object_type: str, changed: User | Membership, acting: str | None) -> None:
        record(
            action, actor=actor(acting), object_type=object_type, object_id=changed.pk, object_label=str(changed),
            team_id=changed.team_id if isinstance(changed, Membership) else None, after={"created": True},
        )  # fmt: skip
