"""Pushes are hints and may be lost. At each tick the hub asks the database, once for all its sockets, what of the watched has
changed, and sends what was not told: rows of a list and parts of a run as if the push had come, anything else as a bare
version, whereupon a page that shows an older one fetches it. A page that shows the current version does nothing."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.utils import timezone

from agentdesk.live import registry
from agentdesk.live.audience import INBOX, Event, Topic
from agentdesk.live.registry import Look

OVERLAP = 10.0  # seconds looked back before the last look: so long may a change stay uncommitted, and clocks differ
PARTS = frozenset({"step", "call"})  # of a run; pages watch the run


class Lookout:
    """What pages of this process were told last. Used in the loop, except for :func:`changes`."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[int, float]] = {}
        self._looked = time.monotonic()

    def tell(self, kind: str, id: str, version: int) -> None:
        """Note that whoever watches it was told of this version."""
        before, _ = self._told.get((kind, id), (0, 0.0))
        self._told[kind, id] = (max(before, version), time.monotonic())

    def seconds(self) -> float:
        """How far back the next look has to go."""
        return time.monotonic() - self._looked + OVERLAP

    def untold(self, found: Collection[Event], began: float) -> list[Event]:
        """What of the changes ``found`` by a look that began at ``began`` nobody was told."""
        news = [event for event in found if event.version > self._told.get((event.kind, event.id), (0, 0.0))[0]]
        self._forget({(event.kind, event.id) for event in found}, self._looked - OVERLAP)
        self._looked = began
        return news

    def _forget(self, kept: set[tuple[str, str]], before: float) -> None:
        """What is not found by looks any more need not be remembered."""
        self._told = {key: told for key, told in self._told.items() if key in kept or told[1] >= before}


def changes(watched: Iterable[Topic], seconds: float) -> list[Event]:
    """The current versions of what is watched, of rows and parts those that changed in the last ``seconds``. One or two queries
    for each kind that is watched; for a thread that may use the database."""
    ids: dict[str, set[str]] = defaultdict(set)
    for kind, id in watched:
        ids[kind].add(id)
    since = timezone.now() - timedelta(seconds=seconds)
    found: list[Event] = []
    for kind, pushed in registry.every():
        wanted = ids.get(_topic_of(kind))
        if wanted and pushed.changed is not None:
            is_bare = kind in ids
            for id, version, run in pushed.changed(Look(since, wanted)):
                found.append(Event(kind, id, version, run=run, bare=is_bare))
    return found


def _topic_of(kind: str) -> str:
    if kind == "row":
        return INBOX[0]
    return "run" if kind in PARTS else kind
