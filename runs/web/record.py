"""What stands beside a run's story, for the one who reads it: it comes over HTTP only."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet

from agentdesk.audit.access import newest, readable
from agentdesk.audit.models import AuditEntry
from agentdesk.figures import figure
from agentdesk.people.models import Role, User
from agentdesk.templatetags.desk import plain
from approvals.models import Approval
from runs.lifecycle import SOURCE
from runs.limits import Amount, limits_of, name_of
from runs.models import Agent, Run
from runs.states import StepKind, StepStatus

ENTRIES = 50


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit of a run and how much of it is used."""

    label: str
    used: int
    limit: int


def given(run: Run) -> tuple[str, bool]:
    """What the run was given to do: the first message of a conversation, else all of it as JSON (True)."""
    stored = run.input
    messages = stored.get("messages") if isinstance(stored, dict) and set(stored) == {"messages"} else None
    first = messages[0] if isinstance(messages, list) and len(messages) == 1 else stored
    content = first.get("content") if isinstance(first, dict) else first
    words = content if isinstance(content, str) else None
    return (plain(stored), True) if words is None else (words, False)


@dataclass(frozen=True, slots=True)
class Cost:
    """What model and tool calls of known price have cost in one currency."""

    currency: str
    sum: Decimal

    @property
    def text(self) -> str:
        return figure(self.sum.quantize(Decimal("0.000001")).normalize())


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used so far: its limits, tokens read and written, money; ``unknown`` model calls have no known cost."""

    gauges: list[Gauge]
    tokens_in: int
    tokens_out: int
    costs: list[Cost]
    cost_limit: Amount
    unknown: int


def spent(run: Run) -> Spent:
    """Counted from the record. Two queries."""
    facts = ("data__input_tokens", "data__output_tokens", "data__cost", "data__currency", "status")
    models = list(run.steps.filter(kind=StepKind.MODEL).values_list(*facts))
    read, written = sum(one[0] or 0 for one in models), sum(one[1] or 0 for one in models)
    sums: dict[str, Decimal] = {}
    for *_tokens, cost, currency, _status in models:
        if cost is not None:
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(cost)
    calls = list(run.calls.values_list("cost", "currency"))
    for cost, currency in calls:
        if cost is not None:
            sums[currency] = sums.get(currency, Decimal(0)) + cost
    used = {
        "model_calls": len(models),
        "tool_calls": len(calls),
        "tokens": read + written,
        "active_seconds": int(run.active_seconds),
    }
    most = limits_of(run)
    gauges = [Gauge(name_of(name), used[name], int(limit)) for name, limit in most.items() if name in used]
    unknown = sum(status == StepStatus.DONE and cost is None for *_tokens, cost, _currency, status in models)
    return Spent(gauges, read, written, [Cost(*one) for one in sorted(sums.items())], most["cost"], unknown)


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
