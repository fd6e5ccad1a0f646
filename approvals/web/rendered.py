"""Fragments that were rendered already, kept by what they show: id, version and language."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import get_language


class Rendered:
    """The last ``most`` fragments of one kind. A version never looks different later, so nothing is ever out of date."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[UUID, int, str], SafeString] = OrderedDict()
        self._lock = Lock()

    def get(self, id: UUID, version: int) -> SafeString | None:
        """The fragment in the language of the day, or None when it is not here."""
        key = (id, version, get_language() or "")
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, id: UUID, version: int, html: SafeString) -> SafeString:
        """Keep ``html`` for later, and give it back."""
        with self._lock:
            self._kept[id, version, get_language() or ""] = html
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return html
