"""Who people are: users, teams, memberships with roles, and access tokens."""

from collections import defaultdict
from collections.abc import Collection
from typing import ClassVar
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id


class Role(models.TextChoices):
    REVIEWER = "reviewer", _("Reviewer")
    OPERATOR = "operator", _("Operator")
    ADMIN = "admin", _("Admin")


class User(AbstractUser):
    """A person, or a service account (a program that starts runs and asks, and never decides)."""

    class Kind(models.TextChoices):
        PERSON = "person", _("Person")
        SERVICE = "service", _("Service account")

    class Theme(models.TextChoices):
        SYSTEM = "system", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PERSON)
    language = models.CharField(max_length=12, blank=True, default="")
    time_zone = models.CharField(max_length=64, blank=True, default="")
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    session_round = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Rises when all sessions of this user end.")
    )

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name that others see: the full name, or the user name."""
        return self.get_full_name() or self.username

    @property
    def is_service(self) -> bool:
        return self.kind == self.Kind.SERVICE

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """As Django's, over the round of sessions too: the sessions of an earlier one fit no more."""
        kept = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]  # the stubs leave it out
        if not self.session_round:
            return str(kept)
        return salted_hmac("agentdesk.people.session_round", f"{kept}:{self.session_round}", algorithm="sha256").hexdigest()

    def team_ids(self, *roles: Role) -> set[UUID]:
        """Teams in which this user has one of ``roles`` (any role when none is named). One query per user object."""
        if not self.is_active:
            return set()
        if not hasattr(self, "_memberships"):
            self._memberships = list(self.memberships.values_list("team_id", "role"))
        return {team for team, role in self._memberships if not roles or role in roles}

    @property
    def administers(self) -> bool:
        """Whether Django admin is open to this user: all of it to a superuser, their teams' part to a team's admin."""
        return self.is_active and (self.is_superuser or bool(self.team_ids(Role.ADMIN)))

    @staticmethod
    def active_with_roles(ids: Collection[UUID]) -> "dict[UUID, User]":
        """Those of ``ids`` who are active, as of now, each with the memberships that :meth:`team_ids` reads; fields that
        say what they may do, the rest deferred. Two queries, made for hundreds of users: an array instead of an IN list."""
        fields = "id, password, session_round, kind, language, is_active, is_superuser"
        found = User.objects.raw(f"SELECT {fields} FROM people_user WHERE is_active AND id = ANY(%s)", [list(ids)])  # noqa: S608
        users = {user.pk: user for user in found}
        roles: dict[UUID, list[tuple[UUID, str]]] = defaultdict(list)
        with connection.cursor() as cursor:
            query = "SELECT user_id, team_id, role FROM people_membership WHERE user_id = ANY(%s)"
            cursor.execute(query, [list(users)])
            for user_id, team_id, role in cursor.fetchall():
                roles[user_id].append((team_id, role))
        for user in users.values():
            user._memberships = roles[user.pk]
        return users


MOST_REASONS = 12
LONGEST_REASON = 120


def validate_reasons(text: str) -> None:
    """A list that fits beside a form. Raises ValidationError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_REASONS:
        raise ValidationError(_("At most %(most)s reasons.") % {"most": MOST_REASONS})
    if any(len(line) > LONGEST_REASON for line in lines):
        raise ValidationError(_("A reason has at most %(most)s characters.") % {"most": LONGEST_REASON})


class Team(models.Model):
    """People who answer for agents together. What a user sees is what their teams own."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    reject_reasons = models.TextField(
        blank=True,
        validators=[validate_reasons],
        help_text=_("One in a line: reviewers choose among them when they reject, and may add words of their own."),
    )
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def reasons(self) -> list[str]:
        """What reviewers may choose from when they reject, in the admin's order, each once."""
        return list(dict.fromkeys(line.strip() for line in self.reject_reasons.splitlines() if line.strip()))


class Membership(models.Model):
    """One role of one user in one team."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "team", "role"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} · {Role(self.role).name.capitalize()}"  # for the record too, so in English


class Token(models.Model):
    """A bearer token. Only its digest is stored. A personal token acts as its owner and may decide; a service
    account's token starts, reads and asks, and never decides."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text=_("The first characters, to recognise it."))
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"
