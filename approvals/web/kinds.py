"""What a JSON Schema says of a value's type, in one or two quiet words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LONGEST_UNIT = 20  # characters
_TYPES = {
    "string": gettext_lazy("text"), "integer": gettext_lazy("whole number"), "number": gettext_lazy("number"),
    "boolean": gettext_lazy("yes or no"), "array": gettext_lazy("list"), "object": gettext_lazy("group"),
}  # fmt: skip
_FORMATS = {
    "date": gettext_lazy("date"), "date-time": gettext_lazy("date and time"), "time": gettext_lazy("time"),
    "email": gettext_lazy("e-mail address"), "uri": gettext_lazy("link"), "uuid": gettext_lazy("UUID"),
    "ipv4": gettext_lazy("IP address"), "ipv6": gettext_lazy("IP address"), "hostname": gettext_lazy("host name"),
    "duration": gettext_lazy("span of time"), "decimal": gettext_lazy("decimal number"),
}  # fmt: skip


def kind_of(schema: Any) -> str:
    """``text``, ``whole number, cents``, ``list of text``, ``one of 3``; empty where the schema does not say."""
    if not isinstance(schema, Mapping):
        return ""
    words = _plain(schema)
    unit = next((schema[key] for key in ("unit", "x-unit") if isinstance(schema.get(key), str)), "")
    return f"{words}, {unit[:LONGEST_UNIT]}" if words and unit else words or unit[:LONGEST_UNIT]


def _plain(schema: Mapping[str, Any]) -> str:
    if isinstance(schema.get("enum"), list):
        return _("one of %(n)s") % {"n": len(schema["enum"])}
    if "const" in schema:
        return _("always the same")
    for key in ("anyOf", "oneOf"):
        if isinstance(ways := schema.get(key), list):
            words = dict.fromkeys(_plain(way) for way in ways if isinstance(way, Mapping) and way.get("type") != "null")
            return _(" or ").join(word for word in words if word)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _(" or ").join(str(_TYPES[one]) for one in kind if one in _TYPES)
    if kind == "array" and (inside := kind_of(schema.get("items"))):
        return _("list of %(kind)s") % {"kind": inside}
    if kind == "string" and isinstance(form := schema.get("format"), str) and form in _FORMATS:
        return str(_FORMATS[form])
    return str(_TYPES[kind]) if isinstance(kind, str) and kind in _TYPES else ""
