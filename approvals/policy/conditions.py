"""Conditions of a rule, such as ``{"path": "amount", "op": "<=", "value": 50}``. Pure.

A path leads into the arguments: ``amount``, ``customer.email``, ``lines.0.price``; ``lines.*.price`` means every entry. A path
that starts with ``@`` names a fact about the action: ``@effect``, ``@egress``, ``@risk``, ``@input.…`` for the run's input,
``@time`` and ``@weekday`` (:mod:`approvals.policy.clock`), ``@count.…`` and ``@sum.…`` (:mod:`approvals.policy.tallies`), and
``@confidence``, what the agent says of its own certainty, between 0 and 1. That is no reason to let anything through, so rules
that allow may not use it. ``@reporter.username``, ``.email`` and ``.name`` are those of whoever started the run.

A value may be one of these as well, to be compared with: ``{"path": "to", "op": "=", "value": "@input.customer.email"}``.

``untrusted`` and ``from`` look at where the values at a path came from (:mod:`approvals.policy.origins`) instead of at what
they are: ``{"path": "to", "op": "untrusted", "value": true}``, ``{"path": "id", "op": "from", "value": "record, input"}``.

A condition is true, false, or cannot be told (the argument is missing, or of another type). Every doubt is read in the
direction that lets less through: it matches for rules that ask or deny, and does not match for rules that allow.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from approvals.policy import fences, origins
from approvals.policy.clock import WEEKDAYS, is_within, is_zone, span_of
from approvals.policy.expressions import Expression, Given
from approvals.policy.paths import values_at
from approvals.policy.tallies import Tally, tally_of

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts", "ends", "glob", "exists", "length", "between",
             "domain-in", *origins.OPERATORS)  # fmt: skip
FACTS = ("@effect", "@egress", "@risk", "@input", "@time", "@weekday", "@confidence", "@count", "@sum",
         "@reporter")  # fmt: skip
REPORTER = ("username", "email", "name")
REFERENCES = ("@input.", "@reporter.")  # what a value may lead to instead
CLOCK = ("@time", "@weekday")
NUMBERS = ("@confidence", "@count", "@sum")
TALLY = "@tally"  # where the counts and sums of a call stand, by their whole paths
GIVEN = "@given"  # what expressions read
EXPRESSION = "@expression"  # the path under which an expression is told
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
}
_NO_ARGUMENTS = frozenset({*FACTS, TALLY, GIVEN, origins.ORIGINS})
LONGEST_NUMBER = 400
LONGEST_PATTERN = 200
MISSING = object()
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_LENGTH = re.compile(r"(<=|>=|!=|<|>|=)?\s*([0-9]{1,9})")
_PATH = re.compile(r"@?[^\s.]+(\.[^\s.]+)*")


class CannotTell(Exception):
    """The argument is missing, or of a type that this operator does not compare."""


# What a test may raise for a doubt.
DOUBTS = (CannotTell, ArithmeticError, ValueError, TypeError, RecursionError)


class Told(NamedTuple):
    """How one condition turned out: ``holds`` is None when it cannot be told. ``actual`` is what was found at the path."""

    path: str
    op: str
    value: Any
    actual: Any
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition made ready: checked, its path split, its value parsed. ``test`` is None for one that cannot be used."""

    path: str
    op: str
    value: Any
    parts: tuple[str, ...]
    test: Callable[[Any], bool] | None
    tally: Tally | None = None
    is_plain: bool = False  # leads to one value at most, and asks about the value itself
    refers: tuple[str, ...] = ()  # where the value stands that it is compared with

    def tell(self, scope: Mapping[str, Any], *, every: bool) -> Told:
        """Look it up in ``scope`` (the arguments, and the facts under their ``@`` names). With ``every``, all values of a
        ``*`` path must agree (for rules that allow); otherwise one is enough. Never raises."""
        test = self.test
        if test is None:
            return Told(self.path, self.op, self.value, None, None)
        if self.refers:
            other = values_at(scope, self.refers)
            test = _test(self.op, other[0]) if len(other) == 1 and _is_scalar(other[0]) else _cannot_tell
        if not self.is_plain:
            return self._tell_several(test, scope, every=every)
        item: Any = scope
        for part in self.parts:
            if type(item) is dict:  # nearly always, and quicker
                item = item.get(part)
            else:
                found = values_at(item, (part,))
                item = found[0] if found else None
            if item is None:
                return Told(self.path, self.op, self.value, None, None)
        try:
            return Told(self.path, self.op, self.value, item, test(item))
        except DOUBTS:
            return Told(self.path, self.op, self.value, item, None)

    def _tell_several(self, test: Callable[[Any], bool], scope: Mapping[str, Any], *, every: bool) -> Told:
        """The same where the path leads to any number of values, or the question is whether there is one."""
        if self.parts[0] == "*":  # every argument; a fact is none
            scope = {name: item for name, item in scope.items() if name not in _NO_ARGUMENTS}
        found = values_at(scope, self.parts)
        actual = found if "*" in self.parts else (found[0] if found else None)
        if self.op in origins.OPERATORS:
            return self._tell_origin(scope.get(origins.ORIGINS), bool(found), every=every)
        if self.op == "exists":
            present = any(item is not None for item in found)
            return Told(self.path, self.op, self.value, actual, present == bool(self.value))
        results = [_holds(test, item) for item in found if item is not None]
        if not results or len(results) != len(found):
            results.append(None)
        return Told(self.path, self.op, self.value, actual, _together(results, every=every))

    def _tell_origin(self, traced: origins.Origins | None, is_there: bool, *, every: bool) -> Told:
        """Where the values at the path came from; what was found there is not shown, but the kinds of its sources."""
        known = traced or origins.UNKNOWN
        values = known.under(self.parts) if is_there else []
        kinds = ", ".join(dict.fromkeys(found.kind for one in values for found in one.found)) or ("model" if values else None)
        results: list[bool | None] = []
        for one in values:
            if self.op == "from":
                results.append(known.is_from(one, origins.kinds_in(str(self.value))))
            else:
                told = known.is_untrusted(one)
                results.append(None if told is None else told == self.value)
        if known.left_out:  # there are more arguments than were traced, and they may be under this path
            results.append(None)
        return Told(self.path, self.op, self.value, kinds, _together(results or [None], every=every))


