"""Questions in the forms that graphs write by themselves: text, ``{question, …}``, options and slots to pick from, fields.

No standard covers them; the shapes are those of LangGraph's own guides and of public graphs. Each is answered with the plainest
value: the text, true or false, the option as it was given, or an object with one entry for each field.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import Payload, Question, Schema, has
from runs.interrupts.schemas import said, shown

OPTIONS = ("options", "choices", "slots", "available_slots", "candidates")
FIELDS = ("input_fields", "fields", "slots", "inputs", "missing_slots", "missing_fields")
YES_NO = ("boolean", "bool", "confirm", "confirmation", "yes_no", "yes/no")
TYPES = {
    "str": "string", "text": "string", "textarea": "string", "int": "integer", "float": "number", "bool": "boolean",
    "checkbox": "boolean", "list": "array", "dict": "object",
}  # fmt: skip
JSON_TYPES = ("string", "integer", "number", "boolean", "array", "object")
FORMATS = ("date", "date-time", "email", "uri")
FACTS = ("title", "description", "default", "minimum", "maximum", "minLength", "maxLength", "pattern", "format", "enum")


class _Answered:
    """One question, answered with a value; a question has no way to say that nobody will answer."""

    def questions(self, payload: Payload) -> list[Question]:
        schema = self.answer_schema(payload)
        return [Question(payload.place, shown(payload.value), said(payload.value), [Verdict.RESPOND], answer_schema=schema)]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decode(decisions[0].answer)

    def answer_schema(self, payload: Payload) -> Schema:
        raise NotImplementedError

    def is_refusable(self, payload: Payload) -> bool:
        return False


class Text(_Answered):
    """A plain text asks for a plain text."""

    name = "text"

    def fits(self, payload: Payload) -> bool:
        return isinstance(payload.value, str)

    def answer_schema(self, payload: Payload) -> Schema:
        return {"type": "string"}


class Options(_Answered):
    """Pick one of a list, or several where the payload says so. An option with a ``value`` or ``id`` is answered with that."""

    name = "options"

    def fits(self, payload: Payload) -> bool:
        return isinstance(payload.value, dict) and bool(_options(payload.value))

    def answer_schema(self, payload: Payload) -> Schema:
        value = payload.value
        options = [_option(option) for option in _options(value)]
        if any(value.get(name) is True for name in ("multiple", "multi_select", "multi", "allow_multiple")):
            return {"type": "array", "items": {"enum": [each for each, _label in options]}, "uniqueItems": True}
        pick: Schema = {"oneOf": [{"const": each, "title": label} for each, label in options]}
        if any(value.get(name) is True for name in ("allow_other", "allow_custom", "allow_free_text")):
            return {"anyOf": [pick, {"type": "string", "minLength": 1}]}
        return pick


class Fields(_Answered):
    """Fields to fill in: a list of ``{name, type, …}`` or of names, or a mapping of names to types or to what is known."""

    name = "fields"

    def fits(self, payload: Payload) -> bool:
        return isinstance(payload.value, dict) and bool(_fields(payload.value))

    def answer_schema(self, payload: Payload) -> Schema:
        fields = dict(_field(name, facts) for name, facts in _fields(payload.value))
        required = [name for name, (_schema, is_required) in fields.items() if is_required]
        return {"type": "object", "properties": {name: schema for name, (schema, _) in fields.items()}, "required": required}


class YesNoOrText(_Answered):
    """``{"question": …}``: yes, no, or words, unless its ``type`` says which."""

    name = "question"

    def fits(self, payload: Payload) -> bool:
        return has(payload.value, "question") and isinstance(payload.value["question"], str)

    def answer_schema(self, payload: Payload) -> Schema:
        kind = str(payload.value.get("type") or "").lower()
        if kind in YES_NO:
            return {"type": "boolean"}
        if TYPES.get(kind, kind) in ("string", "integer", "number"):
            return {"type": TYPES.get(kind, kind)}
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 1}]}


def _options(value: Mapping[str, Any]) -> list[Any]:
    """The options to pick from: values, or mappings with a value and a label of their own."""
    for name in OPTIONS:
        found = value.get(name)
        if isinstance(found, list) and found and not any(_is_field(each) for each in found):
            return found
    return []


def _option(option: Any) -> tuple[Any, str]:
    """What an option is answered with, and what people read."""
    if not isinstance(option, Mapping):
        return option, str(option)
    label = next((str(option[name]) for name in ("label", "title", "name", "text", "description") if option.get(name)), "")
    answer = next((option[name] for name in ("value", "id", "key") if option.get(name) is not None), dict(option))
    return answer, label or str(answer)


def _fields(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names of fields with what the payload says about each."""
    for name in FIELDS:
        found = value.get(name)
        if isinstance(found, Mapping) and found:
            return [(str(key), facts) for key, facts in found.items()]
        if isinstance(found, list) and found:
            if all(_is_field(each) for each in found):
                return [(str(each["name"]), each) for each in found]
            if name not in OPTIONS and all(isinstance(each, str) for each in found):
                return [(each, {}) for each in found]
    return []


def _is_field(value: Any) -> bool:
    return has(value, "name") and any(fact in value for fact in ("type", "required", "label", "prompt"))


def _field(name: str, facts: Any) -> tuple[str, tuple[Schema, bool]]:
    """The schema of a field, and whether it must be filled in. A text that names no type is what is known so far."""
    if isinstance(facts, str):
        facts = {"type": facts} if TYPES.get(facts.lower(), facts) in (*JSON_TYPES, *FORMATS) else {"default": facts}
    if not isinstance(facts, Mapping):
        return name, ({"type": "string"}, facts is None)
    schema: Schema = {fact: facts[fact] for fact in FACTS if facts.get(fact) is not None}
    kind = str(facts.get("type") or "").lower()
    kind = TYPES.get(kind, kind)
    if kind in FORMATS:
        schema |= {"type": "string", "format": kind}
    elif kind in JSON_TYPES:
        schema["type"] = kind
    options = facts.get("options") or facts.get("choices")
    if isinstance(options, list) and options:
        schema = {**schema, "enum": [_option(option)[0] for option in options]}
    elif "type" not in schema and "enum" not in schema:
        schema["type"] = "string"
    label = facts.get("label") or facts.get("prompt")
    return name, ({**({"title": str(label)} if label else {}), **schema}, bool(facts.get("required", "default" not in facts)))
