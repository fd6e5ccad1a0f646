"""Who asks. An asker registers under a name; an approval knows it only as ``(source, source_ref)``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import UUID

if TYPE_CHECKING:
    from agentdesk.audit.record import Actor
    from agentdesk.people.models import User
    from approvals.models import Approval, Decision

# Another program that asked over the API. It reads the decision when it wants to: nothing is handed over.
API = "api"


class NotYet(str):
    """Stands in a preview for what nobody can know before it is decided. It reads as nobody's value: ``‹who decides›``."""

    __slots__ = ()

    def __new__(cls, what: str) -> Self:
        return super().__new__(cls, f"‹{what}›")

    def __str__(self) -> str:
        return self  # str() of it is still known as what it is


def is_known(value: Any) -> bool:
    """Whether a previewed value holds nothing that is :class:`NotYet`."""
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    return all(map(is_known, value)) if isinstance(value, list | tuple) else not isinstance(value, NotYet)


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the decision page that its asker fills: a template and its context."""

    title: str
    template: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """Something that the asker had read: a plain value, and where people see all of it."""

    value: Any
    url: str


class Source(Protocol):
    """What the desk wants of an asker. ``ref`` is the approval's ``source_ref``."""

    def panels(self, ref: str) -> Sequence[Panel]:
        """What to show beside the card, such as the run's steps so far."""
        ...

    def preview_answer(self, approval: "Approval", decision: "Decision") -> Any:
        """The exact JSON that the asker will be sent for ``decision`` (which may be unsaved). What is not known yet, such as
        another action of the same request that nobody has decided, stands in it as :class:`NotYet`."""
        ...

    def make_preview(self, approval: "Approval") -> None:
        """Let somebody find out soon what the action would do, and say it to ``approvals.previews.done``."""
        ...

    def read(self, ref: str, steps: Collection[int]) -> Mapping[int, Read]:
        """What the asker had read at these places, as :class:`approvals.policy.origins.Found` numbers them, as far as it is
        still there."""
        ...

    def fates(self, approvals: Collection[UUID]) -> Mapping[UUID, str]:
        """The states of the calls that these approvals were about: ``undone``, ``failed``, others. In one query."""
        ...

    def stops(self, ref: str, user: "User") -> str:
        """What :meth:`stop` would stop, in a sentence for ``user``; empty where they may not, or nothing is there to stop."""
        ...

    def stop(self, ref: str, actor: "Actor") -> None:
        """Stop whatever asked. Raises ApprovalError where that cannot be."""
        ...

    def outcome(self, ref: str) -> Any:
        """What became of the asker after the decision."""
        ...


_sources: dict[str, Source] = {}
_seeking: set[str] = set()


def register(name: str, source: Source, *, seeks: bool = False) -> None:
    """Make ``source`` known; the last one registered under a name counts. ``seeks``: it looks by itself for decisions that were
    not handed over, so that nobody need tell it of them again."""
    _sources[name] = source
    (_seeking.add if seeks else _seeking.discard)(name)


def seeking() -> frozenset[str]:
    """The names of the askers that look for decisions by themselves."""
    return frozenset(_seeking)


def get(name: str) -> Source | None:
    """The asker registered under ``name``, or None: then there is nothing but the card."""
    return _sources.get(name)
