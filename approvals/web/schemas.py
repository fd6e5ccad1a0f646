"""Reading a JSON Schema as a list of form fields. Pure: schema and arguments in, slots out.

What a form can show well becomes a field of its own kind; anything else becomes a field for checked JSON, so there is no
schema without a usable form. Schemas and arguments come from agents: nothing here trusts their shape.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _

from approvals.web.branches import branch_label, branch_of, branches_of, constants_of, may_branch
from approvals.web.references import ABSENT, Schema, has_properties, is_decimal_text, plain_of, resolved

DEEPEST = 2
MOST_SLOTS = 60
MOST_OF_LIST = 24  # fields for the objects of one list; longer ones are JSON
MOST_CHOICES = 200
LONG_TEXT = 80
INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
_UNTYPEABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")  # a text control would not give them back
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

type Path = tuple[str | int, ...]


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
    MAP = "map"
    ITEM = "item"  # one object of a list: kept, or taken out
    BRANCH = "branch"  # which of several forms of an object it has
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Slot:
    """One field: where its value lives, what it is called, and what it holds now (``ABSENT``: nothing)."""

    path: Path
    name: str
    label: str
    help: str
    control: Control
    schema: Schema
    is_required: bool
    is_nullable: bool
    original: Any
    branch: "Branch | None" = None


@dataclass(frozen=True, slots=True)
class Branch:
    """That a field counts only while the value at ``path`` has the form number ``index``."""

    path: Path
    index: int


def slots_of(schema: Any, value: Any) -> list[Slot]:
    """The fields for ``value`` under ``schema``; a single one for JSON where the schema names no properties."""
    root = schema if isinstance(schema, Mapping) else {}
    plain, is_nullable = plain_of(root, root)
    if has_properties(plain) and isinstance(value, Mapping):
        found = list(_properties(plain, root, value, ()))
        if len(found) <= MOST_SLOTS:
            return _named(found)
    elif (options := branches_of(plain, root)) and may_branch(options, value):
        return _named(list(_branched(plain, options, root, (), _("Value"), ABSENT if value is None else value,
                                is_required=True, is_nullable=is_nullable)))  # fmt: skip
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


def _branched(
    schema: Schema, options: list[Schema], root: Schema, path: Path, label: str, original: Any, **facts: Any
) -> Iterator[Slot]:
    """The choice, then the fields of each form; those of the forms that it has not now are empty."""
    yield _slot(path, {**schema, "options": options}, Control.BRANCH, label, original=original, **facts)
    chosen = branch_of(options, original)
    for number, option in enumerate(options):
        within = Branch(path, number)
        constants = constants_of(option)
        for key, raw in option["properties"].items():
            if key in constants:
                continue
            outer = resolved(raw, root)
            plain, is_nullable = plain_of(outer, root)
            value = original.get(key, ABSENT) if number == chosen else ABSENT
            titled = " · ".join((label, branch_label(option, number), _own_label(str(key), outer, plain)))
            yield replace(
                _slot((*path, str(key)), plain, _control(plain, value) or Control.JSON, titled, is_required=False,
                      is_nullable=is_nullable, original=value),
                branch=within,
            )  # fmt: skip


def _objects(items: Schema, root: Schema, path: Path, label: str, original: Any) -> Iterator[Slot]:
    """The fields of each object of a list, whether it stays, and those of one more, added once something is in them."""
    listed = [] if original in (ABSENT, None) else original
    for number, item in enumerate([*listed, ABSENT]):
        named = f"{label} {number + 1}" if item is not ABSENT else _("%(label)s, one more") % {"label": label}
        if item is not ABSENT:
            yield _slot((*path, number), items, Control.ITEM, named, is_required=True, is_nullable=False, original=item)
        for key, raw in items["properties"].items():
            outer = resolved(raw, root)
            plain, is_nullable = plain_of(outer, root)
            value = item.get(key, ABSENT) if isinstance(item, Mapping) else ABSENT
            yield _slot(
                (*path, number, str(key)), plain, _control(plain, value) or Control.JSON,
                f"{named} · {_own_label(str(key), outer, plain)}", original=value, is_nullable=is_nullable,
                is_required=item is not ABSENT and key in _required(items),
            )  # fmt: skip


def _lists_objects(schema: Schema, original: Any) -> bool:
    """Whether fields can show the objects of this list."""
    items = schema.get("items")
    if schema.get("type") != "array" or not isinstance(items, Mapping) or not has_properties(items):
        return False
    listed = [] if original is ABSENT or original is None else original
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        return False
    return (len(listed) + 1) * (len(items["properties"]) + 1) <= MOST_OF_LIST


def _required(schema: Schema) -> list[Any]:
    required = schema.get("required")
    return required if isinstance(required, list) else []


def _properties(schema: Schema, root: Schema, value: Any, path: Path) -> Iterator[Slot]:
    required = _required(schema)
    for key, raw in schema["properties"].items():
        here: Path = (*path, str(key))
        original = value.get(key, ABSENT) if isinstance(value, Mapping) else ABSENT
        outer = resolved(raw, root)
        plain, is_nullable = plain_of(outer, root)
        is_object = original is ABSENT or original is None or isinstance(original, Mapping)
        if has_properties(plain) and len(here) < DEEPEST and is_object:
            yield from _properties(plain, root, original, here)
            continue
        label, is_required = _label(here, outer, plain), key in required
        if _lists_objects(plain, original):
            yield from _objects(plain["items"], root, here, label, original)
            continue
        options = branches_of(plain, root)
        if options and may_branch(options, original):
            yield from _branched(plain, options, root, here, label, original, is_required=is_required, is_nullable=is_nullable)
            continue
        control = _control(plain, original) or Control.JSON
        yield _slot(
            here, plain, control, label, is_required=is_required, is_nullable=is_nullable, original=original
        )  # fmt: skip


def _whole(name: str, schema: Schema, control: Control, label: str, original: Any, *, is_nullable: bool = False) -> Slot:
    """The one field that holds the whole value."""
    facts = {"is_required": True, "is_nullable": is_nullable, "original": original}
    return _renamed(_slot((), schema, control, label, **facts), name)


def _slot(path: Path, schema: Schema, control: Control, label: str, **facts: Any) -> Slot:
    return Slot(path=path, name="", label=label, help=_help(schema), control=control, schema=schema, **facts)


def _named(found: list[Slot]) -> list[Slot]:
    """Names for the slots: dotted paths, unless a key is no plain name or two paths would read the same."""
    named, taken = [], set[str]()
    for number, slot in enumerate(found):
        parts = list(slot.path)
        if slot.branch is not None:
            parts.insert(len(slot.branch.path), slot.branch.index)
        name = ".".join(map(str, parts)) or "value"
        if not all(isinstance(part, int) or _PLAIN_NAME.fullmatch(part) for part in parts) or name in taken:
            name = f"_{number}"  # no plain name starts like this
        taken.add(name)
        named.append(_renamed(slot, name))
    return named


def _renamed(slot: Slot, name: str) -> Slot:
    return replace(slot, name=name)


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
        case "object":
            return _wanted_map(schema)
    return None


def _wanted_text(schema: Schema) -> Control:
    formats = {"date": Control.DATE, "date-time": Control.DATETIME, "email": Control.EMAIL, "uri": Control.URI}
    if is_decimal_text(schema):
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


def _wanted_map(schema: Schema) -> Control | None:
    """Lines of key and value, where any key may come and the values are of one plain kind."""
    values = schema.get("additionalProperties")
    known = ("properties", "patternProperties", "propertyNames")
    if any(schema.get(word) for word in known) or not isinstance(values, Mapping):
        return None
    is_plain = not any(word in values for word in ("anyOf", "oneOf", "allOf", "not", "const", "enum", "$ref"))
    return Control.MAP if is_plain and values.get("type") in ("string", "integer", "number") else None


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
        case Control.MAP:
            return isinstance(original, Mapping) and all(map(_is_pair, original.items()))
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


def _is_pair(pair: tuple[Any, Any]) -> bool:
    key, value = pair
    return isinstance(key, str) and ":" not in key and _is_line(key) and (value == "" or _is_line(value))


def _label(path: Path, outer: Schema, plain: Schema) -> str:
    return " · ".join([*(_words(str(part)) for part in path[:-1]), _own_label(str(path[-1]), outer, plain)])


def _own_label(key: str, outer: Schema, plain: Schema) -> str:
    titles = (outer.get("title"), plain.get("title"))
    return next((title for title in titles if isinstance(title, str) and title), _words(key))


def _words(key: str) -> str:
    """``order_id`` as people read it; a key without a letter as it is."""
    return key.replace("_", " ").strip().capitalize() or key


def _help(schema: Schema) -> str:
    described = schema.get("description")
    texts = [described] if isinstance(described, str) and described else []
    if "default" in schema and _is_scalar(schema["default"]) and schema["default"] not in (None, ""):
        texts.append(_("Left empty: %(value)s.") % {"value": schema["default"]})
    return " ".join(texts)
