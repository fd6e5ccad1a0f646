"""The advanced field of a rule: one expression in CEL (https://cel.dev), such as ``number(args.amount) > 200``. Pure.

Names: ``args`` (the arguments), ``input`` (the run's), ``agent``, ``tool``, ``effect``, ``egress``, ``risk``,
``confidence``, ``time`` (``HH:MM``) and ``weekday`` in the desk's zone, ``count["1h"]`` and ``sum["1d.amount"]``.
``number(x)`` reads amounts that are sent as text. A fact that is not known is missing. The answer must be true or false;
anything else, and every error, is a doubt, which is read in the direction that lets less through
(:mod:`approvals.policy.conditions`).

An expression is written by an admin and fed by an agent, so its work is bounded: its length and nesting, one macro at most (and
none that builds lists), patterns only as they stand in the expression, and how much of a call it looks at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any

import cel
from django.utils.translation import gettext as _

from approvals.policy.tallies import Tally, tally_of

LONGEST = 500  # characters
DEEPEST = 12  # brackets in brackets
MOST_PATTERNS = 2
MOST_VALUES = 2000  # of arguments and input, containers counted
MOST_VALUES_FOR_MACRO = 200  # each step of a macro copies what it looks at
MOST_TEXT = 20_000  # characters of all texts
NAMES = frozenset(
    {"args", "input", "agent", "tool", "effect", "egress", "risk", "confidence", "time", "weekday", "count", "sum"}
)
MACROS = frozenset({"all", "exists", "exists_one", "filter"})
FUNCTIONS = frozenset(
    {"has", "size", "number", "matches", "contains", "startsWith", "endsWith", "string", "int", "timestamp", "duration"}
)
_INT64 = 2**63
_TOKEN = re.compile(
    r"""\s+
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.ASCII,
)


class CannotRead(Exception):
    """A value of the call has no counterpart in the language, or there is too much of it."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression made ready. ``program`` is None for one that cannot be used: it can never be told."""

    text: str
    program: Any
    names: frozenset[str]
    has_macro: bool
    tallies: tuple[Tally, ...]
    arguments: frozenset[str]

    def tell(self, given: "Given") -> bool | None:
        """Whether it holds; None where that cannot be told. Never raises."""
        if self.program is None:
            return None
        try:
            context = given.context(self)
            given.unread = False
            result = self.program.execute(context)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            return None
        return result if isinstance(result, bool) and not given.unread else None


class Given:
    """What expressions read of one call, turned into the language's values once for all rules."""

    def __init__(self, args: Mapping[str, Any], run_input: Any, facts: Mapping[str, Any], tallies: Mapping[str, Any]) -> None:
        self._args, self._input, self._facts, self._tallies = args, run_input, facts, tallies
        self._context: Any = None
        self._refused = False
        self._size = 0
        self.unread = False  # ``number`` was given what is no number

    def context(self, expression: Expression) -> Any:
        """Raises CannotRead where the call holds what the language has not, or more than ``expression`` may look at."""
        if self._refused:
            raise CannotRead
        if self._context is None:
            self._refused = True
            self._context = self._made()
            self._refused = False
        if expression.has_macro and self._size > MOST_VALUES_FOR_MACRO:
            raise CannotRead
        return self._context

    def _made(self) -> Any:
        size = _Size()
        known = {name: value for name, value in self._facts.items() if value is not None}
        found: dict[str, Any] = {**known, "args": size.plain(self._args), "count": {}, "sum": {}}
        if self._input is not None:
            found["input"] = size.plain(self._input)
        for path, value in self._tallies.items():
            kind, _dot, rest = path.partition(".")
            if value is not None:
                found[kind.removeprefix("@")][rest] = size.plain(value)
        self._size = size.values
        context = cel.Context(found)
        context.add_function("number", self._number)
        return context

    def _number(self, value: Any) -> float | None:
        # An error raised here would be logged by the engine for each call.
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str) or not _is_plain_number(value):
                raise ValueError
            number = float(value)
            if not isfinite(number):
                raise ValueError
        except (ValueError, OverflowError):
            self.unread = True
            return None
        return number


class _Size:
    """Copies values into those of the language, and counts them."""

    def __init__(self) -> None:
        self.values = self.text = 0

    def plain(self, value: Any) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            raise CannotRead
        match value:
            case None | bool():
                return value
            case str():
                self.text += len(value)
                if self.text > MOST_TEXT:
                    raise CannotRead
                value.encode()  # raises ValueError for a lone surrogate
                return value
            case int():
                return value if -_INT64 <= value < _INT64 else self._finite(value)
            case float() | Decimal():
                return self._finite(value)
            case date():
                return value.isoformat()
            case Mapping():
                self.text += sum(len(str(name)) for name in value)
                return {str(name): self.plain(item) for name, item in value.items()}
            case list() | tuple():
                return [self.plain(item) for item in value]
        raise CannotRead

    def _finite(self, value: "int | float | Decimal") -> float:
        number = float(value)
        if not isfinite(number):
            raise CannotRead
        return number


def _is_plain_number(value: Any) -> bool:
    """A text that spells a number in digits: no ``1_000``, no ``nan``, no digits of other scripts."""
    spelled = r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*"
    return not isinstance(value, str) or (len(value) <= 400 and re.fullmatch(spelled, value, re.ASCII) is not None)


@lru_cache(maxsize=1024)  # of the rules in force, once for each process
def ready(text: str, *, allows: bool = False) -> Expression:
    """``text`` compiled once for many calls; ``allows``: of a rule that allows. Never raises."""
    if problems(text, allows=allows):
        return Expression(text, None, frozenset(), False, (), frozenset())
    tokens = _tokens(text) or []
    return Expression(
        text, cel.compile(text), frozenset(_free_names(tokens)), any(_calls(tokens, MACROS)), tuple(_tallies(tokens)),
        frozenset(_arguments(tokens)),
    )  # fmt: skip


