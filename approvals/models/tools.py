"""What agents can call, as admins label it."""

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator
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
    undo_tool = models.CharField(max_length=200, blank=True)
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.MEDIUM)
    timeout_seconds = models.PositiveIntegerField(default=60)
    hold_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_HOLD_SECONDS)],
        help_text=_("How long an approval may be taken back before it counts. Empty: by the risk, as the desk is set."),
    )
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