def tell_expression(expression: Expression, scope: Mapping[str, Any]) -> Told:
    """The advanced field of a rule, told like a condition. Never raises."""
    given = scope.get(GIVEN)
    return Told(EXPRESSION, "cel", expression.text, None, expression.tell(given) if isinstance(given, Given) else None)


def ready(condition: Any, *, allows: bool = False) -> Condition:
    """``condition`` as an admin wrote it, made ready once for many calls; ``allows``: of a rule that allows. Never raises."""
    path, op, value = (_part(condition, name) for name in ("path", "op", "value"))
    if problems(condition, allows=allows):
        return Condition(str(path), str(op), value, (), None)
    value = condition.get("value", True)
    refers = tuple(value.split(".")) if is_reference(value) and op in ORDER else ()
    test = _cannot_tell if refers else _test(op, value)
    of_value = op not in ("exists", *origins.OPERATORS)
    tally = tally_of(path)
    if tally is not None:
        return Condition(path, op, value, (TALLY, path), test, tally, is_plain=of_value)
    fact, _dot, zone = path.partition(".")
    parts = (fact, zone) if fact in CLOCK else tuple(path.split("."))
    return Condition(path, op, value, parts, test, is_plain=of_value and "*" not in parts, refers=refers)


def is_reference(value: Any) -> bool:
    """Whether a condition's value leads to another value, of the run's input or of whoever started it."""
    return isinstance(value, str) and value.startswith(REFERENCES)


