"""What the gate asks the ledger about a call, and what the ledger answers."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Proposal:
    """One call as the model asked for it, with what its tool tells of itself."""

    namespace: str
    message_id: str
    call_id: str
    tool: str
    args: dict[str, Any]
    description: str
    schema: dict[str, Any]
    labels: dict[str, Any]
    reason: str
    has_preview: bool = False  # the tool has a hook for dry runs
    confidence: float | None = None  # of the agent in itself, 0 to 1


@dataclass(frozen=True, slots=True)
class Execute:
    """Go on: run the tool with these arguments."""

    row: UUID
    args: dict[str, Any]
    timeout: int
    idempotent: bool
    repeatable: bool  # idempotent, or reads only
    modified_by: str = ""
    tool: UUID | None = None  # the row of the tool, for its circuit breaker
    is_troubled: bool = False  # its breaker has to be told of a success too
    retries: int = 0  # further tries of a call that is idempotent and fails with an error that may pass
    cost: tuple[str, Decimal] | None = None  # currency and amount of one try
    marks: bool = False  # the result is untrusted, and the model is to know


@dataclass(frozen=True, slots=True)
class Preview:
    """A dry run: let the tool's own hook say what the call would do."""

    row: UUID
    args: dict[str, Any]
    timeout: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for people."""

    row: UUID
    approval: UUID
    description: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """It has already brought this result."""

    row: UUID
    result: dict[str, Any]
    marks: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not run; the model reads this."""

    row: UUID
    kind: str
    message: str
    hint: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer stands in for the tool's result."""

    row: UUID
    answer: Any


type Entry = Execute | Preview | Pause | Recorded | Refused | Answered
