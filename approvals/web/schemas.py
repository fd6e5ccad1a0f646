"""Reading a JSON Schema as a list of form fields. Pure: schema and arguments in, slots out.

What a form can show well becomes a field of its own kind; anything else becomes a field for checked JSON, so there is no
schema without a usable form. Schemas and arguments come from agents: nothing here trusts their shape.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _

DEEPEST = 2
MOST_SLOTS = 60
MOST_CHOICES = 200
MOST_REFS = 20
LONG_TEXT = 80
INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
_UNTYPEABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")  # a text control would not give them back
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

type Schema = Mapping[str, Any]
ABSENT = object()


class Control(StrEnum):
    """What a person types into."""

    TEXT = "text"
    LONG = "long"
    INTEGER = "integer"
    NUMBER = "number"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    CHOICES = "choices"
    DATE = "date"
    DATETIME = "datetime"
    EMAIL = "email"
    URI = "uri"
    LIST = "list"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Slot:
    """One field: where its value lives, what it is called, and what it holds now (``ABSENT``: nothing)."""

    path: tuple[str, ...]
    name: str
    label: str
    help: str
    control: Control
    schema: Schema
    is_required: bool
    is_nullable: bool
    original: Any


def slots_of(schema: Any, value: Any) -> list[Slot]:
    """The fields for ``value`` under ``schema``; a single one for JSON where the schema names no properties."""
    root = schema if isinstance(schema, Mapping) else {}
    plain, is_nullable = _plain(root, root)
    if _has_properties(plain) and isinstance(value, Mapping):
        found = list(_properties(plain, root, value, ()))
        if len(found) <= MOST_SLOTS:
            return _named(found)
    else:
        original = ABSENT if value is None else value
        control = _control(plain, original)
        if control:
            titles = (root.get("title"), plain.get("title"))
            label = next((title for title in titles if isinstance(title, str) and title), _("Value"))
            return [_whole("value", plain, control, label, original, is_nullable=is_nullable)]
    return [_whole("json", root, Control.JSON, _("JSON"), value)]


def schema_like(value: Any) -> Schema | None:
    """A schema for a form over an object that came without one: each entry of the kind it has now. It is a guess, good for
    showing fields; nobody's answer is refused by it alone. None where one field for JSON serves better."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        return None
    return {"type": "object", "properties": {key: _kind_of(item) for key, item in value.items()}, "required": list(value)}


def _kind_of(item: Any) -> Schema:
    if isinstance(item, bool):
        return {"type": "boolean"}
    if isinstance(item, int | float):
        return {"type": "number"}
    if isinstance(item, str):
        return {"type": "string"}
    if isinstance(item, list) and item and all(isinstance(each, str) for each in item):
        return {"type": "array", "items": {"type": "string"}}
    return {}


def _properties(schema: Schema, root: Schema, value: Any, path: tuple[str, ...]) -> Iterator[Slot]:
    required = schema.get("required")
    for key, raw in schema["properties"].items():
        here = (*path, str(key))
        original = value.get(key, ABSENT) if isinstance(value, Mapping) else ABSENT
        outer = _resolved(raw, root)
        plain, is_nullable = _plain(outer, root)
        is_object = original is ABSENT or original is None or isinstance(original, Mapping)
        if _has_properties(plain) and len(here) < DEEPEST and is_object:
            yield from _properties(plain, root, original, here)
            continue
        control = _control(plain, original) or Control.JSON
        yield _slot(
            here, plain, control, _label(here, outer, plain),
            is_required=isinstance(required, list) and key in required, is_nullable=is_nullable, original=original,
        )  # fmt: skip


def _whole(name: str, schema: Schema, control: Control, label: str, original: Any, *, is_nullable: bool = False) -> Slot:
    """The one field that holds the whole value."""
    facts = {"is_required": True, "is_nullable": is_nullable, "original": original}
    return _renamed(_slot((), schema, control, label, **facts), name)


