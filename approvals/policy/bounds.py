"""What follows from conditions without looking at any call: whether one implies another, and whether several contradict. Pure.

Only what is certain is said; "no" means "not certainly".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from agentdesk.digests import digest
from approvals.policy.conditions import is_reference, number_or_none, tell

ORDERED = ("<", "<=", ">", ">=")
_PATH = "value"


def implies(told: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether ``wanted`` holds wherever ``told`` does, and cannot be told at most where ``told`` cannot.

    Apart from equal conditions this is said of numbers only: what can be told of texts differs from operator to operator.
    """
    if told == wanted and digest(dict(told)) == digest(dict(wanted)):  # to Python, 1 and True are equal
        return True
    path, op, value = told.get("path"), told.get("op"), told.get("value", True)
    if path != wanted.get("path") or "*" in str(path).split(".") or wanted.get("op") not in (*ORDERED, "=", "!="):
        return False
    if not _is_number(wanted.get("value")):
        return False
    if op == "in" and isinstance(value, list):
        return bool(value) and all(_is_number(one) and _holds_for(wanted, one) for one in value)
    if not _is_number(value):
        return False
    if op == "=":
        return _holds_for(wanted, value)
    return op in ORDERED and wanted["op"] != "=" and _bound_implies(str(op), value, str(wanted["op"]), wanted["value"])


def contradiction(conditions: Sequence[Mapping[str, Any]]) -> str:
    """A path whose conditions can never hold together; empty when none is found."""
    by_path: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for condition in conditions:
        if is_reference(condition.get("value")):  # what it is compared with differs from call to call
            continue
        by_path[str(condition.get("path", ""))].append(condition)
    for path, together in by_path.items():
        if "*" not in path.split(".") and (_no_value_left(together) or _bounds_cross(together)):
            return path
    return ""


def _no_value_left(together: Sequence[Mapping[str, Any]]) -> bool:
    """One of them names all values there may be, and the others leave none of these."""
    for condition in together:
        value = condition.get("value", True)
        named = [value] if condition.get("op") == "=" else value if condition.get("op") == "in" else None
        if isinstance(named, list) and not any(all(not _fails_for(other, one) for other in together) for one in named):
            return True
    return False


def _bounds_cross(together: Sequence[Mapping[str, Any]]) -> bool:
    lower: list[tuple[Decimal, bool]] = []
    upper: list[tuple[Decimal, bool]] = []
    for condition in together:
        op, value = condition.get("op"), number_or_none(condition.get("value"))
        if value is not None and op in ORDERED:
            (lower if op in (">", ">=") else upper).append((value, op in (">", "<")))
    return any(
        low > high or (low == high and (open_below or open_above)) for low, open_below in lower for high, open_above in upper
    )


def _bound_implies(op: str, value: Any, wanted_op: str, wanted_value: Any) -> bool:
    told, wanted = number_or_none(value), number_or_none(wanted_value)
    if told is None or wanted is None:
        return False
    match wanted_op:
        case "<":
            return op in ("<", "<=") and (told < wanted or (told == wanted and op == "<"))
        case "<=":
            return op in ("<", "<=") and told <= wanted
        case ">":
            return op in (">", ">=") and (told > wanted or (told == wanted and op == ">"))
        case ">=":
            return op in (">", ">=") and told >= wanted
    outside = (wanted > told or (wanted == told and op == "<")) if op in ("<", "<=") else wanted < told
    return outside or (wanted == told and op == ">")


def _holds_for(condition: Mapping[str, Any], value: Any) -> bool:
    return tell({**condition, "path": _PATH}, {_PATH: value}, every=True).holds is True


def _fails_for(condition: Mapping[str, Any], value: Any) -> bool:
    return tell({**condition, "path": _PATH}, {_PATH: value}, every=True).holds is False


def _is_number(value: Any) -> bool:
    """A number as such: a text that spells one may be compared as a text, or as a date."""
    return not isinstance(value, str) and number_or_none(value) is not None
