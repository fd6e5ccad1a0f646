"""What the code around a tool call knows of its run.

It travels as a context variable: LangGraph and LangChain copy the context into the tasks and threads that they start, so it
also reaches graphs that a tool runs inside itself, and it never enters a checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from langgraph.errors import GraphBubbleUp

from runs.limits import Amount


class AttemptLost(GraphBubbleUp):
    """Another worker has taken over this run; whatever this attempt still wants to write is refused."""


class GateMissing(GraphBubbleUp):
    """A tool was about to start without passing the gate; it was refused."""


class DeskUnavailable(GraphBubbleUp):
    """The desk's own database did not answer; the run is not at fault and goes on later."""


class LimitReached(GraphBubbleUp):
    """The run has reached one of its limits."""

    def __init__(self, limit: str, value: Amount, detail: str = "") -> None:
        """``detail``: a sentence for people about what reached it."""
        super().__init__(f"{limit} reached: {value}")
        self.limit, self.value, self.detail = limit, value, detail


@dataclass(slots=True)
class RunContext:
    """One attempt at a run; whatever it writes is refused once a newer attempt exists."""

    run_id: UUID
    attempt: int
    agent: str
    agent_version: str
    team_id: UUID
    requester_id: UUID | None
    title: str
    subject: str
    run_input: Any
    dry_run: bool
    limits: Mapping[str, Amount]
    scope: Mapping[str, Any] = field(default_factory=dict)  # what the run is about
    tools: Sequence[str] | None = None  # that it may use; None: all
    outside_scope: str = "ask"
    input_untrusted: bool = True
    owner_id: UUID | None = None  # who answers for its agent
    parent_id: UUID | None = None  # the run that it was forked from
    undoes: UUID | None = None  # the call that it takes back
    lineage: list[UUID] | None = None  # the run and all that it was forked from, once they were looked up
    inputs: list[Any] | None = None  # of all its turns, once they were looked up
    on_call: Callable[[UUID, str, str, str], None] = lambda *_: None  # row, tool, outcome, task id
    on_cost: Callable[[str, Decimal], None] = lambda *_: None  # currency, amount
    is_ending: Callable[[], bool] = lambda: False  # whether the graph is asked to go no further
    groups: dict[str, "Siblings"] = field(default_factory=dict)


@dataclass(slots=True)
class Siblings:
    """The tool calls that one task runs side by side. One that must pause waits until the others have come to rest: the
    first exception out of a task lets LangGraph go on without those still at work."""

    busy: int = 0
    waiters: list[Callable[[], None]] = field(default_factory=list)


@dataclass(slots=True)
class Permit:
    """Leave for one tool to start once with these arguments; given by the gate, checked by the guard."""

    tool: str
    call_id: str
    args_digest: str
    error: BaseException | None = None  # what the tool raised, also where its node makes a message of it
    at_work: int = 0  # threads that work on it


current: ContextVar[RunContext | None] = ContextVar("current_run", default=None)
permit: ContextVar[Permit | None] = ContextVar("permit", default=None)
