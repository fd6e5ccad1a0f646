"""An object that may have one of several forms (``oneOf``): what people call them, and which one it has. Pure."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from approvals.web.references import ABSENT, Schema, has_properties, resolved

MOST_BRANCHES = 6


def branches_of(schema: Schema, root: Schema) -> list[Schema]:
    """The forms that an object may have, null apart; none where the schema is no choice among objects."""
    for word in ("oneOf", "anyOf"):
        options = schema.get(word)
        if not isinstance(options, list) or has_properties(schema):
            continue
        plain = [option for option in (resolved(each, root) for each in options) if option.get("type") != "null"]
        if 2 <= len(plain) <= MOST_BRANCHES and all(map(has_properties, plain)):
            return plain
    return []


def branch_of(options: list[Schema], value: Any) -> int | None:
    """The number of the form that ``value`` has: that whose constants and names are its own."""
    if not isinstance(value, Mapping):
        return None
    fitting = (number for number, option in enumerate(options) if _fits(option, value))
    return next(fitting, None)


def constants_of(option: Schema) -> dict[str, Any]:
    """What is the same in each object of this form, such as the name of its kind."""
    return {key: each["const"] for key, each in option["properties"].items() if isinstance(each, Mapping) and "const" in each}


def branch_label(option: Schema, number: int) -> str:
    """What people choose it by."""
    title = option.get("title")
    if isinstance(title, str) and title:
        return title
    constants = ", ".join(str(value) for value in constants_of(option).values() if isinstance(value, str))
    return constants or _("Form %(n)d") % {"n": number + 1}


def may_branch(options: list[Schema], value: Any) -> bool:
    """Whether fields can show ``value``: it is one of these forms, or nothing yet."""
    return value is ABSENT or value is None or branch_of(options, value) is not None


def _fits(option: Schema, value: Mapping[Any, Any]) -> bool:
    names = option["properties"]
    required = option.get("required")
    needed = required if isinstance(required, list) else []
    is_same = all(key in value and value[key] == const for key, const in constants_of(option).items())
    return is_same and all(key in value for key in needed) and all(key in names for key in value)
