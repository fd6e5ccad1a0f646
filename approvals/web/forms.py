"""Forms made from a tool's JSON Schema.

The promise: what a person does not touch comes back exactly as it was, type and all, so an untouched form gives arguments
with the same digest. Each field compares what is posted with the text it showed; only a difference is parsed.

Numbers and dates are typed as programs write them, in every language: ``1234.50`` and ``2026-01-31``. So one text means one
number wherever it is typed, and each field says so. Beside it stands what the page's language makes of the number, and while
somebody types, what is read. Where a point stands between thousands, as in German, ``1.234`` is refused rather than taken for
either of what it may mean.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html_join
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import encode
from agentdesk.figures import figure
from approvals import answers
from approvals.policy.conditions import number_or_none
from approvals.web.branches import branch_label, branch_of, constants_of
from approvals.web.references import ABSENT
from approvals.web.schemas import Branch, Control, Path, Slot, slots_of
from approvals.web.typed import READERS

UNCHANGED = object()
_CHOOSING = (Control.CHOICE, Control.CHOICES, Control.BOOLEAN, Control.BRANCH, Control.ITEM)


class ArgumentField(forms.Field):
    """One argument. Cleans to ``UNCHANGED``, ``ABSENT`` or the new value."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.choices = _choices(slot) if slot.control in _CHOOSING else []
        super().__init__(
            label=slot.label,
            help_text=format_html_join(" · ", "{}", ((part,) for part in (slot.help, _notation(slot)) if part)),
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
            case Control.ITEM:
                return ""
            case Control.BRANCH:
                chosen = branch_of(self.slot.schema["options"], original)
                return "" if chosen is None else str(chosen)
            case Control.CHOICE | Control.BOOLEAN:
                return "" if original is ABSENT or (original is None and self.slot.is_nullable) else self._key_of(original)
        if original is ABSENT or original is None:
            return ""
        if self.slot.control == Control.LIST:
            return "\n".join(map(str, self._masked(original)))
        if self.slot.control == Control.MAP:
            return "\n".join(f"{key}: {value}" for key, value in self._masked(original).items())
        masked = self._masked(original)
        return str(original if masked == original else masked)

    def _masked(self, original: Any) -> Any:
        """As it is shown: whoever leaves a secret masked leaves it as it is."""
        return masking.value(original, str(self.slot.path[-1]) if self.slot.path else "")

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
        if self.slot.control in _CHOOSING:
            return self._value_of(text)
        return READERS[self.slot.control](text, self.slot)

    def _emptied(self) -> Any:
        slot = self.slot
        if slot.is_nullable and (slot.is_required or slot.original is not ABSENT):
            return None
        if slot.control in (Control.TEXT, Control.LONG) and not slot.schema.get("minLength"):
            return ""
        if slot.control == Control.LIST and slot.is_required:
            return []
        if slot.control == Control.MAP and slot.is_required:
            return {}
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
        for name, slot in self.slots.items():
            if name in self.errors and not self._counts(slot):
                del self.errors[name]  # of a form that the value does not have
        is_touched = any(value is not UNCHANGED and self._counts(self.slots[name]) for name, value in cleaned.items())
        if self.original is ABSENT and not is_touched and not self.errors:  # there is no value at all to send
            self.add_error(next(iter(self.slots)), _("This is required."))
        if not self.errors and (is_touched or not self.original):
            self.show_problems(answers.problems(self.schema, self.cleaned_args()))
        return cleaned

    def cleaned_args(self) -> Any:
        """The typed value after :meth:`is_valid`: what was there, with what was changed. The original is left alone."""
        result = deepcopy(self.original)
        taken_out: list[Path] = []
        for slot, value in self._touched():
            if slot.control == Control.ITEM:
                taken_out.append(slot.path)
            elif slot.control == Control.BRANCH and isinstance(value, int):
                result = _put(result, slot.path, constants_of(slot.schema["options"][value]))
            else:
                result = _put(result, slot.path, value)
        for path in reversed(taken_out):  # from the last one: the places of those before it stay
            result = _put(result, path, ABSENT)
        return result

    def _touched(self) -> list[tuple[Slot, Any]]:
        """The fields that were changed and count, with their values, in order."""
        read = ((slot, self.cleaned_data.get(name, UNCHANGED)) for name, slot in self.slots.items())
        return [(slot, value) for slot, value in read if value is not UNCHANGED and self._counts(slot)]

    def _counts(self, slot: Slot) -> bool:
        """Whether the value has the form that this field belongs to."""
        if slot.branch is None:
            return True
        chooser = self.chooser_of(slot.branch)
        chosen = self.cleaned_data.get(chooser.name, UNCHANGED)
        if chosen is UNCHANGED:
            chosen = branch_of(chooser.schema["options"], chooser.original)
        return bool(chosen == slot.branch.index)

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Label, value before and value after of each changed field (``None``: not given)."""
        found = []
        for slot, value in self._touched():
            now = branch_label(slot.schema["options"][value], value) if slot.control == Control.BRANCH else value
            before, after = (None if end is ABSENT else end for end in (slot.original, now))
            found.append((slot.label, before, after))
        return found

    def chooser_of(self, branch: Branch) -> Slot:
        """The field that says which form the value has."""
        return next(each for each in self.slots.values() if each.path == branch.path and each.control == Control.BRANCH)

    def show_problems(self, problems: Mapping[str, list[str]]) -> None:
        """Put what the schema or the verb found wrong at the fields that hold it."""
        for path, texts in problems.items():
            name = self._field_at(path)
            prefix = "" if name or not path else f"{path}: "
            for text in texts:
                self.add_error(name, prefix + text)

    def _field_at(self, path: str) -> str | None:
        counting = [slot for slot in self.slots.values() if self._counts(slot)]
        holding = [slot for slot in counting if f"{path}.".startswith(".".join((*map(str, slot.path), "")))]
        return max(holding, key=lambda slot: len(slot.path)).name if holding else None


def form_for(schema: Any, initial: Any, data: Mapping[str, Any] | None = None, prefix: str = "args") -> ArgumentsForm:
    """The form for the plain value ``initial`` under ``schema``, bound to ``data`` when given.

    Fields are named by dotted path, such as ``customer.email``. Controls carry ``prefix`` before that (``args-amount``): an
    argument may have any name, and must not be taken for the verdict or the message beside it.
    """
    return ArgumentsForm(schema, initial, slots_of(schema, initial), data=data, prefix=prefix, auto_id="id_%s")


def _put(whole: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = list(whole) if isinstance(whole, list) else []
        now = _put(items[key] if key < len(items) else ABSENT, rest, value)
        items[key : key + 1] = [] if now is ABSENT else [now]
        return items
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
    if slot.control == Control.ITEM:
        return [("", _("Keep"), UNCHANGED), ("remove", _("Take out"), ABSENT)]
    if slot.control == Control.BRANCH:
        forms_of_it = [(str(number), branch_label(option, number), number) for number, option in enumerate(schema["options"])]
        can_be_empty = slot.is_nullable or not slot.is_required or slot.original is ABSENT
        return [("", "—", ABSENT), *forms_of_it] if can_be_empty else forms_of_it
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
        case Control.CHOICE | Control.BOOLEAN | Control.ITEM:
            return forms.Select(choices=choices)
        case Control.BRANCH:
            return forms.Select(choices=choices, attrs={"data-branches": slot.name})
        case Control.MAP:
            return forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": "key: value"})
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
