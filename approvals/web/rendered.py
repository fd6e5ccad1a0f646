"""Fragments that were rendered already, kept by what they show: id, version and language."""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import get_language


class Rendered:
    """The last ``most`` fragments of one kind. A version never looks different later, so nothing is ever out of date."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, int, str], SafeString] = OrderedDict()
        self._lock = Lock()

    def get(self, id: UUID, version: int) -> SafeString | None:
        """The fragment in the language of the day, or None when it is not here."""
        return self.known([(id, version)]).get(id)

    def known(self, keys: Iterable[tuple[UUID, int]]) -> dict[UUID, SafeString]:
        """Those fragments of these ids and versions that are here, in the language of the day."""
        language = get_language() or ""
        found = {}
        with self._lock:
            for id, version in keys:
                key = (id.int, version, language)
                if (html := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    found[id] = html
        return found

    def keep(self, id: UUID, version: int, html: SafeString) -> SafeString:
        """Keep ``html`` for later, and give it back."""
        with self._lock:
            self._kept[id.int, version, get_language() or ""] = html
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return html
