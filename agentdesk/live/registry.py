"""What can be pushed: for each kind, who sees it and how it looks."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from agentdesk.people.models import User

type VisibleIds = Callable[[Collection["User"], Collection[str]], dict[UUID, set[str]]]
type Render = Callable[[str, int], tuple[int, str] | None]


@dataclass(frozen=True, slots=True)
class Look:
    """A look for changes that no push told: of the ``watched`` ids (a run's parts: ids of runs), or of all since ``since``."""

    since: datetime
    watched: Collection[str]


type Changed = Callable[[Look], Iterable[tuple[str, int, str]]]


@dataclass(frozen=True, slots=True)
class Pushed:
    """``visible_ids(users, ids)`` says which of ``ids`` each user (by primary key) may see, in one query.
    ``render(id, version)`` gives the current version and its HTML, or None when the object is gone. ``changed(look)`` gives id,
    current version and run (or "") of what may have changed; without it, a lost push stays lost until the page fetches."""

    visible_ids: VisibleIds
    render: Render
    changed: Changed | None = None


_kinds: dict[str, Pushed] = {}


def register(kind: str, visible_ids: VisibleIds, render: Render, changed: Changed | None = None) -> None:
    """Make ``kind`` known. Raises ValueError when it is taken by something else."""
    pushed = Pushed(visible_ids, render, changed)
    if _kinds.setdefault(kind, pushed) != pushed:
        raise ValueError(f"the kind {kind!r} is registered already")


def get(kind: str) -> Pushed | None:
    """What was registered for ``kind``, or None."""
    return _kinds.get(kind)


def every() -> list[tuple[str, Pushed]]:
    """All kinds."""
    return list(_kinds.items())
