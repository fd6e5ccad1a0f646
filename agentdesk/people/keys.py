"""The acts that have a key, and which key each person gives them: one list for the pages, the map, the profile and the guide.

A key is one printable character, or two after one another (``g i``). A person's own map names the acts whose key differs from
the usual one; an empty key means that the act has none. Keys that come with a modifier, and Enter and Escape, are fixed.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _


class Place(StrEnum):
    """Where an act can be done. Two acts that can be done in one place need different keys."""

    LIST = "list"
    CARD = "card"


EVERYWHERE = frozenset(Place)
LIST = frozenset({Place.LIST})
CARD = frozenset({Place.CARD})


@dataclass(frozen=True)
class Act:
    """What a key does, as the templates (``data-act``), the scripts and the map name it."""

    name: str
    usual: str
    words: Any
    places: frozenset[Place] = EVERYWHERE


ACTS = (
    Act("next_row", "j", _("next row"), LIST),
    Act("previous_row", "k", _("previous row"), LIST),
    Act("open", "o", _("open the row"), LIST),
    Act("select", "x", _("select the row"), LIST),
    Act("select_range", "X", _("select all rows up to this one"), LIST),
    Act("batch", "b", _("review the selected together"), LIST),
    Act("filter", "/", _("filter"), LIST),
    Act("approve", "a", _("approve: low risk at once, medium risk opens what will happen, above there is no key"), CARD),
    Act("modify", "m", _("modify"), CARD),
    Act("reject", "r", _("reject"), CARD),
    Act("ask", "q", _("ask the agent"), CARD),
    Act("respond", "c", _("respond"), CARD),
    Act("evidence", "e", _("go to the reasons"), CARD),
    Act("differences", "d", _("go to your changes"), CARD),
    Act("claim", "A", _("claim, or take over")),
    Act("assign", "h", _("assign, or hand over")),
    Act("snooze", "s", _("snooze, or show again")),
    Act("next", "n", _("next approval"), CARD),
    Act("previous", "p", _("previous approval"), CARD),
    Act("undo", "z", _("undo what was just done, take back what is held")),
    Act("back", "u", _("back to the list")),
    Act("go_inbox", "g i", _("to the inbox")),
    Act("go_runs", "g r", _("to the runs")),
    Act("go_agents", "g t", _("to the agents")),
    Act("go_audit", "g a", _("to the audit")),
    Act("map", "?", _("this map of keys")),
)

FIXED = (
    ("Enter", _("open the row, press the button")),
    ("Esc", _("close, or leave the field")),
    ("Ctrl+Enter", _("send the form that you type in; what is grave is not sent, its button gets the focus")),
    ("Ctrl+K", _("all that can be done here, to choose from")),
)

_BY_NAME = {act.name: act for act in ACTS}


class BadKey(ValueError):
    """A text that is no key."""


def read_key(text: str) -> str:
    """The key that ``text`` names, "" for none. Raises BadKey."""
    typed = unicodedata.normalize("NFC", text).split()
    if len(typed) > 2 or any(not _is_one_key(char) for char in typed):
        raise BadKey(text)
    return " ".join(typed)


def map_of(own: Mapping[str, str]) -> dict[str, str]:
    """The key of every act for a person with this own map. What is usual gives way to what the person chose: an act that was
    added later gets no key where its usual one is taken."""
    chosen = {name: key for name, key in own.items() if name in _BY_NAME}
    keys: dict[str, str] = {}
    for act in ACTS:
        taken = any(_collide(act, act.usual, _BY_NAME[name], key) for name, key in chosen.items() if name != act.name)
        keys[act.name] = chosen.get(act.name, "" if taken else act.usual)
    return keys


def own_of(keys: Mapping[str, str]) -> dict[str, str]:
    """The part of a whole map that differs from the usual one: what is stored."""
    return {act.name: keys[act.name] for act in ACTS if keys[act.name] != act.usual}


def clashes(keys: Mapping[str, str]) -> Iterator[tuple[Act, Act]]:
    """Each act whose key an earlier one has already, where both can be done, with that earlier one."""
    for at, act in enumerate(ACTS):
        for other in ACTS[:at]:
            if _collide(act, keys.get(act.name, ""), other, keys.get(other.name, "")):
                yield act, other
                break


def _collide(one: Act, key: str, other: Act, other_key: str) -> bool:
    """Whether the two cannot be told apart: the same key, or one that the other's two begin with."""
    if not key or not other_key or not one.places & other.places:
        return False
    return key == other_key or key.startswith(f"{other_key} ") or other_key.startswith(f"{key} ")


def _is_one_key(char: str) -> bool:
    """One character as a browser reports it for one press; what JavaScript counts as two characters is none."""
    return len(char) == 1 and ord(char) <= 0xFFFF and char.isprintable() and not unicodedata.category(char).startswith("M")
