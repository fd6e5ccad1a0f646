"""Stored arguments as people read them: a name and a text each, and what changed between two sets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentdesk import masking
from agentdesk.digests import TAG, decode, encode

LONG = 160  # characters; longer values scroll inside themselves
BRIEF = 60


@dataclass(frozen=True, slots=True)
class Argument:
    """``text`` is the value as text, None where the later set lacks it; ``before`` the earlier one, None where it is the same
    or was missing. ``changed`` tells the two apart."""

    name: str
    text: str | None
    before: str | None = None
    changed: bool = False

    @property
    def long(self) -> bool:
        return len(self.text or "") > LONG or "\n" in (self.text or "")

    @property
    def brief(self) -> str:
        """The value's beginning, for a sentence; the table holds all of it."""
        return _brief(self.text or "")

    @property
    def brief_before(self) -> str:
        return _brief(self.before or "")


def arguments(stored: Any) -> list[Argument]:
    """One set of encoded arguments, in its own order."""
    return [Argument(name, text_of(value, name)) for name, value in _items(stored)]


def changes(before: Any, after: Any) -> list[Argument]:
    """The later of two sets, with what it changed in the earlier one; what it left out comes last."""
    old, new = dict(_items(before)), dict(_items(after))
    shown = [_beside(name, value, old) for name, value in new.items()]
    return shown + [Argument(name, None, text_of(value, name), True) for name, value in old.items() if name not in new]


def text_of(value: Any, name: str = "") -> str:
    """An encoded value as text: strings as they are, everything else as JSON, secrets masked. ``name``: of the argument."""
    plain = masking.value(decode(value), name)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= BRIEF else line[: BRIEF - 1] + "…"


def _beside(name: str, value: Any, old: Mapping[str, Any]) -> Argument:
    if name not in old:
        return Argument(name, text_of(value, name), None, True)
    if _same(old[name], value):
        return Argument(name, text_of(value, name))
    return Argument(name, text_of(value, name), text_of(old[name], name), True)


def _same(one: Any, other: Any) -> bool:
    # Python's == takes True for 1 and 1.0 for 1; their JSON does not.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _items(stored: Any) -> list[tuple[str, Any]]:
    if isinstance(stored, dict) and TAG not in stored:
        return list(stored.items())
    value = decode(stored)
    if isinstance(value, dict):  # its keys lie outside JSON's domain
        return [(str(key), encode(item)) for key, item in value.items()]
    return [] if stored is None else [("", stored)]
