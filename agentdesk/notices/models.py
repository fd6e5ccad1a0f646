"""Who is told of what, and what became of it: subscriptions, people's own rules, announcements, deliveries."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team


class Event(models.TextChoices):
    """What may be told of. The values are the ``type`` of a webhook's body."""

    ASKED = "approval.asked", _("An approval is asked for")
    ASSIGNED = "approval.assigned", _("An approval is given to somebody")
    DUE = "approval.due", _("50, 80 or 100 % of the time to decide is over")
    REMINDED = "approval.reminded", _("A rule's reminder is due")
    DECIDED = "approval.decided", _("An approval is decided or expired")
    RUN_FAILED = "run.failed", _("A run failed or was stopped")
    TEST = "test", _("Test")


EVENTS = [choice for choice in Event.choices if choice[0] != Event.TEST]  # what people choose from


class Level(models.TextChoices):
    """The risks of approvals, in their order; the ground does not know approvals."""

    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")
    CRITICAL = "critical", _("Critical")

    @classmethod
    def rank_of(cls, risk: str) -> int:
        """Where ``risk`` stands; what has none (a run) counts as medium."""
        return cls.values.index(risk or cls.MEDIUM)


class Subscription(models.Model):
    """A place outside the desk that hears of a team's events, or of the whole desk's where it has no team."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", _("Signed webhook")
        SLACK = "slack", _("Slack-compatible webhook")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text=_("Empty: the whole desk.")
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.WEBHOOK)
    url = models.CharField(_("address"), max_length=500, help_text=_("https://… Who knows a Slack address can post there."))
    events = ArrayField(models.CharField(max_length=20), default=list)
    minimum_risk = models.CharField(max_length=8, choices=Level, default=Level.LOW, help_text=_("Runs have no risk."))
    active = models.BooleanField(default=True)
    # Secrets are made from these and the desk's SECRET_KEY (signing.py): a copy of the database signs nothing.
    nonce = models.BinaryField(max_length=32, default=b"", editable=False)
    former_nonce = models.BinaryField(max_length=32, default=b"", editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class PersonalRules(models.Model):
    """What one person is told by e-mail, and when. Without a row, or with ``mail`` off: nothing."""

    class Pace(models.TextChoices):
        AT_ONCE = "at_once", _("At once")
        HOURLY = "hourly", _("Together, every hour")
        DAILY = "daily", _("Together, once a day")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="notice_rules"
    )
    mail = models.BooleanField(_("Send me e-mail"), default=False)
    events = ArrayField(models.CharField(max_length=20), default=list)
    minimum_risk = models.CharField(_("From this risk on"), max_length=8, choices=Level, default=Level.LOW)
    pace = models.CharField(_("How often"), max_length=8, choices=Pace, default=Pace.AT_ONCE)
    daily_at = models.TimeField(_("Once a day at"), null=True, blank=True)
    quiet_from = models.TimeField(_("Quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("Quiet until"), null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)


class Announcement(models.Model):
    """Something that happened and is told of: written in the transaction in which it happened. Empty ``spread_at``: who
    hears of it has not been worked out yet."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=200, unique=True, help_text=_("The same thing is never announced twice."))
    event = models.CharField(max_length=20, choices=Event)
    kind = models.CharField(max_length=20, help_text=_("approval or run; empty for a test."))
    object_id = models.CharField(max_length=64)
    share = models.PositiveSmallIntegerField(null=True, help_text=_("Per cent of the time to decide; of due ones."))
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    at = models.DateTimeField()
    facts = models.JSONField(default=dict, help_text=_("What is told, as it was when it was spread."))
    spread_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["at"], name="announcement_unspread", condition=Q(spread_at__isnull=True)),
            models.Index(fields=["spread_at"], name="announcement_kept", condition=Q(spread_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.event}: {self.facts.get('title', self.object_id)}"  # for the record too, so in no language


class Delivery(models.Model):
    """One announcement on its way to one place or person. Its id goes with every try, so that receivers know repetitions.
    While a sender is at it, ``next_at`` lies ahead: whoever dies over it leaves it to be found again then."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        DEAD = "dead", _("Dead letter")
        DROPPED = "dropped", _("Not sent")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    announcement = models.ForeignKey(Announcement, on_delete=models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, null=True, related_name="deliveries")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    because = models.CharField(max_length=300, blank=True, help_text=_("Why it was not sent."))

    class Meta:
        ordering: ClassVar = ["-created_at"]
        verbose_name_plural = _("deliveries")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(subscription__isnull=True) ^ Q(user__isnull=True), name="delivery_to_one"),
            models.UniqueConstraint(fields=["announcement", "subscription"], name="delivery_once_there"),
            models.UniqueConstraint(fields=["announcement", "user"], name="delivery_once_to"),
        ]
        indexes: ClassVar = [models.Index(fields=["next_at"], name="delivery_waiting", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.announcement} → {self.subscription or self.user}"


class Attempt(models.Model):
    """One try at a delivery, for the log."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    ok = models.BooleanField()
    code = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    milliseconds = models.PositiveIntegerField()
    answer = models.CharField(max_length=500, blank=True, help_text=_("The beginning of what was answered."))
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.code or self.error}"


class Lane(models.Model):
    """One sender at a time for each place: a target that hangs keeps one worker's thread busy, and that only now and then."""

    name = models.CharField(max_length=40, primary_key=True)
    busy_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
