"""Agents: the graphs that this desk drives."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team

if TYPE_CHECKING:
    from agentdesk.people.models import User


class AgentQuerySet(models.QuerySet["Agent"]):
    def visible_to(self, user: "User") -> Self:
        if user.is_superuser and user.is_active:
            return self
        return self.filter(team__in=user.team_ids())


class Agent(models.Model):
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
    limits = models.JSONField(default=dict, blank=True)
    config = models.JSONField(
        default=dict, blank=True, help_text=_("Given to its graph at each run: {configurable, tags, metadata}.")
    )
    context = models.JSONField(default=dict, blank=True, help_text=_("Values for the graph's context_schema."))
    rules_answer_interrupts = models.BooleanField(
        default=False, help_text=_("A rule may answer this agent's own questions without a person.")
    )
    load_error = models.TextField(blank=True, editable=False)
    loaded_at = models.DateTimeField(null=True, editable=False)

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
