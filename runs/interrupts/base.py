"""What an adapter does: turn an agent's own interrupt into questions for people, and their decisions into its answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from approvals.models import Decision
from approvals.states import Verdict

ALL = (Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT, Verdict.RESPOND)


@dataclass(frozen=True, slots=True)
class Question:
    """One action of a payload that people decide about."""

    action: str
    args: dict[str, Any]
    description: str = ""
    allowed: Sequence[Verdict] = ALL
    args_schema: dict[str, Any] | None = None
    answer_schema: dict[str, Any] | None = None
    risk: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """An interrupt as the graph raised it. ``node`` is where."""

    id: str
    value: Any
    node: str
    response_schema: dict[str, Any] | None = field(default=None)


class Adapter(Protocol):
    """``name`` goes on record with the approval. ``refusable``: the payload has a way to say no."""

    name: str
    refusable: bool

    def fits(self, payload: Payload) -> bool:
        """Whether this adapter understands the payload."""
        ...

    def questions(self, payload: Payload) -> list[Question]:
        """What to ask, in the payload's own order."""
        ...

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        """The value that the graph's ``interrupt()`` returns, from one decision for each question."""
        ...
