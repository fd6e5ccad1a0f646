"""What agents can call, as admins label it."""

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.digests import digest
from agentdesk.ids import new_id
from agentdesk.people.models import Team
from approvals.models.switches import Switched
from approvals.states import Risk

LONGEST_HOLD_SECONDS = 3600


class Effect(models.TextChoices):
    READ = "read", _("Reads")
    WRITE = "write", _("Writes")
    IRREVERSIBLE = "irreversible", _("Cannot be taken back")


class Results(models.TextChoices):
    """Where what a tool returns comes from."""

    UNSAID = "", _("Nobody has said")
    RECORD = "record", _("A trusted record of the house")
    UNTRUSTED = "untrusted", _("Untrusted content: web pages, e-mail, files of others")


class Beyond(models.TextChoices):
    """What a call beyond a fence is."""

    ASK = "ask", _("Ask people")
    DENY = "deny", _("Deny")


class Tool(Switched):
    """One tool of one agent. Schema and description come from the agent's code; the labels are prefilled from the tool's
    metadata and belong to the admin from then on."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.SlugField(max_length=64)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="tools")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    schema = models.JSONField(default=dict)
    schema_version = models.CharField(max_length=71, blank=True, help_text=_("Digest of the schema."))
    effect = models.CharField(max_length=12, choices=Effect, default=Effect.WRITE)
    egress = models.BooleanField(default=True, help_text=_("Data leaves the house."))
    idempotent = models.BooleanField(default=False, help_text=_("Running it twice with one key has one effect."))
    dry_run = models.BooleanField(default=False, help_text=_("It can say what it would do."))
    undo_tool = models.CharField(
        _("undone by"), max_length=200, blank=True,
        help_text=_("The tool of the same agent that takes a call back, such as undo:change_address. Empty: nothing does."),
    )  # fmt: skip
    undo_seconds = models.PositiveIntegerField(
        _("undo within"), null=True, blank=True, validators=[MinValueValidator(1)],
        help_text=_("Seconds after it ran in which a call can be taken back. Empty: always."),
    )  # fmt: skip
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.MEDIUM)
    cost = models.DecimalField(
        max_digits=14, decimal_places=6, null=True, blank=True, validators=[MinValueValidator(0)],
        help_text=_("What one try of a call costs. Counts towards the limit of a run's cost. Empty: nothing."),
    )  # fmt: skip
    currency = models.CharField(max_length=12, default="USD", help_text=_("Of the cost, such as USD."))
    timeout_seconds = models.PositiveIntegerField(default=60)
    hold_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_HOLD_SECONDS)],
        help_text=_("How long an approval may be taken back before it counts. Empty: by the risk, as the desk is set."),
    )
    results = models.CharField(_("results are"), max_length=9, choices=Results, default=Results.UNSAID, blank=True)
    marks_results = models.BooleanField(
        _("mark untrusted results"), default=True,
        help_text=_("Untrusted results reach the model between marks that say so. What is recorded stays exact."),
    )  # fmt: skip
    data = models.CharField(
        _("data label"), max_length=60, blank=True,
        help_text=_(
            "What it reads, such as customer data; of a tool whose data leave the house, what it may send. A run that has read "
            "one label asks before it sends by a tool with another, or with none."
        ),
    )  # fmt: skip
    scope_of = models.JSONField(
        _("scope"), default=dict, blank=True,
        help_text=_("Which argument has to be which key of a run's scope: {\"customer_id\": \"customer\"}."),
    )  # fmt: skip
    recipients_at = models.JSONField(
        _("arguments with recipients"), default=list, blank=True,
        help_text=_("Such as [\"to\"] or [\"url\"]; empty: not checked."),
    )  # fmt: skip
    recipients = models.JSONField(
        _("allowed recipients"), default=list, blank=True,
        help_text=_("Domains and addresses: [\"example.com\", \"*.example.com\", \"ada@example.org\"]."),
    )  # fmt: skip
    beyond = models.CharField(_("other recipients"), max_length=4, choices=Beyond, default=Beyond.ASK)
    retries = models.PositiveSmallIntegerField(
        default=2, validators=[MaxValueValidator(10)],
        help_text=_("Further tries after an error that may pass; only of an idempotent tool. 0: none."),
    )  # fmt: skip
    breaker_failures = models.PositiveSmallIntegerField(
        _("circuit opens after"), default=5,
        help_text=_("Failures in a row, of all runs together, after which its calls are refused for a time. 0: never."),
    )  # fmt: skip
    breaker_seconds = models.PositiveIntegerField(
        _("circuit stays open for"), default=60, validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text=_("Seconds; then one call tries whether it works again."),
    )  # fmt: skip
    enabled = models.BooleanField(default=True, help_text=_("Switched off: refused at the next gate, approved or not."))
    accepted_schema = models.JSONField(default=dict, editable=False)
    accepted_schema_version = models.CharField(max_length=71, blank=True, editable=False)
    accepted_description = models.TextField(blank=True, editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by_label = models.CharField(max_length=200, blank=True, editable=False)
    labels_from = models.CharField(
        max_length=8, default="code", choices=[("code", _("code")), ("admin", _("admin")), ("run", _("seen in a run"))]
    )
    first_seen_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["agent", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["agent", "name"], name="tool_once")]

    def __str__(self) -> str:
        return f"{self.agent} · {self.name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new tool begins as it is: what changes later is compared with that until an admin accepts something else."""
        if self._state.adding and not self.accepted_schema_version and not self.accepted_description:
            self.accepted_schema, self.accepted_schema_version = self.schema, self.schema_version
            self.accepted_description = self.description
        super().save(*args, **kwargs)

    @property
    def is_changed(self) -> bool:
        """Whether schema or description are not what an admin last accepted."""
        return (self.schema_version, self.description) != (self.accepted_schema_version, self.accepted_description)

    @property
    def code_version(self) -> str:
        """Digest of what an admin accepts: the schema and the description."""
        return digest([self.schema_version, self.description])


class BreakerState(models.TextChoices):
    """The values are those of pybreaker."""

    CLOSED = "closed", _("Closed: calls go through")
    OPEN = "open", _("Open: calls are refused")
    HALF_OPEN = "half-open", _("Half open: one call is trying it")


class Breaker(models.Model):
    """The circuit breaker of one tool, shared by all workers. There is none as long as no call has failed."""

    tool = models.OneToOneField(Tool, on_delete=models.CASCADE, primary_key=True, related_name="breaker")
    state = models.CharField(max_length=9, choices=BreakerState, default=BreakerState.CLOSED)
    failures = models.PositiveIntegerField(default=0, help_text=_("In a row."))
    opened_at = models.DateTimeField(null=True)
    probe = models.UUIDField(null=True, help_text=_("The call that tries whether it works again."))
    probe_until = models.DateTimeField(null=True, help_text=_("When it is taken for lost, and another may try."))
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(state__in=BreakerState.values), name="breaker_state")
        ]

    def __str__(self) -> str:
        return str(self.get_state_display())
