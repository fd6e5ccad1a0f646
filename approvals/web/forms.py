"""Forms made from a tool's JSON Schema.

The promise: what a person does not touch comes back exactly as it was, type and all, so an untouched form gives arguments
with the same digest. Each field compares what is posted with the text it showed; only a difference is parsed.

Numbers and dates are typed as programs write them, in every language: ``1234.50`` and ``2026-01-31``. So one text means one
number wherever it is typed, and each field says so. Beside it stands what the page's language makes of the number, and while
somebody types, what is read. Where a point stands between thousands, as in German, ``1.234`` is refused rather than taken for
either of what it may mean.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.html import escape
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode, encode
from agentdesk.figures import figure, groups_by_point
from approvals import answers
from approvals.policy.conditions import number_or_none
from approvals.texts import is_deep
from approvals.web.schemas import ABSENT, INTEGER, NUMBER, Control, Slot, slots_of

UNCHANGED = object()
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")  # to who groups by points, a thousand and more


class ArgumentField(forms.Field):
    """One argument. Cleans to ``UNCHANGED``, ``ABSENT`` or the new value."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.choices = _choices(slot) if slot.control in (Control.CHOICE, Control.CHOICES, Control.BOOLEAN) else []
        super().__init__(
            label=slot.label,
            help_text=" ".join(part for part in (escape(slot.help), _notation(slot)) if part),  # agents write the help: escaped
            required=slot.is_required,
            initial=self.shown(),
            widget=_widget(slot, [(key, label) for key, label, _value in self.choices]),
        )

    def shown(self) -> Any:
        """The text (or, for several choices, the keys) that stands in the control before anybody types."""
        original = self.slot.original
        match self.slot.control:
            case Control.JSON:
                return "" if original is ABSENT else _json_text(self._masked(original))
            case Control.CHOICES:
                return [] if original is ABSENT or original is None else [self._key_of(item) for item in original]
            case Control.CHOICE | Control.BOOLEAN:
                return "" if original is ABSENT or (original is None and self.slot.is_nullable) else self._key_of(original)
        if original is ABSENT or original is None:
            return ""
        if self.slot.control == Control.LIST:
            return "\n".join(map(str, self._masked(original)))
        masked = self._masked(original)
        return str(original if masked == original else masked)

    def _masked(self, original: Any) -> Any:
        """As it is shown: whoever leaves a secret masked leaves it as it is."""
        return masking.value(original, self.slot.path[-1] if self.slot.path else "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        if data is None:  # not posted: not touched
            return False
        if isinstance(initial, list):
            return sorted(initial) != sorted(map(str, data))
        return _even(str(initial)) != _even(str(data))

    def clean(self, value: Any) -> Any:
        """Raises ValidationError for what cannot be read; whether the schema allows it is the form's question."""
        if not self.has_changed(self.initial, value):
            return UNCHANGED
        if self.slot.control == Control.CHOICES:
            chosen = {key: self._value_of(key) for key in value}
            return [item for key, _label, item in self.choices if key in chosen]
        text = str(value).replace("\r\n", "\n")
        if not (text if self.slot.control in (Control.TEXT, Control.LONG) else text.strip()):
            return self._emptied()
        if self.slot.control in (Control.CHOICE, Control.BOOLEAN):
            return self._value_of(text)
        return _READ[self.slot.control](text, self.slot)

    def _emptied(self) -> Any:
        slot = self.slot
        if slot.is_nullable and (slot.is_required or slot.original is not ABSENT):
            return None
        if slot.control in (Control.TEXT, Control.LONG) and not slot.schema.get("minLength"):
            return ""
        if slot.control == Control.LIST and slot.is_required:
            return []
        if slot.is_required:
            raise ValidationError(_("This is required."))
        return ABSENT

    def _key_of(self, value: Any) -> str:
        wanted = _json_text(value)
        return next((key for key, _label, known in self.choices if _json_text(known) == wanted), "")

    def _value_of(self, key: str) -> Any:
        for known, _label, value in self.choices:
            if known == key:
                return value
        raise ValidationError(_("Choose one of the given values."))


class ArgumentsForm(forms.Form):
    """A form over arguments (or any JSON value) under a schema. Make it with :func:`form_for`."""

    use_required_attribute = False

    def __init__(self, schema: Any, original: Any, slots: list[Slot], **options: Any) -> None:
        super().__init__(**options)
        self.schema = schema
        self.original = original
        self.slots = {slot.name: slot for slot in slots}
        for slot in slots:
            self.fields[slot.name] = ArgumentField(slot)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        is_touched = any(value is not UNCHANGED for value in cleaned.values())
        if self.original is ABSENT and not is_touched and not self.errors:  # there is no value at all to send
            self.add_error(next(iter(self.slots)), _("This is required."))
        if not self.errors and (is_touched or not self.original):
            self.show_problems(answers.problems(self.schema, self.cleaned_args()))
        return cleaned

    def cleaned_args(self) -> Any:
        """The typed value after :meth:`is_valid`: what was there, with what was changed. The original is left alone."""
        result = deepcopy(self.original)
        for name, slot in self.slots.items():
            value = self.cleaned_data.get(name, UNCHANGED)
            if value is not UNCHANGED:
                result = _put(result, slot.path, value)
        return result

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Label, value before and value after of each changed field (``None``: not given)."""
        found = []
        for name, slot in self.slots.items():
            value = self.cleaned_data.get(name, UNCHANGED)
            if value is not UNCHANGED:
                before, after = (None if end is ABSENT else end for end in (slot.original, value))
                found.append((slot.label, before, after))
        return found

    def show_problems(self, problems: Mapping[str, list[str]]) -> None:
        """Put what the schema or the verb found wrong at the fields that hold it."""
        for path, texts in problems.items():
            name = self._field_at(path)
            prefix = "" if name or not path else f"{path}: "
            for text in texts:
                self.add_error(name, prefix + text)

    def _field_at(self, path: str) -> str | None:
        holding = [slot for slot in self.slots.values() if f"{path}.".startswith(".".join((*slot.path, "")))]
        return max(holding, key=lambda slot: len(slot.path)).name if holding else None


def form_for(schema: Any, initial: Any, data: Mapping[str, Any] | None = None, prefix: str = "args") -> ArgumentsForm:
    """The form for the plain value ``initial`` under ``schema``, bound to ``data`` when given.

    Fields are named by dotted path, such as ``customer.email``. Controls carry ``prefix`` before that (``args-amount``): an
    argument may have any name, and must not be taken for the verdict or the message beside it.
    """
    return ArgumentsForm(schema, initial, slots_of(schema, initial), data=data, prefix=prefix, auto_id="id_%s")


def _put(whole: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    result = dict(whole) if isinstance(whole, Mapping) else {}
    if rest:
        result[key] = _put(result.get(key), rest, value)
    elif value is ABSENT:
        result.pop(key, None)
    else:
        result[key] = value
    return result


def _choices(slot: Slot) -> list[tuple[str, str, Any]]:
    """Key, label and value of each choice; an original that is none of them is one more."""
    schema = slot.schema
    if slot.control == Control.BOOLEAN:
        values: list[Any] = [True, False]
    elif slot.control == Control.CHOICES:
        values = list(schema["items"]["enum"])
    else:
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
    original = slot.original if slot.control == Control.CHOICES else [slot.original]
    for item in [] if original in (ABSENT, None) else original:
        known = {_json_text(value) for value in values}
        if item is not ABSENT and _json_text(item) not in known and not (item is None and slot.is_nullable):
            values.append(item)
    is_plain = all(isinstance(value, str) and value and value.isprintable() for value in values)
    labelled = [(value if is_plain else _json_text(value), _choice_label(value), value) for value in values]
    can_be_empty = slot.control != Control.CHOICES and (slot.is_nullable or not slot.is_required or slot.original is ABSENT)
    return [("", "—", ABSENT), *labelled] if can_be_empty else labelled


def _choice_label(value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return str(value) if isinstance(value, str) and value else _json_text(value)


def _widget(slot: Slot, choices: list[tuple[str, str]]) -> forms.Widget:
    match slot.control:
        case Control.CHOICE | Control.BOOLEAN:
            return forms.Select(choices=choices)
        case Control.CHOICES:
            return forms.CheckboxSelectMultiple(choices=choices)
        case Control.LONG:
            return forms.Textarea(attrs={"rows": 5})
        case Control.LIST:
            return forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})
        case Control.JSON:
            return forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "code"})
    # Plain text controls: the browser's own for numbers and moments change or blank what they do not like.
    modes = {Control.INTEGER: "numeric", Control.NUMBER: "decimal", Control.DECIMAL: "decimal", Control.EMAIL: "email"}
    hints = {Control.DATE: "2026-01-31", Control.DATETIME: "2026-01-31T14:00:00Z"}
    attrs = {"autocomplete": "off", "inputmode": modes.get(slot.control), "placeholder": hints.get(slot.control)}
    return forms.TextInput(attrs={name: text for name, text in attrs.items() if text})


def _json_text(value: Any) -> str:
    return json.dumps(encode(value), indent=2, ensure_ascii=True, allow_nan=False)


def _even(text: str) -> str:
    return text.replace("\r\n", "\n")


def _read_text(text: str, slot: Slot) -> str:
    if "\x00" in text:
        raise ValidationError(_("Null characters are not allowed."))
    return text


def _read_integer(text: str, slot: Slot) -> int:
    if not INTEGER.fullmatch(text.strip()):
        raise ValidationError(_("Write a whole number."))
    return int(text)


def _read_number(text: str, slot: Slot) -> Any:
    exact = _decimal(text, slot)
    if isinstance(slot.original, Decimal):
        return exact
    return int(exact) if INTEGER.fullmatch(text.strip()) else float(exact)


def _read_decimal(text: str, slot: Slot) -> Any:
    """Money stays text with the decimals it had; where a number was given before, it stays a number."""
    exact = _decimal(text, slot)
    if not isinstance(slot.original, str) and slot.original not in (ABSENT, None):
        return _read_number(text, slot)
    asked = slot.original if isinstance(slot.original, str) else ""
    places = len(asked.partition(".")[2]) if "e" not in asked.lower() else 0
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and 0 <= -exponent < places:
        return f"{exact:.{places}f}"
    return text.strip()


def _decimal(text: str, slot: Slot) -> Decimal:
    """Raises ValidationError for what is no number, and for what another reader would take for another one."""
    if not NUMBER.fullmatch(text.strip()):
        raise ValidationError(_("Write a number such as 1234.50, without separators."))
    if groups_by_point() and _GROUPED.fullmatch(text.strip()) and not _GROUPED.fullmatch(str(slot.original)):
        whole, _point, rest = text.strip().partition(".")
        told = _("%(text)s may be read in two ways. Write %(whole)s for the whole number, %(exact)s for the one with decimals.")
        raise ValidationError(told, params={"text": text.strip(), "whole": whole + rest, "exact": f"{text.strip()}0"})
    return Decimal(text.strip())


def _notation(slot: Slot) -> str:
    """How a number is typed, where a language may have it otherwise."""
    if slot.control not in (Control.NUMBER, Control.DECIMAL):
        return ""
    return _("As 1234.50: a point before the decimals, and no other sign.")


def readable(value: Any, control: Control) -> str:
    """A number of a field as the page's language writes it; empty for what is no number, and for a whole one: that may be a
    name, such as the number of an order, and only digits are taken for it."""
    number = number_or_none(value) if control in (Control.NUMBER, Control.DECIMAL) else None
    return "" if number is None else figure(number)


def _read_date(text: str, slot: Slot) -> str:
    try:
        return dt.date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValidationError(_("Write a date such as 2026-01-31.")) from None


def _read_datetime(text: str, slot: Slot) -> str:
    try:
        dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValidationError(_("Write date and time such as 2026-01-31T14:00:00Z.")) from None
    return text.strip()


def _read_email(text: str, slot: Slot) -> str:
    validate_email(text.strip())
    return text.strip()


def _read_uri(text: str, slot: Slot) -> str:
    scheme, colon, rest = text.strip().partition(":")
    if not (colon and rest and scheme.isascii() and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum()):
        raise ValidationError(_("Write an address such as https://example.com/."))
    return text.strip()


def _read_list(text: str, slot: Slot) -> list[Any]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    items = slot.schema.get("items")
    kind = items.get("type") if isinstance(items, Mapping) else "string"
    if kind == "string":
        return [_read_text(line, slot) for line in lines]
    return [_read_integer(line, slot) if kind == "integer" else _read_number(line, slot) for line in lines]


def _read_json(text: str, slot: Slot) -> Any:
    try:
        read = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        if is_deep(read):
            raise RecursionError
        return decode(read)
    except RecursionError:
        raise ValidationError(_("This JSON is nested too deeply.")) from None
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno, "what": error.msg}
        raise ValidationError(_("This is not JSON: line %(line)s, column %(column)s: %(what)s."), params=where) from None
    except (ValueError, ArithmeticError, TypeError, LookupError) as error:
        raise ValidationError(_("This is not JSON: %(what)s."), params={"what": error}) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(_("%(name)s is no JSON value") % {"name": name})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(_("a name comes twice in one object"))
    return found


_READ: dict[Control, Callable[[str, Slot], Any]] = {
    Control.TEXT: _read_text,
    Control.LONG: _read_text,
    Control.INTEGER: _read_integer,
    Control.NUMBER: _read_number,
    Control.DECIMAL: _read_decimal,
    Control.DATE: _read_date,
    Control.DATETIME: _read_datetime,
    Control.EMAIL: _read_email,
    Control.URI: _read_uri,
    Control.LIST: _read_list,
    Control.JSON: _read_json,
}
