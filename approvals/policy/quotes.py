"""The words around a value in what a run had read: a piece short enough to be looked at beside the argument. Pure.

A value is looked for as :mod:`approvals.policy.origins` found it: by its letters, as a number, a date, an identifier. What was
found only by letters that are written otherwise has no quote; the place is still named.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from approvals.policy.origins import (
    LONGEST_VALUE,
    SHORTEST_IDENTIFIER,
    date_of,
    leaves,
    normalised,
    number_of,
    numerals_in,
    readings_of,
    squeeze,
)

LONGEST = 300  # characters of one quote, its value included
MOST_TRIED = 1_000  # places of one value that are looked at
MOST_LEAVES = 20_000  # values of one reading that are gone through
LONGEST_IDENTIFIER = 64
_DATE_LIKE = re.compile(r"(?<!\w)\w[\w.,/ -]{6,30}\w(?!\w)")

type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """A quote in three parts, the value between its surroundings. ``is_open``: more stands before, and after."""

    before: str
    value: str
    after: str
    is_open: tuple[bool, bool] = (False, False)


def texts_in(value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts and numbers inside a reading, by their paths."""
    for number, (at, leaf) in enumerate(leaves(value)):
        if number >= MOST_LEAVES:
            return
        if leaf is not None and not isinstance(leaf, bool):
            yield at, leaf if isinstance(leaf, str) else str(leaf)


def place_of(wanted: Any, text: str) -> Span | None:
    """Where ``wanted`` stands in ``text``; None where it does not, or not in letters that can be pointed at."""
    told = str(wanted)[:LONGEST_VALUE]
    if not told.strip():
        return None
    for look in (_as_words, _as_number, _as_identifier, _as_date):
        if (span := look(wanted, told, text)) is not None:
            return span
    return None


def cut(text: str, span: Span) -> Cut:
    """The quote around a place: at most :data:`LONGEST` characters, broken at words where that is possible."""
    start, end = span[0], min(span[1], span[0] + LONGEST)
    room = max(0, LONGEST - (end - start)) // 2
    left, right = max(0, start - room), min(len(text), end + room)
    before, after = text[left:start], text[end:right]
    if left > 0 and " " in before[: room // 2]:
        before = before[before.index(" ") + 1 :]
    if right < len(text) and " " in after[-(room // 2) :]:
        after = after[: after.rindex(" ")]
    return Cut(before, text[start:end], after, (left > 0, right < len(text)))


def _as_words(_wanted: Any, told: str, text: str) -> Span | None:
    """Word by word, whatever blanks stand between, in small letters and large. A search in joined words and no pattern: over
    text that repeats itself a pattern takes time that grows with the square of it."""
    words = list(re.finditer(r"\S+", text))
    starts = list(accumulate((len(word[0]) + 1 for word in words), initial=0))
    joined, sought = _lower(" ".join(word[0] for word in words)), _lower(" ".join(told.split()))

    def origin(place: int) -> int:
        number = bisect_right(starts, place) - 1
        return words[number].start() + place - starts[number]

    at = joined.find(sought)
    for _tried in range(MOST_TRIED):
        if at < 0:
            return None
        start, end = origin(at), origin(at + len(sought) - 1) + 1
        before, after = text[start - 1 : start] if start else "", text[end : end + 1]
        if not (before.isalnum() and told[0].isalnum()) and not (after.isalnum() and told[-1].isalnum()):
            return start, end
        at = joined.find(sought, at + 1)
    return None


def _lower(text: str) -> str:
    """In small letters where that changes no places."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text


def _as_number(wanted: Any, told: str, text: str) -> Span | None:
    number = number_of(wanted, normalised(told))
    if number is None:
        return None
    return next((match.span() for match in numerals_in(text) if number in readings_of(match[0])), None)


def _as_identifier(_wanted: Any, told: str, text: str) -> Span | None:
    bare = squeeze(normalised(told))
    if not SHORTEST_IDENTIFIER <= len(bare) <= LONGEST_IDENTIFIER or not any(char.isdigit() for char in bare):
        return None
    return _first(r"[\W_]{0,3}".join(map(re.escape, bare)), text)


def _as_date(_wanted: Any, told: str, text: str) -> Span | None:
    day = date_of(normalised(told))
    if day is None:
        return None
    return next((match.span() for match in _DATE_LIKE.finditer(text) if date_of(normalised(match[0])) == day), None)


def _first(pattern: str, text: str) -> Span | None:
    match = re.search(pattern, text, re.IGNORECASE)
    return match.span() if match else None
