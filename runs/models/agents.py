"""Agents: the graphs that this desk drives."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team
from approvals.models.switches import Switched

if TYPE_CHECKING:
    from agentdesk.people.models import User


class AgentQuerySet(models.QuerySet["Agent"]):
    def visible_to(self, user: "User") -> Self:
        if user.is_superuser and user.is_active:
            return self
        return self.filter(team__in=user.team_ids())


class PartialAnswers(models.TextChoices):
    WAIT = "wait", _("Wait until all of them are decided")
    ONCE = "once", _("Go on at once with what is decided")


class OutsideScope(models.TextChoices):
    ASK = "ask", _("Ask people")
    DENY = "deny", _("Deny")


class Agent(Switched):
    """A LangGraph graph under a slug. Its code is imported in workers only; everybody else reads this row."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="agents")
    manifest = models.CharField(max_length=500, editable=False, help_text=_("The langgraph.json that names it."))
    graph = models.CharField(max_length=300, editable=False)
    code_version = models.CharField(max_length=100, blank=True, editable=False)
    input_schema = models.JSONField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(default=True, help_text=_("Switched off: no new runs, and its gate refuses every call."))
    dry_run = models.BooleanField(
        _("dry run"), default=False,
        help_text=_("From the next gate on its tools write nothing: of each write it is said what it would do."),
    )  # fmt: skip
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+",
        help_text=_("Who answers for it. They approve nothing that it asks, unless a rule lets people approve their own."),
    )  # fmt: skip
    limits = models.JSONField(default=dict, blank=True)
    config = models.JSONField(
        default=dict, blank=True, help_text=_("Given to its graph at each run: {configurable, tags, metadata}.")
    )
    context = models.JSONField(default=dict, blank=True, help_text=_("Values for the graph's context_schema."))
    partial_answers = models.CharField(
        max_length=4, choices=PartialAnswers, default=PartialAnswers.WAIT,
        help_text=_("Several questions wait at once, and one of them is decided."),
    )  # fmt: skip
    own_nodes = models.JSONField(
        default=list, editable=False, help_text=_("Nodes that run code of their own, which no gate sees.")
    )
    input_untrusted = models.BooleanField(
        _("input is untrusted"), default=True,
        help_text=_("What its runs are given was written by outsiders, such as a customer's e-mail."),
    )  # fmt: skip
    outside_scope = models.CharField(
        _("calls outside a run's scope"), max_length=4, choices=OutsideScope, default=OutsideScope.ASK
    )  # fmt: skip
    load_error = models.TextField(blank=True, editable=False)
    loaded_at = models.DateTimeField(null=True, editable=False)

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class PinnedAnswer(models.Model):
    """What an answer to an agent's own question looks like, where its payload does not tell. One schema for each node."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="pinned_answers")
    node = models.CharField(max_length=200, blank=True, help_text=_("The node that asks. Empty: every node without its own."))
    schema = models.JSONField(help_text=_("JSON Schema of the answer."))
    note = models.CharField(max_length=300, blank=True, help_text=_("Why, for other admins."))

    class Meta:
        ordering: ClassVar = ["agent", "node"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["agent", "node"], name="pinned_once")]

    def __str__(self) -> str:
        return f"{self.agent} · {self.node or '*'}"
