"""What the inbox keeps beside the approvals: who has taken one on, who has put one off, what each can be found by, and the
searches that people keep. None of it has a say in any decision."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team
from approvals.models.approvals import Approval
from approvals.states import Risk


class Claim(models.Model):
    """Who looks after an approval. With ``until`` it is a lease that lapses by itself; without, an assignment that stays.

    The row stays when nobody does: ``revision`` only ever rises, and the inbox row's version is the sum of both revisions.
    A trigger ends the claim when the approval closes (migration 0011).
    """

    approval = models.OneToOneField(Approval, on_delete=models.CASCADE, primary_key=True, related_name="claim")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="claims")
    assigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    until = models.DateTimeField(null=True)
    at = models.DateTimeField()
    revision = models.PositiveBigIntegerField(default=1)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["until"], name="claim_lapses", condition=Q(until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.user or 'nobody'}: {self.approval_id}"


class Snooze(models.Model):
    """One person's wish not to see an approval until then. Nobody else's list changes. It ends early when the approval's
    version changes; ``until`` is never later than shortly before the approval expires."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="snoozes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="snoozes")
    version = models.PositiveIntegerField()
    until = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "approval"], name="snooze_once")]
        indexes: ClassVar = [models.Index(fields=["until"], name="snooze_until")]

    def __str__(self) -> str:
        return f"{self.user}: {self.approval_id}"


class SavedView(models.Model):
    """A search that a person keeps under a name of their own."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=200)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


class Facet(models.Model):
    """One thing that an approval can be found by: a scalar argument under its dotted path, or a word of its tool or agent under
    ``@tool`` and ``@agent``. ``number`` is there where the value is one, or spells one as money does.

    Written by the trigger of migration 0011 and by nobody else, so that no way of storing an approval, and no erasure of its
    arguments, can forget it. Values of a list stand under the list's own path; texts are in small
    letters, and cut when they are long.
    """

    id = models.BigAutoField(primary_key=True)
    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="facets")
    path = models.CharField(max_length=200)
    text = models.CharField(max_length=200)
    number = models.DecimalField(max_digits=None, decimal_places=None, null=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", db_index=False)
    risk = models.CharField(max_length=8, choices=Risk)
    waits = models.BooleanField(help_text=_("The approval is pending."))

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["path", "team", "risk", "number"], name="facet_number",
                condition=Q(waits=True, number__isnull=False),
            ),
            models.Index(
                fields=["path", "team", "risk", "text"], name="facet_text", condition=Q(waits=True),
                opclasses=["varchar_ops", "uuid_ops", "varchar_ops", "varchar_pattern_ops"],
            ),
            models.Index(
                fields=["team", "risk", "text"], name="facet_any", condition=Q(waits=True),
                opclasses=["uuid_ops", "varchar_ops", "varchar_pattern_ops"],
            ),
            models.Index(
                fields=["team", "text"], name="facet_past", condition=Q(waits=False),
                opclasses=["uuid_ops", "varchar_pattern_ops"],
            ),
            models.Index(
                fields=["path", "team", "number"], name="facet_past_number",
                condition=Q(waits=False, number__isnull=False),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"
