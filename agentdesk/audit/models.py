"""The record: insert-only entries, with their erasable content apart.

The application's database role has neither UPDATE nor DELETE nor TRUNCATE on these tables, and triggers say the same to
every role (migration 0001). ``xid`` is the writing transaction: a later seal covers entries below a snapshot's horizon,
which an order by id alone would miss.
"""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id


class Xid8Field(models.Field):  # type: ignore[type-arg]  # generic in the stubs only
    """PostgreSQL's ``xid8``: a 64-bit transaction id that never wraps."""

    def db_type(self, connection: object) -> str:
        return "xid8"

    def from_db_value(self, value: object, expression: object, connection: object) -> int | None:
        return None if value is None else int(str(value))


class PgCurrentXactId(models.Func):
    function = "pg_current_xact_id"
    arity = 0
    output_field = Xid8Field()


class AuditContent(models.Model):
    """What an entry speaks about, where it may have to be erased one day. The entry holds ``commitment(salt, body)``."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    salt = models.BinaryField(max_length=16)
    body = models.JSONField()

    def __str__(self) -> str:
        return str(self.id)


class AuditEntry(models.Model):
    """One line of the record: who did what to what, from where. Users and objects are named by text and plain ids, so that
    an entry outlives both."""

    class Via(models.TextChoices):
        WEB = "web"
        API = "api"
        CLI = "cli"
        ADMIN = "admin"
        WORKER = "worker"
        STANDING = "standing"  # given in advance

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    xid = Xid8Field(db_default=PgCurrentXactId(), editable=False)
    act = models.UUIDField(help_text=_("One id for all entries of one act."))
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=200)
    via = models.CharField(max_length=8, choices=Via)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=300, blank=True)
    run_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    policy_version = models.BigIntegerField(null=True)
    address = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    content = models.ForeignKey(AuditContent, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+")
    commitment = models.CharField(max_length=71, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["object_type", "object_id", "id"], name="audit_object"),
            models.Index(fields=["run_id", "id"], name="audit_run", condition=models.Q(run_id__isnull=False)),
            models.Index(fields=["team_id", "-id"], name="audit_team"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_label} {self.action} {self.object_label}"