def _slot(path: tuple[str, ...], schema: Schema, control: Control, label: str, **facts: Any) -> Slot:
    return Slot(path=path, name="", label=label, help=_help(schema), control=control, schema=schema, **facts)


def _named(found: list[Slot]) -> list[Slot]:
    """Names for the slots: dotted paths, unless a key is no plain name or two paths would read the same."""
    named, taken = [], set[str]()
    for number, slot in enumerate(found):
        name = ".".join(slot.path)
        if not all(_PLAIN_NAME.fullmatch(part) for part in slot.path) or name in taken:
            name = f"_{number}"  # no plain name starts like this
        taken.add(name)
        named.append(_renamed(slot, name))
    return named


def _renamed(slot: Slot, name: str) -> Slot:
    return Slot(
        slot.path, name, slot.label, slot.help, slot.control, slot.schema, slot.is_required, slot.is_nullable, slot.original
    )


def _plain(schema: Any, root: Schema) -> tuple[Schema, bool]:
    """The schema as fields are made from it: references followed, null apart."""
    plain, is_nullable = _without_null(_resolved(schema, root), root)
    if "items" in plain:
        plain = {**plain, "items": _resolved(plain["items"], root)}
    return plain, is_nullable


def _resolved(schema: Any, root: Schema) -> Schema:
    """``schema`` with references inside ``root`` followed; ``{}`` where they lead nowhere or in circles."""
    for _turn in range(MOST_REFS):
        if not isinstance(schema, Mapping):
            return {}
        inner: Any = None
        if "$ref" in schema:
            inner = _referred(schema["$ref"], root)
            rest = {key: item for key, item in schema.items() if key != "$ref"}
        elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            inner = schema["allOf"][0]
            rest = {key: item for key, item in schema.items() if key != "allOf"}
        else:
            return schema
        if not isinstance(inner, Mapping):
            return {}
        schema = {**inner, **rest}
    return {}


