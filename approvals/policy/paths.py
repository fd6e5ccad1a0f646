"""Where the path of a condition leads. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def values_at(scope: Mapping[str, Any], parts: Sequence[str]) -> list[Any]:
    """All values at a path, given as its parts; empty when it leads nowhere."""
    found: list[Any] = [scope]
    for part in parts:
        if len(found) == 1 and type(found[0]) is dict and part != "*":  # nearly always, and quicker
            found = [found[0][part]] if part in found[0] else []
        else:
            found = [item for parent in found for item in _children(parent, part)]
    return found


def _children(parent: Any, part: str) -> list[Any]:
    if isinstance(parent, Mapping):
        if part == "*":
            return list(parent.values())
        return [parent[part]] if part in parent else []
    if isinstance(parent, Sequence) and not isinstance(parent, str | bytes):
        if part == "*":
            return list(parent)
        index = int(part) if part.isascii() and part.isdigit() and len(part) < 9 else len(parent)
        return [parent[index]] if index < len(parent) else []
    return []
