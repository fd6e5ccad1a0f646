"""Approvals with the votes and the decision on each."""

from typing import TYPE_CHECKING, ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team
from approvals.models.evaluations import Evaluation
from approvals.models.tools import Tool
from approvals.states import OPEN, Kind, Risk, Status, Verdict

if TYPE_CHECKING:
    from agentdesk.people.models import User


# Teams that decide beside the approval's own: rarely any, so the index over them stays small.
GUEST_TEAMS = Func(F("reviewer_teams"), F("team_id"), function="array_remove", output_field=ArrayField(models.UUIDField()))


# Calls that a person answered by asking the agent something, and that no later call follows yet.
ASKED_BACK = Q(
    kind=Kind.TOOL_CALL, status=Status.DECIDED, decisions__verdict=Verdict.ASK, decisions__voided_at__isnull=True,
    successors__isnull=True,
)  # fmt: skip


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def visible_to(self, user: "User") -> Self:
        """What the user's memberships show: approvals of their teams, and those that name one of their teams as reviewers."""
        if user.is_superuser and user.is_active:
            return self
        teams = user.team_ids()
        return self.filter(Q(team__in=teams) | Q(reviewer_teams__overlap=list(teams)))

    def pending(self) -> Self:
        return self.filter(status=Status.PENDING)


class Approval(models.Model):
    """One action that waits for people.

    ``(source, source_ref)`` names who asked; ``request_key`` finds the same question again.

    ``args``, ``digest`` and ``version`` are current: a modification makes version n+1, and only votes for the current version
    count. ``asked_args`` never change. Arguments are stored as :func:`agentdesk.digests.encode` gives them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.CharField(max_length=32)
    source_ref = models.CharField(max_length=200)
    request_key = models.CharField(max_length=300, unique=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.TOOL_CALL)
    agent = models.SlugField(max_length=64)
    agent_version = models.CharField(max_length=100, blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="approvals")
    reviewer_teams = ArrayField(models.UUIDField(), default=list, help_text=_("Who decides; empty: the team itself."))
    action = models.CharField(max_length=200)
    asked_args = models.JSONField()
    args = models.JSONField()
    args_schema = models.JSONField(null=True)
    schema_version = models.CharField(max_length=71, blank=True)
    digest = models.CharField(max_length=71)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True, help_text=_("The agent's own words: not verified."))
    reason = models.TextField(blank=True, help_text=_("Why the agent wants it, in its own words: not verified."))
    subject = models.TextField(
        blank=True, help_text=_("What the run is about, such as the ticket's text: from outside, not verified.")
    )
    evidence = models.JSONField(
        default=list,
        blank=True,
        help_text=_("What the agent quotes for it, as {title, quote, url}: its own words, not verified."),
    )
    alternatives = models.JSONField(
        default=list, blank=True, help_text=_("What the agent says it did not choose: its own words, not verified.")
    )
    payload = models.JSONField(null=True, help_text=_("The raw request, for an interrupt."))
    adapter = models.CharField(max_length=40, blank=True)
    allowed = models.JSONField(default=list)
    answer_schema = models.JSONField(null=True)
    response_schema = models.JSONField(
        null=True, help_text=_("What the asker itself says about the whole answer, encoded; for an interrupt.")
    )
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.MEDIUM)
    effect = models.CharField(max_length=12, blank=True)
    egress = models.BooleanField(default=False)
    requirements = models.JSONField(default=dict)
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, null=True, related_name="approvals")
    policy_version = models.BigIntegerField(null=True)
    follows = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="successors",
        help_text=_("The question before it in the same run, which a person answered by asking the agent something."),
    )  # fmt: skip
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+",
        help_text=_("Who answered for the agent when it asked."),
    )  # fmt: skip
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reopened_because = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(default=1, help_text=_("Rises with every change of what the screen shows."))
    requested_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    escalated_at = models.DateTimeField(null=True, help_text=_("When another team was asked too, because nobody had decided."))
    remind_at = models.DateTimeField(null=True, help_text=_("When reviewers are to be reminded; empty once they were."))
    reminded_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-requested_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="approval_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["team", "requested_at"], name="approval_open", condition=Q(status__in=sorted(OPEN))),
            models.Index(
                fields=["team", "risk", "expires_at", "id"], name="approval_waiting", condition=Q(status=Status.PENDING)
            ),
            models.Index(
                fields=["team", "-closed_at", "-id"],
                name="approval_closed",
                include=["status", "requested_at"],
                condition=Q(closed_at__isnull=False),
            ),
            models.Index(
                fields=["team", "agent", "action", "-closed_at"], name="approval_like", condition=Q(closed_at__isnull=False)
            ),
            GinIndex(GUEST_TEAMS, name="approval_guests"),
            models.Index(fields=["source", "source_ref"], name="approval_source"),
            models.Index(fields=["agent"], name="approval_agent", condition=Q(status=Status.PENDING)),
            models.Index(fields=["expires_at"], name="approval_expiry", condition=Q(status=Status.PENDING)),
            models.Index(
                fields=["remind_at"], name="approval_remind", condition=Q(status=Status.PENDING, remind_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} · {self.agent}"

    @property
    def is_pending(self) -> bool:
        return self.status == Status.PENDING

    @property
    def need(self) -> int:
        """How many reviewers must agree."""
        return int(self.requirements.get("count", 1))

    @property
    def from_teams(self) -> int:
        """From how many different teams they must come, at least."""
        return max((int(group.get("from_teams", 1)) for group in self.requirements.get("groups", [])), default=1)

    @property
    def standing(self) -> "Decision | None":
        """The decision that counts, or None."""
        return next((d for d in self.decisions.all() if d.voided_at is None), None)

    @cached_property
    def tool(self) -> Tool | None:
        """The tool as it is labelled now, read once; None where nobody registered it."""
        return Tool.objects.filter(agent=self.agent, name=self.action).first()

    def reviewing_teams(self) -> set[UUID]:
        """The teams whose reviewers may decide."""
        return set(self.reviewer_teams) or {self.team_id}


class Review(models.Model):
    """One vote of one reviewer for one version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="reviews")
    version = models.PositiveIntegerField()
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict)
    message = models.TextField(blank=True)
    digest = models.CharField(max_length=71)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["approval", "version", "reviewer"], name="review_once"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.verdict}"