def tell(condition: Any, scope: Mapping[str, Any], *, every: bool) -> Told:
    """The same for one call: see :meth:`Condition.tell`."""
    return ready(condition).tell(scope, every=every)


def problems(condition: Any, *, allows: bool = False) -> list[str]:
    """What is wrong with ``condition`` as an admin wrote it, in words; empty when it can be used. ``allows``: in a rule that
    allows."""
    if not isinstance(condition, Mapping):
        return [_("A condition has a path, an operator and a value.")]
    found = [_("Unknown part “%(name)s”.") % {"name": name} for name in condition if name not in ("path", "op", "value")]
    path, op, value = (condition.get(name) for name in ("path", "op", "value"))
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        found.append(_("The path names an argument, such as amount or customer.email."))
    elif path.startswith("@") and path.split(".")[0] not in FACTS:
        found.append(_("Unknown fact “%(path)s”. Known are: %(facts)s.") % {"path": path, "facts": ", ".join(FACTS)})
    if op not in OPERATORS:
        found.append(_("Unknown operator “%(op)s”. Known are: %(known)s.") % {"op": op, "known": " ".join(OPERATORS)})
    elif text := _bad_value(op, value) or _bad_fact(path, op, value, allows=allows):
        found.append(text)
    return found


def problems_of_all(conditions: Any, *, allows: bool = False) -> list[str]:
    """The same for the list of a rule, each with the number of its condition."""
    if not isinstance(conditions, list):
        return [_("Conditions are a list.")]
    return [
        _("Condition %(number)d: %(text)s") % {"number": number, "text": text}
        for number, condition in enumerate(conditions, 1)
        for text in problems(condition, allows=allows)
    ]


def number_of(value: Any) -> Decimal:
    """``value`` as an exact number: money may come as a string. Raises CannotTell."""
    if type(value) is str and len(value) <= LONGEST_NUMBER:
        return _number_in(value)  # nearly always, and quicker
    if isinstance(value, bool):
        raise CannotTell
    if isinstance(value, int | Decimal):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
    elif isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        number = _number_in(value)
    else:
        raise CannotTell
    if not number.is_finite():
        raise CannotTell
    return number


@lru_cache(maxsize=1024)  # one call is held against many rules
def _number_in(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text.strip()):
        raise CannotTell
    return Decimal(text.strip())


def number_or_none(value: Any) -> Decimal | None:
    """``value`` as an exact number, or None when it is none."""
    try:
        return number_of(value)
    except CannotTell:
        return None


def _part(condition: Any, name: str) -> Any:
    return condition.get(name, "") if isinstance(condition, Mapping) else ""


def _bad_value(op: str, value: Any) -> str:
    if is_reference(value) and op in ORDER:
        fact, _dot, rest = value.partition(".")
        if not _PATH.fullmatch(value) or "*" in rest.split("."):
            return _("What it is compared with is one value, such as @input.customer.email.")
        return _bad_reporter(rest) if fact == "@reporter" else ""
    match op:
        case "exists":
            return "" if isinstance(value, bool) else _("“exists” takes true or false.")
        case "in":
            fits = isinstance(value, list) and value and all(_is_scalar(item) for item in value)
            return "" if fits else _("“in” takes a list of texts or numbers.")
        case "domain-in":
            fits = isinstance(value, list) and value and all(isinstance(one, str) and _is_recipient(one) for one in value)
            return "" if fits else _("“domain-in” takes a list of domains such as example.com, or *.example.com.")
        case "untrusted":
            return "" if isinstance(value, bool) else _("“untrusted” takes true or false.")
        case "from":
            known = ", ".join(origins.KINDS)
            return _("“from” takes one or more of: %(kinds)s.") % {"kinds": known} if origins.problem("from", "", value) else ""
        case "between":
            fits = isinstance(value, str) and span_of(value) is not None
            return "" if fits else _("“between” takes a span of the day such as 09:00-17:00.")
        case "length":
            text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
            return "" if _LENGTH.fullmatch(text) else _("“length” takes a number, or a comparison such as “<= 10”.")
        case "starts" | "ends" | "contains" | "glob":
            if op == "contains" and _is_scalar(value) and value != "":
                return ""
            fits = isinstance(value, str) and 0 < len(value) <= LONGEST_PATTERN
            return "" if fits else _("“%(op)s” takes a text of at most %(n)d characters.") % {"op": op, "n": LONGEST_PATTERN}
        case "<" | "<=" | ">" | ">=":
            if _holds(_ordering(op, value), value) is None:
                return _("“%(op)s” takes a number or a date.") % {"op": op}
            return ""
    return "" if _is_scalar(value) else _("“%(op)s” takes a text, a number, true or false.") % {"op": op}


