"""Counts and sums over the calls of one tool by one agent, for conditions. Pure: which are wanted, and what they mean.

``@count.1h`` counts the calls of the last hour, ``@count.run`` those of the same run; ``@sum.1d.amount`` adds up an argument
over the last 24 hours. The call in question is included, so "at most 5 an hour" is ``@count.1h <= 5``. Calls count from when
they are proposed; those that were denied, refused by people, taken back or only rehearsed do not.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

LONGEST = timedelta(days=31)
EXACT = Context(prec=2000)  # Decimal's own 28 digits would round large sums
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])")


@dataclass(frozen=True, slots=True)
class Tally:
    """One count or sum. ``window``: how far back, None for the run. ``argument``: the path to add up; empty to count."""

    path: str
    window: timedelta | None
    argument: tuple[str, ...]


@lru_cache(maxsize=1024)
def tally_of(path: str) -> Tally | None:
    """What a condition's path asks for; None for one that is no count or sum, or cannot be used."""
    kind, _dot, rest = path.partition(".")
    window, *argument = rest.split(".")
    if kind not in ("@count", "@sum") or bool(argument) != (kind == "@sum") or "*" in argument or "" in argument:
        return None
    if window == "run":
        return Tally(path, None, tuple(argument))
    found = _WINDOW.fullmatch(window)
    span = int(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    return Tally(path, span, tuple(argument)) if timedelta(0) < span <= LONGEST else None


def with_this(tally: Tally, others: "int | Decimal | None", own: "Decimal | None") -> "int | Decimal | None":
    """The tally with the call in question; None where one of the values is no number."""
    if not tally.argument:
        return None if others is None else others + 1
    return None if others is None or own is None else EXACT.add(Decimal(others), own)


@dataclass(frozen=True, slots=True)
class Counted:
    """A call that counts. ``run`` is who asked and for what; ``amount`` finds the number at a path of its arguments."""

    at: datetime
    run: tuple[str, str]
    args: Mapping[str, Any]


class Series:
    """Calls of one tool by one agent in order of time, to be counted and summed many times (a replay)."""

    def __init__(self, calls: Iterable[Counted], number_at: Any) -> None:
        self._calls = sorted(calls, key=lambda call: call.at)
        self._number_at = number_at
        self._prefixes: dict[tuple[Any, ...], tuple[list[datetime], list[Decimal], list[int]]] = {}

    def before(self, tally: Tally, at: datetime, run: tuple[str, str]) -> "int | Decimal | None":
        """The count or sum over the calls before ``at``."""
        mine = run if tally.window is None else None
        times, sums, gaps = self._prefix(tally.argument, mine)
        end = bisect_left(times, at)
        begin = 0 if tally.window is None else min(bisect_right(times, at - tally.window), end)
        if not tally.argument:
            return end - begin
        return None if gaps[end] != gaps[begin] else EXACT.subtract(sums[end], sums[begin])

    def _prefix(self, argument: Sequence[str], run: tuple[str, str] | None) -> Any:
        key = (tuple(argument), run)
        if key not in self._prefixes:
            calls = [call for call in self._calls if run in (None, call.run)]
            sums, gaps = [Decimal(0)], [0]
            for call in calls:
                number = self._number_at(call.args, argument) if argument else Decimal(0)
                sums.append(EXACT.add(sums[-1], number or Decimal(0)))
                gaps.append(gaps[-1] + (number is None))
            self._prefixes[key] = ([call.at for call in calls], sums, gaps)
        return self._prefixes[key]
