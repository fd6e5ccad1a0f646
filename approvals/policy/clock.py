"""Hours of the day and days of the week, for conditions. Pure: the moment and the zone are facts of the call.

``@time`` is compared with a span such as ``09:00-17:00`` (from the first minute on, up to but without the second one;
``22:00-06:00`` goes over midnight), ``@weekday`` with ``mon`` to ``sun``. Both are in the desk's time zone, or in one that is
named: ``@time.Europe/Berlin``.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01][0-9]|2[0-3]):([0-5][0-9])")


class Moment(Mapping[str, str]):
    """What the clock says, by zone; the empty name is the desk's own zone. Holds nothing where the moment is not known."""

    def __init__(self, at: dt.datetime | None, zone: str, form: str) -> None:
        self._at, self._zone, self._form = at, zone, form

    def __getitem__(self, zone: str) -> str:
        if self._at is None:
            raise KeyError(zone)
        there = self._at.astimezone(zone_of(zone or self._zone))
        return f"{there:%H:%M}" if self._form == "time" else WEEKDAYS[there.weekday()]

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._at is None else ("",))

    def __len__(self) -> int:
        return self._at is not None


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises KeyError for one that is not known."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:  # a name that is a path, or a folder
        raise KeyError(name) from error


def is_zone(name: str) -> bool:
    """Whether ``name`` is an IANA time zone."""
    try:
        zone_of(name)
    except KeyError:
        return False
    return True


def span_of(text: str) -> tuple[int, int] | None:
    """The span's minutes of the day, from and to; None for what is no span, or an empty one."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    begin, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    return None if begin == end else (begin, end)


def is_within(span: tuple[int, int], time: str) -> bool:
    """Whether ``time`` (``HH:MM``) lies in the span."""
    minute = int(time[:2]) * 60 + int(time[3:])
    begin, end = span
    return begin <= minute < end if begin < end else minute >= begin or minute < end
