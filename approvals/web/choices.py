"""Answers to pick from, read from an answer's schema; where the schema takes words too, they may be written instead."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from agentdesk.digests import encode
from approvals.models import Approval
from approvals.states import Verdict
from approvals.web import display

MOST = 30


@dataclass(frozen=True, slots=True)
class Choice:
    """``key`` is what the form posts; ``value`` what it stands for."""

    key: str
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Choices:
    """``takes_text``: other words than those to pick from are an answer too."""

    listed: list[Choice]
    takes_text: bool = False

    def read(self, picked: str, written: str) -> Any:
        """The answer that was picked, or written. Raises ValidationError for none, for both and for an unknown one."""
        if picked and written:
            raise ValidationError(_("Choose one of the answers or write your own, not both."))
        if written and self.takes_text:
            return written
        for choice in self.listed:
            if choice.key == picked:
                return choice.value
        raise ValidationError(_("Choose one of the answers.") if not picked else _("Choose one of the given values."))


def choices_of(approval: Approval) -> Choices | None:
    """What may be picked as the answer; None where the schema lists nothing."""
    schema = approval.answer_schema
    if Verdict.RESPOND not in approval.allowed or not isinstance(schema, Mapping):
        return None
    listed = _listed(schema)
    if listed:
        return Choices(listed)
    options = schema.get("anyOf")
    if not isinstance(options, list) or len(options) != 2:
        return None
    picked, written = options if _is_text(options[1]) else reversed(options)
    listed = _listed(picked)
    return Choices(listed, takes_text=True) if listed and _is_text(written) else None


def _listed(schema: Any) -> list[Choice]:
    """The choices of a schema that lists its values: an enum, a boolean, or constants with titles."""
    if not isinstance(schema, Mapping):
        return []
    if schema.get("type") == "boolean" and "enum" not in schema:
        return [Choice("true", _("Yes"), True), Choice("false", _("No"), False)]
    values, labels = _values(schema)
    if not values or len(values) > MOST:
        return []
    # Texts are their own keys, so that forms and programs that post them read well; other values go as JSON.
    plain = all(isinstance(value, str) and value for value in values)
    return [
        Choice(value if plain else json.dumps(encode(value), sort_keys=True), label or _label(value), value)
        for value, label in zip(values, labels, strict=True)
    ]


def _values(schema: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    listed = schema.get("enum")
    if isinstance(listed, list):
        return listed, [""] * len(listed)
    options = schema.get("oneOf", schema.get("anyOf"))
    if isinstance(options, list) and options and all(isinstance(each, Mapping) and "const" in each for each in options):
        return [each["const"] for each in options], [_title(each) for each in options]
    return [], []


def _title(option: Mapping[str, Any]) -> str:
    title = option.get("title")
    return title if isinstance(title, str) else ""


def _label(value: Any) -> str:
    if isinstance(value, str) and value:
        return display.answer_label(value)
    return display.as_text(value) if isinstance(value, bool | None) else json.dumps(encode(value), ensure_ascii=False)


def _is_text(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string" and "enum" not in schema