def _bad_fact(path: Any, op: str, value: Any, *, allows: bool) -> str:
    """What is wrong with a condition on one of the facts that take certain operators and values only."""
    fact, _dot, rest = str(path).partition(".")
    if op in origins.OPERATORS:
        told = _("“%(op)s” looks at an argument, not at a fact such as %(path)s.") % {"op": op, "path": path}
        return told if origins.problem(op, str(path), value) == "path" else ""
    if (fact == "@time") != (op == "between"):
        return _("“@time” and “between” go together, with a span such as 09:00-17:00.")
    if fact in CLOCK and rest and not is_zone(rest):
        return _("“%(zone)s” is no time zone. One is Europe/Berlin.") % {"zone": rest}
    if fact == "@weekday":
        days = value if isinstance(value, list) else [value]
        if op not in ("=", "!=", "in") or any(day not in WEEKDAYS for day in days):
            return _("“@weekday” is one of %(days)s.") % {"days": ", ".join(WEEKDAYS)}
    if fact == "@reporter" and (text := _bad_reporter(rest)):
        return text
    if fact in ("@count", "@sum") and tally_of(str(path)) is None:
        return _("Write @count.1h, @count.run, @sum.1d.amount: a number of m, h or d up to 31d, or run; for a sum an argument.")
    if fact in NUMBERS and (op not in ORDER or number_or_none(value) is None):
        return _("“%(path)s” is compared with a number.") % {"path": path}
    if fact == "@confidence" and rest:
        return _("“@confidence” is one number, between 0 and 1.")
    if fact == "@confidence" and allows:
        return _("What an agent says of its own confidence may ask or deny, and never allow.")
    return ""


def _bad_reporter(part: str) -> str:
    known = ", ".join(f"@reporter.{name}" for name in REPORTER)
    return "" if part in REPORTER else _("Of whoever started the run there are: %(known)s.") % {"known": known}


def _is_recipient(text: str) -> bool:
    """Whether something can be one of it: a domain, one with ``*.`` before it for all below, or an address."""
    name = text.removeprefix("*.")
    return fences.is_allowed(name, [name])


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return isinstance(value, str | int | bool | Decimal)


def _together(results: Sequence[bool | None], *, every: bool) -> bool | None:
    decisive = not every
    if decisive in results:
        return decisive
    return None if None in results else every


def _holds(test: Callable[[Any], bool], actual: Any) -> bool | None:
    try:
        return test(actual)
    except DOUBTS:
        return None


def _test(op: str, value: Any) -> Callable[[Any], bool]:
    """What an operator asks of the value that is found. It may raise whatever :func:`_holds` takes for a doubt."""
    match op:
        case "=":
            return _equality(value)
        case "!=":
            equal = _equality(value)
            return lambda actual: not equal(actual)
        case "in":
            return _membership(value)
        case "between":
            span = span_of(str(value))
            return lambda actual: span is not None and is_within(span, actual)
        case "domain-in":
            return lambda actual: _goes_to(actual, value)
        case "length":
            return lambda actual: _length(actual, str(value))
        case "contains":
            return lambda actual: _contains(actual, value)
        case "starts" | "ends" | "glob":
            return lambda actual: _text(op, actual, value)
        case "exists":
            return lambda actual: actual is not None
        case "untrusted" | "from":
            return _cannot_tell  # the value says nothing of where it came from
    return _ordering(op, value)