class Decision(models.Model):
    """The outcome of an approval; at most one is not void. Empty ``delivered_at``: still to be handed over to the asker."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="decisions")
    version = models.PositiveIntegerField()
    verdict = models.CharField(max_length=8, choices=Verdict)
    args = models.JSONField(help_text=_("The final arguments, encoded."))
    digest = models.CharField(max_length=71, help_text=_("Action digest of the final arguments."))
    answer = models.JSONField(null=True, help_text=_("What a person answered in the tool's stead, encoded."))
    message = models.TextField(blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    decided_by_label = models.CharField(max_length=200)
    via = models.CharField(max_length=8)
    decided_at = models.DateTimeField()
    policy_version = models.BigIntegerField(null=True)
    view_digest = models.CharField(max_length=71, blank=True)
    template_version = models.CharField(max_length=40, blank=True)
    seconds_open = models.FloatField(null=True)
    release_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True, help_text=_("When the gate took it for its call; once."))
    voided_at = models.DateTimeField(null=True)
    void_reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-decided_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["approval"], condition=Q(voided_at__isnull=True), name="decision_once"),
            models.CheckConstraint(condition=Q(verdict__in=Verdict.values), name="decision_verdict"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["decided_at"], name="decision_undelivered",
                condition=Q(delivered_at__isnull=True, voided_at__isnull=True),
            ),
            models.Index(fields=["decided_by", "decided_at"], name="decision_by", include=["verdict", "seconds_open", "via"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.verdict} by {self.decided_by_label}"
