"""The inbox's search: ``risk:high tool:refund arg.amount>200 waiting>1h 48213``, read into conditions.

Bare words, tools, agents and arguments are looked for in the facets of an approval (``approvals.models.Facet``): a bare word is
how a tool, an agent or an argument begins.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Self

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from approvals.models import Facet
from approvals.policy.conditions import number_or_none
from approvals.states import Risk

LONGEST = 200  # characters of a search that are read
MOST = 12  # terms
NAMES = ("risk", "tool", "agent", "team", "waiting", "left", "arg.")

_TERM = re.compile(r'(?:[^\s"]|"[^"]*")+|"')
_NAMED = re.compile(r"(arg\.[^\s:<>=!\"]+|[a-z][a-z_]*)(!=|>=|<=|[:=<>])(.*)", re.DOTALL)
_SPAN = re.compile(r"([0-9]{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COMPARE = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


class Mistake(ValueError):
    """A term that cannot be read; the message says what is wrong, in words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing that an approval has to have among its facets. ``path`` is empty for any."""

    path: str
    condition: Q

    def facets(self, **facts: object) -> QuerySet[Facet]:
        """The facets that fit, those of ``facts`` only, such as ``team`` and ``waits``."""
        found = Facet.objects.filter(self.condition, **facts)
        return found.filter(path=self.path) if self.path else found

    def holds(self) -> Exists:
        """As a condition on one approval. The slice keeps the database from turning it into a join: where it is used, it is
        right to look at approvals in their order and ask this of each."""
        return Exists(self.facets(approval=OuterRef("pk"))[:1])


@dataclass(frozen=True, slots=True)
class Term:
    """One term as it was typed, for the label that takes it away."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What the reader typed, taken apart. With ``mistakes`` nothing is listed: half a search would mislead."""

    text: str = ""
    terms: tuple[Term, ...] = ()
    risk: str = ""
    team: str = ""
    plain: Q = field(default_factory=Q)
    wanted: tuple[Wanted, ...] = ()
    mistakes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Never fails: what is wrong with a term is in ``mistakes``."""
        text = " ".join(text.replace("\x00", "").split())
        is_too_long, text = len(text) > LONGEST, text[:LONGEST]
        typed = _TERM.findall(text)
        terms = tuple(Term(term, " ".join([*typed[:at], *typed[at + 1 :]])) for at, term in enumerate(typed))
        reading = _Reading()
        if is_too_long:  # half a term may say something else than the whole one
            reading.mistakes.append(_("At most %(most)d characters.") % {"most": LONGEST})
        if len(typed) > MOST:
            reading.mistakes.append(_("At most %(most)d terms.") % {"most": MOST})
        for term in typed[:MOST]:
            try:
                reading.read(term)
            except Mistake as mistake:
                reading.mistakes.append(str(mistake))
        return cls(text, terms, reading.risk, reading.team, reading.plain, tuple(reading.wanted), tuple(reading.mistakes))

    def __bool__(self) -> bool:
        return bool(self.text)


class _Reading:
    """What the terms so far came to."""

    def __init__(self) -> None:
        self.risk = ""
        self.team = ""
        self.plain = Q()
        self.wanted: list[Wanted] = []
        self.mistakes: list[str] = []

    def read(self, term: str) -> None:
        if term.count('"') % 2:
            raise Mistake(_("A quotation mark is open: %(term)s") % {"term": term})
        named = None if term.startswith('"') else _NAMED.fullmatch(term)
        if named is None:
            self.wanted.append(Wanted("", _begins(_bare(term))))
            return
        name, operator, value = named[1], named[2], _bare(named[3])
        if not value:
            raise Mistake(_("“%(term)s” lacks a value.") % {"term": term})
        if name.startswith("arg."):
            self.wanted.append(_argument(name.removeprefix("arg."), operator, value))
            return
        reader = _READERS.get(name)
        if reader is None:
            raise Mistake(
                _("There is no filter “%(name)s”. Known are %(known)s. Put a text with such a mark in quotation marks.")
                % {"name": name, "known": ", ".join(NAMES)}
            )
        reader(self, operator, value)

    def of_risk(self, operator: str, value: str) -> None:
        _only(operator, ":=", "risk:high")
        if value not in Risk.values:
            raise Mistake(_("“risk” is one of %(values)s.") % {"values": ", ".join(Risk.values)})
        if self.risk not in ("", value):
            raise Mistake(_("“risk” can be asked for once."))
        self.risk = value

    def of_team(self, operator: str, value: str) -> None:
        _only(operator, ":=", "team:support")
        self.team = value

    def of_tool(self, operator: str, value: str) -> None:
        _only(operator, ":=", "tool:refund")
        self.wanted.append(Wanted("@tool", _begins(value)))

    def of_agent(self, operator: str, value: str) -> None:
        _only(operator, ":=", "agent:support")
        self.wanted.append(Wanted("@agent", _begins(value)))

    def of_waiting(self, operator: str, value: str) -> None:
        since = timezone.now() - _span("waiting>1h", operator, value)
        self.plain &= Q(requested_at__lt=since) if operator.startswith(">") else Q(requested_at__gt=since)

    def of_left(self, operator: str, value: str) -> None:
        until = timezone.now() + _span("left<30m", operator, value)
        self.plain &= Q(expires_at__gt=until) if operator.startswith(">") else Q(expires_at__lt=until)


_READERS: Mapping[str, Callable[[_Reading, str, str], None]] = {
    "risk": _Reading.of_risk, "team": _Reading.of_team, "tool": _Reading.of_tool, "agent": _Reading.of_agent,
    "waiting": _Reading.of_waiting, "left": _Reading.of_left,
}  # fmt: skip


def _bare(value: str) -> str:
    return value.replace('"', "").strip()


def _only(operator: str, allowed: str, example: str) -> None:
    if operator not in allowed:
        raise Mistake(_("Write it like %(example)s.") % {"example": example})


def _span(example: str, operator: str, value: str) -> timedelta:
    parsed = _SPAN.fullmatch(value)
    if operator not in _COMPARE or parsed is None:
        raise Mistake(_("Write it like %(example)s: a number of m, h or d.") % {"example": example})
    return timedelta(**{_UNITS[parsed[2]]: int(parsed[1])})


def _begins(value: str) -> Q:
    return Q(text__startswith=value.lower()[:100])


def _argument(path: str, operator: str, value: str) -> Wanted:
    number: Decimal | None = number_or_none(value)
    if operator in _COMPARE:
        if number is None:
            raise Mistake(_("“arg.%(path)s%(op)s” takes a number.") % {"path": path, "op": operator})
        return Wanted(path, Q(**{f"number__{_COMPARE[operator]}": number}))
    if operator == ":":
        return Wanted(path, _begins(value))
    same = Q(text=value.lower()[:100]) if number is None else Q(number=number)
    return Wanted(path, same if operator == "=" else ~same)
