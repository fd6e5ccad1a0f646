"""Runs and their steps."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team
from runs.models.agents import Agent
from runs.states import LIVE, RunStatus, StepKind, StepStatus

if TYPE_CHECKING:
    from agentdesk.people.models import User


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: "User") -> Self:
        if user.is_superuser and user.is_active:
            return self
        return self.filter(team__in=user.team_ids())

    def live(self) -> Self:
        return self.filter(status__in=LIVE)


class Run(models.Model):
    """One execution of an agent.

    ``attempt`` is the fence: it rises with every claim, and whatever an older attempt still writes is refused.
    ``claimed_by`` is the advisory-lock key of the worker process that drives the run; a run is orphaned when it is
    running and that key is no longer held. ``wanted`` counts orders to advance; a release that finds it risen looks again.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="runs")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="runs")
    agent_version = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=9, choices=RunStatus, default=RunStatus.QUEUED)
    stop_reason = models.CharField(max_length=64, blank=True)
    title = models.CharField(max_length=200, blank=True, help_text=_("What it is about, taken from its input."))
    input = models.JSONField(help_text=_("Encoded."))
    next_input = models.JSONField(null=True, help_text=_("New input that the graph has still to be given. Encoded."))
    next_input_at = models.CharField(max_length=64, blank=True, help_text=_("Checkpoint that the new input was given at."))
    renew_at = models.CharField(
        max_length=64,
        blank=True,
        help_text=_("Checkpoint whose stored answers the graph raises on: it goes on from a fresh copy."),
    )
    output = models.JSONField(null=True, help_text=_("Encoded."))
    error = models.JSONField(null=True, help_text=_("{kind, message}: for everybody."))
    traceback = models.TextField(blank=True, help_text=_("For operators only."))
    thread_id = models.CharField(max_length=200, unique=True)
    dry_run = models.BooleanField(default=False)
    limits = models.JSONField(default=dict)
    config = models.JSONField(default=dict, help_text=_("{configurable, tags, metadata}, over those of the agent."))
    context = models.JSONField(default=dict, help_text=_("Values for the graph's context, over those of the agent."))
    scope = models.JSONField(default=dict, help_text=_('What it is about, such as {"customer": 17}.'))
    tools = models.JSONField(null=True, help_text=_("Names of the tools that it may use; null: all of its agent."))
    counters = models.JSONField(default=dict)
    attempt = models.PositiveIntegerField(default=0)
    claimed_by = models.BigIntegerField(null=True)
    wanted = models.PositiveBigIntegerField(default=1)
    dispatched_at = models.DateTimeField(null=True)
    held_at = models.DateTimeField(null=True, help_text=_("Since when it waits for room: its agent has runs enough at work."))
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    requester_label = models.CharField(max_length=200)
    traceparent = models.CharField(max_length=64, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="forks")
    undoes = models.ForeignKey(
        "runs.ToolCall", on_delete=models.PROTECT, null=True, related_name="undos",
        help_text=_("The call that it takes back, where it is an undo."),
    )  # fmt: skip
    parent_checkpoint = models.CharField(max_length=64, blank=True)
    revision = models.PositiveBigIntegerField(default=1, help_text=_("Rises with every change of what the screen shows."))
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    active_seconds = models.FloatField(default=0)
    pruned_at = models.DateTimeField(null=True, help_text=_("When its checkpoints were taken away: it cannot go on any more."))
    erased_at = models.DateTimeField(null=True, help_text=_("When its content was erased."))

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status"),
            models.UniqueConstraint(fields=["undoes"], condition=Q(status__in=sorted(LIVE)), name="run_undoes_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["team", "-created_at"], name="run_team"),
            models.Index(fields=["changed_at"], name="run_live", condition=Q(status__in=sorted(LIVE))),
            models.Index(fields=["agent"], name="run_busy", condition=Q(status=RunStatus.RUNNING)),
            models.Index(fields=["agent", "held_at"], name="run_held", condition=Q(held_at__isnull=False)),
            models.Index(
                fields=["status", "finished_at"],
                name="run_kept",
                condition=Q(pruned_at__isnull=True, finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)

    @property
    def record_label(self) -> str:
        """How entries of the record name it: they last, so nothing of what it was given, which may have to be erased."""
        return f"{self.agent.slug} · {self.id}"


class Step(models.Model):
    """One recorded event of a run: the trace tree. ``key`` is the event's own id, ``parent_key`` that of what it happened in.
    Rows of one run sort by ``id``."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="steps")
    key = models.UUIDField()
    parent_key = models.UUIDField(null=True)
    attempt = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=StepKind)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=6, choices=StepStatus)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    data = models.JSONField(default=dict)
    revision = models.PositiveBigIntegerField(
        default=1, editable=False, help_text=_("Rises with every change; a trigger counts.")
    )

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "key"], name="step_once"),
            models.CheckConstraint(condition=Q(status__in=StepStatus.values), name="step_status"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