def _referred(ref: Any, root: Schema) -> Any:
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return None
    found: Any = root
    for part in ref[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def _without_null(schema: Schema, root: Schema) -> tuple[Schema, bool]:
    """The schema beside null, and whether null is allowed."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        plain = {**schema, "type": others[0]} if len(others) == 1 else {**schema, "type": others}
        return plain, len(others) < len(kinds)
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list):
            return _one_of(schema, word, [_resolved(option, root) for option in options])
    return schema, False


def _one_of(schema: Schema, word: str, options: list[Schema]) -> tuple[Schema, bool]:
    others = [option for option in options if option.get("type") != "null"]
    is_nullable = len(others) < len(options)
    outer = {key: item for key, item in schema.items() if key != word}
    if len(others) == 1:
        return {**others[0], **outer}, is_nullable
    if len(others) == 2 and {other.get("type") for other in others} <= {"number", "integer", "string"}:
        texts = [other for other in others if other.get("type") == "string"]
        if len(texts) == 1 and _is_decimal_text(texts[0]):
            return {**outer, "type": "string", "format": "decimal"}, is_nullable
    return schema, is_nullable


def _has_properties(schema: Schema) -> bool:
    properties = schema.get("properties")
    return isinstance(properties, Mapping) and bool(properties)


def _control(schema: Schema, original: Any) -> Control | None:
    """The control that can show ``original`` and give it back unchanged; None where only JSON can."""
    control = _wanted(schema)
    if control is None or original is ABSENT or original is None:
        return control
    if control == Control.TEXT and isinstance(original, str) and (len(original) > LONG_TEXT or "\n" in original):
        control = Control.LONG
    return control if _shows(control, original) else None


def _wanted(schema: Schema) -> Control | None:
    if "const" in schema:
        return Control.CHOICE if _is_scalar(schema["const"]) else None
    if "enum" in schema:
        return Control.CHOICE if _are_choices(schema["enum"]) else None
    if any(word in schema for word in ("anyOf", "oneOf", "allOf", "not", "if")):
        return None
    match schema.get("type"):
        case "string":
            return _wanted_text(schema)
        case "integer":
            return Control.INTEGER
        case "number":
            return Control.NUMBER
        case "boolean":
            return Control.BOOLEAN
        case "array":
            return _wanted_list(schema.get("items", {}), is_set=schema.get("uniqueItems") is True)
    return None


def _wanted_text(schema: Schema) -> Control:
    formats = {"date": Control.DATE, "date-time": Control.DATETIME, "email": Control.EMAIL, "uri": Control.URI}
    if _is_decimal_text(schema):
        return Control.DECIMAL
    longest = schema.get("maxLength")
    known = schema.get("format")
    if isinstance(known, str) and known in formats:
        return formats[known]
    return Control.LONG if isinstance(longest, int) and longest > 200 else Control.TEXT


def _wanted_list(items: Schema, *, is_set: bool) -> Control | None:
    if "enum" in items:
        return Control.CHOICES if is_set and _are_choices(items["enum"]) else None
    simple = not any(word in items for word in ("anyOf", "oneOf", "allOf", "not", "const"))
    return Control.LIST if simple and items.get("type") in ("string", "integer", "number") else None


def _shows(control: Control, original: Any) -> bool:
    match control:
        case Control.INTEGER:
            return _is_number(original) and INTEGER.fullmatch(str(original)) is not None
        case Control.NUMBER | Control.DECIMAL:
            return _is_number(original)
        case Control.BOOLEAN:
            return isinstance(original, bool)
        case Control.CHOICE:
            return _is_scalar(original)
        case Control.CHOICES:
            return (
                isinstance(original, list) and all(map(_is_scalar, original)) and len(set(map(repr, original))) == len(original)
            )
        case Control.LIST:
            return isinstance(original, list) and all(_is_line(item) for item in original)
        case Control.LONG:
            return isinstance(original, str) and not _UNTYPEABLE.search(original.replace("\r\n", ""))
    return isinstance(original, str) and "\n" not in original and not _UNTYPEABLE.search(original)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value))


def _are_choices(values: Any) -> bool:
    return isinstance(values, list) and 0 < len(values) <= MOST_CHOICES and all(map(_is_scalar, values))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return False
    return NUMBER.fullmatch(str(value)) is not None


def _is_line(item: Any) -> bool:
    if isinstance(item, str):
        return bool(item) and item == item.strip() and "\n" not in item and not _UNTYPEABLE.search(item)
    return _is_number(item)


def _is_decimal_text(schema: Schema) -> bool:
    """Whether a text is meant as a number: by its format, or because its pattern takes numbers and little else."""
    if schema.get("format") == "decimal":
        return True
    pattern = schema.get("pattern")
    if not isinstance(pattern, str) or len(pattern) > 200:
        return False
    try:
        takes = re.compile(pattern).search
    except (re.error, RecursionError, OverflowError):
        return False
    return bool(takes("1.50") and takes("12.00")) and not any(takes(text) for text in ("x", "a.b", "1-2", "2026-01-31", ""))


def _label(path: tuple[str, ...], outer: Schema, plain: Schema) -> str:
    titles = (outer.get("title"), plain.get("title"))
    own = next((title for title in titles if isinstance(title, str) and title), _words(path[-1]))
    return " · ".join([*map(_words, path[:-1]), own])


def _words(key: str) -> str:
    """``order_id`` as people read it; a key without a letter as it is."""
    return key.replace("_", " ").strip().capitalize() or key


def _help(schema: Schema) -> str:
    described = schema.get("description")
    texts = [described] if isinstance(described, str) and described else []
    if "default" in schema and _is_scalar(schema["default"]) and schema["default"] not in (None, ""):
        texts.append(_("Left empty: %(value)s.") % {"value": schema["default"]})
    return " ".join(texts)
