"""What comes from outside, as the database and everybody who walks through it can hold it."""

import re
from collections.abc import Mapping
from typing import Any

DEEPEST = 100
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL refuses NUL and lone surrogates


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """``text`` with U+FFFD where the database would refuse a character."""
    return _UNSTORABLE.sub("\ufffd", text)


def is_deep(value: Any) -> bool:
    """Whether ``value`` is nested beyond what walking through it bears."""
    level = [value]
    for _depth in range(DEEPEST):
        level = [child for item in level for child in _inside(item)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []
