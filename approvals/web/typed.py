"""What was typed into a control, read as the type of its argument. Each raises ValidationError for what cannot be read."""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from agentdesk.digests import decode
from agentdesk.figures import groups_by_point
from approvals.texts import is_deep
from approvals.web.references import ABSENT
from approvals.web.schemas import INTEGER, NUMBER, Control, Slot

_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")  # to who groups by points, a thousand and more


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


def _read_map(text: str, slot: Slot) -> dict[str, Any]:
    """A key and a value on each line. A value that was not touched stays as it was, type and all."""
    before = slot.original if isinstance(slot.original, Mapping) else {}
    kind = slot.schema["additionalProperties"]["type"]
    read = {"string": _read_text, "integer": _read_integer, "number": _read_number}[kind]
    found: dict[str, Any] = {}
    for line in (line.strip() for line in text.split("\n") if line.strip()):
        key, colon, rest = (part.strip() for part in line.partition(":"))
        if not key or not colon:
            raise ValidationError(_("Write one “key: value” on each line: %(line)s"), params={"line": line})
        if key in found:
            raise ValidationError(_("%(key)s stands there twice."), params={"key": key})
        is_same = key in before and str(before[key]) == rest
        found[key] = before[key] if is_same else read(rest, slot)
    return found


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


READERS: dict[Control, Callable[[str, Slot], Any]] = {
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
    Control.MAP: _read_map,
    Control.JSON: _read_json,
}
