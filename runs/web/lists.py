"""The list of runs: filters, and pages by key, so that page 1,000 costs what page 1 costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count
from django.http import QueryDict

from agentdesk.people.models import User
from approvals.models import Approval
from runs.lifecycle import SOURCE
from runs.models import Agent, Run
from runs.states import RunStatus
from runs.web.fragments import State, state_of

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in the list. ``waiting`` counts its pending approvals."""

    run: Run
    state: State
    waiting: int


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows; empty parts do not filter. ``after`` is the last run of the page before."""

    status: str = ""
    agent: str = ""
    after: UUID | None = None

    @classmethod
    def read(cls, query: QueryDict) -> "Filter":
        """From an address; what makes no sense there is left out."""
        status = query.get("status", "")
        return cls(
            status if status in RunStatus.values else "",
            query.get("agent", "")[:64].replace("\x00", ""),
            _uuid(query.get("after", "")),
        )

    def address(self, **changed: str) -> str:
        """The query string of this filter with some parts changed, from its first page on unless ``after`` is given."""
        parts = {"status": self.status, "agent": self.agent, "after": ""} | changed
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"?{query}" if query else "?"


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of runs, newest first. ``older`` is the address of the next one, or empty."""

    rows: list[RunRow]
    older: str


def listing(user: User, wanted: Filter) -> Listing:
    """The runs that ``user`` may see. Two queries."""
    runs = Run.objects.visible_to(user).select_related("agent").defer("input", "output", "traceback").order_by("-id")
    if wanted.status:
        runs = runs.filter(status=wanted.status)
    if wanted.agent:
        runs = runs.filter(agent__slug=wanted.agent)
    if wanted.after:
        runs = runs.filter(pk__lt=wanted.after)
    found = list(runs[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    waiting = waiting_approvals([run.pk for run in shown])
    older = wanted.address(after=str(shown[-1].pk)) if len(found) > PAGE_SIZE else ""
    return Listing([RunRow(run, state_of(run), waiting.get(run.pk, 0)) for run in shown], older)


def waiting_approvals(runs: Sequence[UUID]) -> dict[UUID, int]:
    """How many approvals wait for each of these runs. One query."""
    pending = Approval.objects.pending().filter(source=SOURCE, source_ref__in=[str(run) for run in runs])
    counted = pending.order_by().values_list("source_ref").annotate(Count("pk"))
    return {UUID(run): count for run, count in counted}


def agents_of(user: User) -> list[Agent]:
    """The agents that ``user`` may see, by name. One query."""
    return list(Agent.objects.visible_to(user).only("slug", "name"))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
