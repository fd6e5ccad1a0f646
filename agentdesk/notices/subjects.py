"""What announcements are about: each kind says what is told of an object, and whether it still waits for people."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from agentdesk.people.models import Role


@dataclass(frozen=True, slots=True)
class Facts:
    """What may leave the desk about an object, never its arguments; and whom it concerns. ``path`` is the page's. ``teams`` are
    those whose subscriptions hear of it; of people, those who have ``role`` in one of ``members_of``, and ``people``
    themselves, without ``omit``."""

    title: str
    agent: str
    path: str
    team: str
    teams: frozenset[UUID]
    members_of: frozenset[UUID]
    role: Role
    risk: str = ""
    due_at: datetime | None = None
    outcome: str = ""
    people: frozenset[UUID] = field(default_factory=frozenset)
    omit: frozenset[UUID] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Subject:
    """``facts(id, event)`` is None when the object is gone. ``open_of(ids)``: those that still wait for people."""

    facts: Callable[[str, str], Facts | None]
    open_of: Callable[[Collection[str]], set[str]]


_kinds: dict[str, Subject] = {}


def register(kind: str, subject: Subject) -> None:
    """Make ``kind`` known. Raises ValueError when it is taken by something else."""
    if _kinds.setdefault(kind, subject) != subject:
        raise ValueError(f"the kind {kind!r} is registered already")


def get(kind: str) -> Subject:
    """Raises KeyError for a kind that nobody registered."""
    return _kinds[kind]
