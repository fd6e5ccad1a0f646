"""The conditions of a rule as rows of a form: path, operator, value. No script is needed: there are always empty rows."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from approvals.policy.conditions import problems_of_all

LABELS = {
    "=": _("is"),
    "!=": _("is not"),
    "<": _("is less than"),
    "<=": _("is at most"),
    ">": _("is more than"),
    ">=": _("is at least"),
    "in": _("is one of"),
    "domain-in": _("goes to one of the domains"),
    "contains": _("contains"),
    "starts": _("starts with"),
    "ends": _("ends with"),
    "glob": _("fits the pattern"),
    "exists": _("is given"),
    "length": _("has a length of"),
    "between": _("is between (hours of the day)"),
    "untrusted": _("comes from untrusted content"),
    "from": _("comes from (input, record, tool, untrusted, person, model)"),
}
SPARE_ROWS = 3
MOST_ROWS = 100
FACTS = [
    "@time", "@weekday", "@confidence", "@count.1h", "@count.run", "@sum.1d.amount", "@effect", "@egress", "@risk",
    "@reporter.email",
]  # fmt: skip
PLAIN_TEXT = {"contains", "starts", "ends", "glob", "length", "between", "from"}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def value_of(op: str, text: str) -> Any:
    """The value that an admin meant by ``text``: numbers and true/false as such, lists by commas, what is in double quotes
    (and all else) as text."""
    text = text.strip()
    if op in PLAIN_TEXT:
        return text
    if op in ("exists", "untrusted"):
        return {"": True, "true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if op in ("in", "domain-in"):
        with suppress(ValueError):
            if text.startswith("["):
                return json.loads(text)
        return [_scalar(part.strip()) for part in text.split(",") if part.strip()]
    return _scalar(text)


def text_of(op: str, value: Any) -> str:
    """The text that :func:`value_of` reads as ``value``."""
    if isinstance(value, list):
        text = ", ".join(_scalar_text(item) for item in value)
        return text if value_of(op, text) == value else json.dumps(value, ensure_ascii=False)
    return str(value) if op in PLAIN_TEXT else _scalar_text(value)


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        number = int(text) if "." not in text else float(text)
        if abs(number) < 2**53 and Decimal(repr(number)) == Decimal(text):
            return number
    if len(text) > 1 and text[0] == text[-1] == '"':
        with suppress(ValueError):
            return json.loads(text)
    return text


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        return value if _scalar(value) == value and value == value.strip() else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


class ConditionsWidget(forms.Widget):
    """Rows of three inputs. ``paths`` are names of arguments to suggest."""

    paths: Sequence[str] = ()

    class Media:
        css: ClassVar = {"all": ["css/admin.css"]}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = [_row(condition) for condition in value] if isinstance(value, list) else []
        rows += [_row({}) for _spare in range(SPARE_ROWS)]
        context = {"name": name, "rows": list(enumerate(rows)), "labels": LABELS.items(), "paths": self.paths}
        return SafeString(render_to_string("admin/approvals/_conditions.html", context))

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, str]]:
        """The rows as they were typed, without the empty ones."""
        rows: list[dict[str, str]] = []
        for number in range(MOST_ROWS):
            if f"{name}-{number}-path" not in data:
                break
            row = {part: str(data.get(f"{name}-{number}-{part}", "")).strip() for part in ("path", "op", "text")}
            if row["path"] or row["text"]:
                rows.append(row)
        return rows

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-0-path" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-path" if id_ else id_


class ConditionsField(forms.Field):
    """A rule's list of conditions. Every problem is told with the number of its condition."""

    widget = ConditionsWidget

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        return [{"path": row["path"], "op": row["op"], "value": value_of(row["op"], row["text"])} for row in value or []]

    def validate(self, value: Any) -> None:
        super().validate(value)
        found = problems_of_all(value)
        if found:
            raise ValidationError(found)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


def _row(condition: Mapping[str, Any]) -> dict[str, str]:
    """A row to show: of a stored condition, or as it was typed."""
    op = str(condition.get("op", "="))
    text = condition["text"] if "text" in condition else text_of(op, condition.get("value", "")) if condition else ""
    return {"path": str(condition.get("path", "")), "op": op, "text": str(text)}