def _cannot_tell(_actual: Any) -> bool:
    raise CannotTell


def _equality(value: Any) -> Callable[[Any], bool]:
    number = number_or_none(value)

    def equal(actual: Any) -> bool:
        if isinstance(actual, str) and isinstance(value, str):
            return actual == value
        if number is None or isinstance(actual, bool):
            return _equal(actual, value)
        return number_of(actual) == number

    return equal


def _membership(values: Sequence[Any]) -> Callable[[Any], bool]:
    """Equal to one of them. A value of another type is simply another value when there are several to choose from; a text
    equals a number that it spells, but of two texts the letters count."""
    texts = {item for item in values if isinstance(item, str)}
    flags = {item for item in values if isinstance(item, bool)}
    numbers = {number for item in values if not isinstance(item, str) and (number := number_or_none(item)) is not None}
    spelled = numbers | {number for item in texts if (number := number_or_none(item)) is not None}

    def among(actual: Any) -> bool:
        if isinstance(actual, bool):
            return actual in flags
        if isinstance(actual, str):
            return actual in texts or (bool(numbers) and number_or_none(actual) in numbers)
        if not _is_scalar(actual):
            raise CannotTell
        return number_or_none(actual) in spelled

    return among


def _ordering(op: str, value: Any) -> Callable[[Any], bool]:
    """Both as numbers, or both as moments."""
    compare = ORDER[op]
    number = number_or_none(value)
    try:
        moment = _moment(value)
    except CannotTell:
        moment = None

    def ordered(actual: Any) -> bool:
        if number is not None:
            try:
                return compare(number_of(actual), number)
            except CannotTell:
                pass
        if moment is None:
            raise CannotTell
        return compare(_moment(actual), moment)

    return ordered


def _goes_to(actual: Any, domains: Sequence[str]) -> bool:
    """Whether a link, an address, several of them or a domain lead there. Some here and some there is a doubt, and so is what
    cannot be read with certainty."""
    if not isinstance(actual, str):
        raise CannotTell
    found = {fences.is_allowed(one, domains) if fences.is_readable(one) else None for one in fences.apart(actual)}
    if len(found) != 1 or None in found:
        raise CannotTell
    return found == {True}


def _contains(actual: Any, value: Any) -> bool:
    if isinstance(actual, list | tuple):
        return any(_equal_or_other(item, value) for item in actual)
    return _text("contains", actual, value)


def _equal(actual: Any, value: Any) -> bool:
    if isinstance(actual, bool) or isinstance(value, bool):
        if isinstance(actual, bool) and isinstance(value, bool):
            return actual == value
        raise CannotTell
    if isinstance(actual, str) and isinstance(value, str):
        return actual == value
    return number_of(actual) == number_of(value)


def _equal_or_other(actual: Any, item: Any) -> bool:
    """Equal; a value of another type is simply another value when there are several to choose from."""
    if not _is_scalar(actual):
        raise CannotTell
    try:
        return _equal(actual, item)
    except CannotTell:
        return False


def _text(op: str, actual: Any, value: Any) -> bool:
    if not isinstance(actual, str) or not isinstance(value, str):
        raise CannotTell
    match op:
        case "contains":
            return value in actual
        case "starts":
            return actual.startswith(value)
        case "ends":
            return actual.endswith(value)
    return fnmatchcase(actual, value)


def _length(actual: Any, wanted: str) -> bool:
    parsed = _LENGTH.fullmatch(wanted)
    if parsed is None or not isinstance(actual, str | list | tuple | Mapping):
        raise CannotTell
    return ORDER[parsed[1] or "="](len(actual), int(parsed[2]))


def _moment(value: Any) -> dt.datetime:
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise CannotTell from None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise CannotTell
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