def problems(text: str, *, allows: bool = False) -> list[str]:
    """What is wrong with an expression as an admin wrote it, in words; empty when it can be used. ``allows``: in a rule that
    allows."""
    if len(text) > LONGEST:
        return [_("An expression has at most %(n)d characters.") % {"n": LONGEST}]
    tokens = _tokens(text)
    if tokens is None:
        return [_("The expression holds signs that CEL does not have, or texts of a kind that is not taken here.")]
    if _depth(tokens) > DEEPEST:
        return [_("Brackets go at most %(n)d deep.") % {"n": DEEPEST}]
    found = [*_bad_calls(tokens), *_bad_names(tokens, allows=allows)]
    if not found:
        try:
            cel.compile(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            found = [_("This is no CEL expression: %(why)s") % {"why": _first_line(error)}]
    return found


def _first_line(error: BaseException) -> str:
    """``Syntax error: …`` with its place, without the engine's repetition of the expression."""
    said = str(error).split("ERROR: <input>:", 1)[-1].split("\n", 1)[0]
    return said.removeprefix("1:")[:300]


def _tokens(text: str) -> list[Token] | None:
    """The text in tokens; None where something is none. Prefixed and triple-quoted texts and comments are none."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        part = _TOKEN.match(text, at)
        if part is None:
            return None
        at = part.end()
        if part.lastgroup:
            touches = part.start() > 0 and not text[part.start() - 1].isspace()
            if part.lastgroup == "text" and touches and found[-1].kind in ("text", "name"):
                return None  # r"…", b"…", """…"""
            found.append(Token(part.lastgroup, part[0]))
    return found


def _depth(tokens: list[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
            deepest = max(deepest, depth)
    return deepest


def _calls(tokens: list[Token], names: frozenset[str] | None = None) -> list[int]:
    """Where functions are called, by the place of their names."""
    return [
        at for at, (token, after) in enumerate(pairwise(tokens))
        if token.kind == "name" and after.text == "(" and (names is None or token.text in names) and token.text != "in"
    ]  # fmt: skip


def _bad_calls(tokens: list[Token]) -> list[str]:
    called = [tokens[at].text for at in _calls(tokens)]
    found = []
    if unknown := sorted(set(called) - MACROS - FUNCTIONS):
        known = ", ".join(sorted(FUNCTIONS | MACROS))
        found.append(_("Not taken here: %(names)s. Known are: %(known)s.") % {"names": ", ".join(unknown), "known": known})
    macros = [name for name in called if name in MACROS]
    if len(macros) > 1:
        found.append(_("At most one of all, exists, exists_one and filter."))
    patterns = [at for at in _calls(tokens) if tokens[at].text == "matches"]
    if patterns and (macros or len(patterns) > MOST_PATTERNS):
        found.append(_("At most two patterns, and none beside all, exists, exists_one or filter."))
    if any([token.kind for token in tokens[at + 2 : at + 3]] != ["text"] or tokens[at + 3 : at + 4] != [Token("sign", ")")]
           for at in patterns):  # fmt: skip
        found.append(_("The pattern of “matches” stands in the expression itself."))
    return found


def _bad_names(tokens: list[Token], *, allows: bool) -> list[str]:
    names = _free_names(tokens)
    found = []
    if unknown := sorted(names - NAMES - _bound(tokens)):
        known = ", ".join(sorted(NAMES))
        found.append(_("Unknown: %(names)s. Known are: %(known)s.") % {"names": ", ".join(unknown), "known": known})
    if _bound(tokens) & NAMES:
        found.append(_("The name of an element must be one of your own, such as x."))
    if len(_tallies(tokens)) < sum(token.kind == "name" and token.text in ("count", "sum") for token in _free(tokens)):
        found.append(_('Write count["1h"], count["run"], sum["1d.amount"]: a number of m, h or d up to 31d, or run.'))
    if allows and "confidence" in names:
        found.append(_("What an agent says of its own confidence may ask or deny, and never allow."))
    return found


def _free(tokens: list[Token]) -> list[Token]:
    """Names that are not a part of something, no function and no word of the language."""
    words = ("true", "false", "null", "in")
    return [
        token for at, token in enumerate(tokens)
        if token.kind == "name" and token.text not in words and tokens[at - 1 : at] != [Token("sign", ".")]
        and tokens[at + 1 : at + 2] != [Token("sign", "(")]
    ]  # fmt: skip


def _free_names(tokens: list[Token]) -> set[str]:
    return {token.text for token in _free(tokens)}


def _bound(tokens: list[Token]) -> set[str]:
    """The name that a macro gives to an element."""
    return {tokens[at + 2].text for at in _calls(tokens, MACROS) if tokens[at + 3 : at + 4] == [Token("sign", ",")]}


def _tallies(tokens: list[Token]) -> list[Tally]:
    found = []
    for at, token in enumerate(tokens):
        after = tokens[at + 1 : at + 4]
        is_asked = [part.text if part.kind == "sign" else part.kind for part in after] == ["[", "text", "]"]
        if token.kind == "name" and token.text in ("count", "sum") and tokens[at - 1 : at] != [Token("sign", ".")] and is_asked:
            tally = tally_of(f"@{token.text}.{after[1].text[1:-1]}")
            if tally is not None:
                found.append(tally)
    return found


def _arguments(tokens: list[Token]) -> set[str]:
    """The arguments that it names: ``args.amount``."""
    return {
        after.text for before, dot, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if before == Token("name", "args") and dot.text == "." and after.kind == "name"
    }  # fmt: skip
