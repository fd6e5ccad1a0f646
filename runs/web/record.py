"""What stands beside a run's story, for the one who reads it: it comes over HTTP only."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from agentdesk.audit.access import newest, readable
from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Role, User
from agentdesk.templatetags.desk import plain
from approvals.models import Approval
from runs.lifecycle import SOURCE, limits_of
from runs.models import Agent, Run
from runs.states import StepKind

ENTRIES = 50


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit of a run and how much of it is used."""

    name: str
    used: float
    limit: float


def given(run: Run) -> tuple[str, bool]:
    """What the run was given to do: the first message of a conversation, else all of it as JSON (True)."""
    stored = run.input
    messages = stored.get("messages") if isinstance(stored, dict) and set(stored) == {"messages"} else None
    first = messages[0] if isinstance(messages, list) and len(messages) == 1 else stored
    content = first.get("content") if isinstance(first, dict) else first
    words = content if isinstance(content, str) else None
    return (plain(stored), True) if words is None else (words, False)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used so far: its limits, and tokens read and written."""

    gauges: list[Gauge]
    tokens_in: int
    tokens_out: int


def spent(run: Run) -> Spent:
    """Counted from the record. Two queries."""
    models = run.steps.filter(kind=StepKind.MODEL).values_list("data__input_tokens", "data__output_tokens")
    used = {
        "model_calls": len(models),
        "tool_calls": run.calls.count(),
        "wall_seconds": int(run.active_seconds),
    }
    gauges = [Gauge(name, used[name], limit) for name, limit in limits_of(run).items() if name in used]
    return Spent(gauges, sum(read or 0 for read, _written in models), sum(written or 0 for _read, written in models))


def limit_of(run: Run) -> str:
    """The limit that the run was stopped at, by name; empty for any other reason."""
    return run.stop_reason.removeprefix("limit:") if run.stop_reason.startswith("limit:") else ""


def approvals_of(run: Run) -> QuerySet[Approval]:
    """What people were asked about in this run, oldest first."""
    asked = Approval.objects.filter(source=SOURCE, source_ref=str(run.pk))
    return asked.prefetch_related("decisions", "reviews").order_by("requested_at")


def may_read_record(user: User, run: Run) -> bool:
    """Whether the audit entries of the run are for this user's eyes."""
    return (user.is_superuser and user.is_active) or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def reads_code_of(user: User, agent: Agent) -> bool:
    """Whether a traceback of this agent's code is for this user's eyes."""
    return (user.is_superuser and user.is_active) or agent.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def entries_of(user: User, run: Run, approvals: list[UUID]) -> list[AuditEntry]:
    """The last entries that speak of the run or of its approvals and that ``user`` may read, newest first."""
    about = Q(run_id=run.pk) | Q(object_type="approval", object_id__in=[str(one) for one in approvals])
    return newest(readable(user), AuditEntry.objects.filter(about), ENTRIES)
