"""What an adapter does: turn an agent's own interrupt into questions for people, and their decisions into its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jsonschema import Draft202012Validator, SchemaError

from agentdesk.digests import decode, encode
from approvals.models import Decision
from approvals.states import Verdict

ALL = (Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT, Verdict.RESPOND)
REFUSING = (Verdict.REJECT, Verdict.EXPIRE, Verdict.WITHDRAW)

type Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One action of a payload that people decide about. ``expires_after``: seconds, where the payload names an end."""

    action: str
    args: dict[str, Any]
    description: str = ""
    allowed: Sequence[Verdict] = ALL
    args_schema: Schema | None = None
    answer_schema: Schema | None = None
    risk: str = ""
    call_id: str = ""
    expires_after: int | None = None
    told: Any = None  # the part of the payload that may hold the agent's ``evidence`` and ``alternatives``


@dataclass(frozen=True, slots=True)
class Payload:
    """An interrupt as the graph raised it. ``node`` is where; ``value`` holds plain values only (see :func:`plain`);
    ``pinned`` is the schema that an admin says the answer has at this node."""

    id: str
    value: Any
    node: str
    response_schema: Schema | None = field(default=None)
    pinned: Schema | None = field(default=None)

    @property
    def place(self) -> str:
        """The action of a payload that names none."""
        return f"interrupt:{self.node}"


class Adapter(Protocol):
    """``name`` goes on record with the approval."""

    name: str

    def fits(self, payload: Payload) -> bool:
        """Whether this adapter understands the payload."""
        ...

    def questions(self, payload: Payload) -> list[Question]:
        """What to ask, in the payload's own order. Raises what reading a value of another shape raises: then the payload is
        of another family."""
        ...

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        """The value that the graph's ``interrupt()`` returns, from one decision for each question."""
        ...

    def answer_schema(self, payload: Payload) -> Schema | None:
        """JSON Schema of :meth:`answer`'s value; None where any value may be right."""
        ...

    def is_refusable(self, payload: Payload) -> bool:
        """Whether the payload has a way to say no. Without one, a run whose question expires is stopped."""
        ...


@runtime_checkable
class SeveralAtOnce(Adapter, Protocol):
    """An adapter whose payloads may hold several questions."""

    def parts(self, answer: Any) -> list[Any]:
        """The list in :meth:`answer`'s value that has one entry for each question, in their order."""
        ...


def plain(value: Any) -> Any:
    """``value`` as the desk stores and shows it: mappings as ``dict``, sequences as ``list``, dataclasses and models as
    ``dict``, and what cannot be read at all as its ``repr``. Never raises for what an agent passes."""
    try:
        return decode(encode(value))
    except Exception as error:  # a model's own code runs here, and may raise anything
        return f"{type(value).__name__} that cannot be shown: {type(error).__name__}"


def usable(schema: Any) -> Schema | None:
    """``schema`` if answers can be checked against it, else None: a broken one would lock its question for ever."""
    if not isinstance(schema, dict):
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return None
    return schema


def has(value: Any, *names: str) -> bool:
    return isinstance(value, Mapping) and all(name in value for name in names)


def text_of(value: Any, *names: str) -> str:
    """The first of the fields ``names`` that holds a text."""
    return next((value[name] for name in names if isinstance(value.get(name), str)), "")
