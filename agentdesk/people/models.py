"""Who people are: users, teams, memberships with roles, and access tokens."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.keys import map_of


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
    keys = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Acts whose key this user has changed: name and key."
    )
    uses_keys = models.BooleanField(default=True)
    opens_next = models.BooleanField(default=True)
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
    def zone(self) -> ZoneInfo:
        """The person's own time zone, or the desk's."""
        return ZoneInfo(self.time_zone or settings.DESK_TIME_ZONE)

    @property
    def is_service(self) -> bool:
        return self.kind == self.Kind.SERVICE

    @cached_property
    def key_map(self) -> dict[str, str]:
        """The key of every act, as this user has set them; "" where an act has none."""
        return map_of(self.keys)

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
            fetched = getattr(self, "_prefetched_objects_cache", {}).get("memberships")
            rows = (
                self.memberships.values_list("team_id", "role") if fetched is None else ((m.team_id, m.role) for m in fetched)
            )
            self._memberships = list(rows)
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


class Absence(models.Model):
    """Somebody is away from the first day to the last one, both whole. Days, not moments: people plan in days, and a day begins
    at the person's own midnight, wherever they have moved meanwhile and whatever clocks do that night. Whether somebody is away
    is always read from here. Why they are is nobody's business, so there is no place to write it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="absences", verbose_name=_("who"))
    begins_on = models.DateField(_("first day"))
    ends_on = models.DateField(_("last day"))
    stand_in = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who stands in")
    )
    made_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, editable=False, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    begun_at = models.DateTimeField(null=True, editable=False, help_text=_("When what they look after was handed on."))
    cancelled_at = models.DateTimeField(_("ended early"), null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["begins_on"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(ends_on__gte=models.F("begins_on")), name="absence_days"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "ends_on"], name="absence_of", condition=models.Q(cancelled_at=None)),
            models.Index(fields=["begins_on"], name="absence_begins", condition=models.Q(cancelled_at=None, begun_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.begins_on} – {self.ends_on}"

    def holds(self, now: datetime) -> bool:
        """Whether the person is away at this moment."""
        return self.cancelled_at is None and self.covers(now.astimezone(self.user.zone).date())

    def covers(self, day: date) -> bool:
        """Whether it is one of the days."""
        return self.begins_on <= day <= self.ends_on

    def words(self) -> str:
        """What others are told: until when, and who stands in."""
        facts = {"day": day_words(self.ends_on), "name": self.stand_in.label if self.stand_in else ""}
        if self.stand_in is None or not self.stand_in.is_active:
            return gettext("away until %(day)s") % facts
        return gettext("away until %(day)s; %(name)s stands in") % facts


def day_words(day: date) -> str:
    """A day as it is read in a line."""
    return date_format(day, "j M")


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
