"""Reading a JSON Schema as if it had no references and no null: pure, and without trust in its shape."""

import re
from collections.abc import Mapping
from typing import Any

MOST_REFS = 20

type Schema = Mapping[str, Any]
ABSENT = object()  # where there is no value at all


def plain_of(schema: Any, root: Schema) -> tuple[Schema, bool]:
    """The schema as fields are made from it: references followed, null apart."""
    plain, is_nullable = _without_null(resolved(schema, root), root)
    if "items" in plain:
        plain = {**plain, "items": resolved(plain["items"], root)}
    return plain, is_nullable


def resolved(schema: Any, root: Schema) -> Schema:
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
            return _one_of(schema, word, [resolved(option, root) for option in options])
    return schema, False


def _one_of(schema: Schema, word: str, options: list[Schema]) -> tuple[Schema, bool]:
    others = [option for option in options if option.get("type") != "null"]
    is_nullable = len(others) < len(options)
    outer = {key: item for key, item in schema.items() if key != word}
    if len(others) == 1:
        return {**others[0], **outer}, is_nullable
    if len(others) == 2 and {other.get("type") for other in others} <= {"number", "integer", "string"}:
        texts = [other for other in others if other.get("type") == "string"]
        if len(texts) == 1 and is_decimal_text(texts[0]):
            return {**outer, "type": "string", "format": "decimal"}, is_nullable
    return schema, is_nullable


def is_decimal_text(schema: Schema) -> bool:
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


def has_properties(schema: Schema) -> bool:
    properties = schema.get("properties")
    return isinstance(properties, Mapping) and bool(properties)
