"""Where the values of a call came from: each argument is looked for in what the run could read before the model asked. Pure.

A value is found where it stands whole, or, normalised, within a text: letters by Unicode's NFKC, without invisible characters,
case and line breaks; numbers and money by their value, dates by their day, and long identifiers (an IBAN, a telephone number)
by their letters and digits alone. In a text of the model's own, its addresses, links and long numbers are looked for.

What this does not tell: a match is no proof (the same value may stand in two places by chance), and none is no proof either:
what the model translated, encoded, computed or was talked into leaves no trace in its values. So a value that is found nowhere,
in a run that has read something from outside, counts as "cannot be told", which lets nothing through.
"""

import datetime as dt
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Self

# What a run reads, most careful first. ``tool``: a result that neither the code of a registered tool nor an admin labelled;
# ``person``: a colleague's own words or change. A value that is found nowhere was written by the ``model`` alone.
KINDS = ("untrusted", "tool", "input", "record", "person", "model")
OPERATORS = ("untrusted", "from")
ORIGINS = "@origins"  # where a call's origins stand in the scope of conditions

MOST_LEAVES = 200  # values of one call that are traced
MOST_READINGS = 300  # inputs and results of one run
MOST_CHARS = 400_000  # of all of them together
MOST_VALUES = 20_000  # values inside them
MOST_FOUND = 4  # places that are told for one value
MOST_PARTS = 20  # addresses, links and numbers inside one text
LONGEST_VALUE = 20_000  # characters of one argument that are compared
SHORTEST_TEXT = 3
SHORTEST_IDENTIFIER = 8

type Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Something that the run could read. ``name`` is the tool, empty for the run's input; ``step`` the number of its call in
    the run, from 1, and 0 for the input."""

    kind: str
    value: Any
    name: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Where a value stands. ``part``: only this part of it does."""

    kind: str
    name: str = ""
    step: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Of one argument: the places where it was found, the most careful kind first."""

    at: Path
    found: tuple[Found, ...] = ()

    @property
    def kind(self) -> str:
        """The most careful kind of the places; ``model`` where there is none."""
        return self.found[0].kind if self.found else "model"


@dataclass(frozen=True, slots=True)
class Origins:
    """Of all arguments of one call. ``exposed``: the run has read something from outside, or a result that nobody vouches for.
    ``is_cut``: there was more than is looked at; ``left_out``: arguments among it, which have no origin here."""

    values: tuple[Origin, ...] = ()
    exposed: bool = True
    is_cut: bool = False
    left_out: bool = False

    def under(self, parts: Sequence[str]) -> list[Origin]:
        """The origins of the values at a path (``*``: every entry) and below it."""
        return [one for one in self.values if _is_under(one.at, parts)]

    def is_untrusted(self, one: Origin) -> bool | None:
        """Whether a value comes from untrusted content; None where it cannot be told."""
        kinds = {found.kind for found in one.found}
        if "untrusted" in kinds:
            return True
        if "tool" in kinds or self.is_cut:
            return None
        if not kinds or any(found.part for found in one.found):
            return None if self.exposed else False
        return False

    def is_from(self, one: Origin, wanted: Iterable[str]) -> bool | None:
        """Whether a value was found, whole, in a place of one of these kinds; None where it cannot be told."""
        wanted = set(wanted)
        kinds = {found.kind for found in one.found if not found.part} or {"model"}
        if wanted & kinds:
            return True if kinds != {"model"} or not self.is_cut else None
        if self.is_cut:
            return None
        return self.is_untrusted(one) if "untrusted" in wanted else False

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> "Origins":
        """The same for arguments that a person changed: what they wrote is theirs. What they moved, as into another place of a
        list, stays whose it was."""
        old = dict(leaves(before))
        known = {one.at: one for one in self.values}
        values: list[Origin] = []
        for at, value in itertools.islice(leaves(after), MOST_LEAVES + 1):
            if at in known and at in old and _same(old[at], value):
                values.append(known[at])
                continue
            before_it = [one for one in self.values if not _is_little(value) and one.at in old and _same(old[one.at], value)]
            found = sorted({place for one in before_it for place in one.found}, key=lambda place: KINDS.index(place.kind))
            values.append(Origin(at, tuple(found) if before_it else (Found("person"),)))
        left_out = self.left_out or len(values) > MOST_LEAVES
        return Origins(tuple(values[:MOST_LEAVES]), self.exposed, self.is_cut or left_out, left_out)

    def as_json(self) -> dict[str, Any]:
        values = [
            {"at": list(one.at), "found": [{name: item for name, item in asdict(place).items() if item} for place in one.found]}
            for one in self.values
        ]
        return {"values": values, "exposed": self.exposed, "is_cut": self.is_cut, "left_out": self.left_out}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises KeyError and TypeError for what :meth:`as_json` did not make."""
        values = [Origin(tuple(one["at"]), tuple(Found(**found) for found in one["found"])) for one in stored["values"]]
        is_cut = bool(stored["is_cut"])
        left_out = bool(stored.get("left_out", is_cut))  # older records do not say: it may have been arguments that were cut
        return cls(tuple(values), bool(stored["exposed"]), is_cut, left_out)


UNKNOWN = Origins(is_cut=True, left_out=True)  # nothing was traced: nothing can be told


def trace(args: Mapping[str, Any], readings: Iterable[Reading]) -> Origins:
    """The origins of ``args`` in what the run could read until now."""
    inside = list(leaves(args))
    indexes, is_cut = _indexed(readings)
    values = [Origin(at, _found(value, indexes)) for at, value in inside[:MOST_LEAVES]]
    exposed = any(index.reading.kind in ("untrusted", "tool") for index in indexes)
    left_out = len(inside) > MOST_LEAVES
    return Origins(tuple(values), exposed, is_cut or left_out, left_out)


def problem(op: str, path: str, value: Any) -> str:
    """What is wrong with a condition of :data:`OPERATORS`: ``path``, ``value`` or empty."""
    if path.startswith("@"):
        return "path"
    if op == "untrusted":
        return "" if isinstance(value, bool) else "value"
    return "" if isinstance(value, str) and kinds_in(value) and set(kinds_in(value)) <= set(KINDS) else "value"


def kinds_in(value: str) -> list[str]:
    """The kinds that the value of ``from`` names, separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


@dataclass(slots=True)
class _Index:
    """One reading, made ready for looking values up."""

    reading: Reading
    whole: set[str] = field(default_factory=set)
    text: str = ""
    squeezed: str = ""
    numbers: set[Decimal] = field(default_factory=set)  # that are a value
    said: set[Decimal] = field(default_factory=set)  # that stand in a text
    dates: set[dt.date] = field(default_factory=set)


def _indexed(readings: Iterable[Reading]) -> tuple[list[_Index], bool]:
    chars, values = 0, 0
    indexes: list[_Index] = []
    for reading in readings:
        if len(indexes) >= MOST_READINGS:
            return indexes, True
        index = _Index(reading)
        texts: list[str] = []
        indexes.append(index)
        for _at, leaf in leaves(reading.value):
            text = leaf if isinstance(leaf, str) else "" if leaf is None or isinstance(leaf, bool) else str(leaf)
            chars, values = chars + len(text), values + 1
            if chars > MOST_CHARS or values > MOST_VALUES:
                _finish(index, texts)
                return indexes, True
            _take_in(index, leaf, text, texts)
        _finish(index, texts)
    return indexes, False


def _take_in(index: _Index, leaf: Any, text: str, texts: list[str]) -> None:
    if not text:
        return
    normal = normalised(text)
    index.whole.add(normal)
    texts.append(normal)
    if (number := number_of(leaf, normal)) is not None:
        index.numbers.add(number)
    if isinstance(leaf, str):
        index.said.update(_numbers_in(normal))
        index.dates.update(_dates_in(normal))


def _finish(index: _Index, texts: list[str]) -> None:
    index.text = "\n".join(texts)
    index.squeezed = "\n".join(map(squeeze, texts))


def _found(value: Any, indexes: Sequence[_Index]) -> tuple[Found, ...]:
    if _is_little(value):
        return ()
    text = str(value)[:LONGEST_VALUE]
    wanted = _Wanted.of(value, text)
    found = [Found(one.reading.kind, one.reading.name, one.reading.step) for one in indexes if _holds(one, wanted)]
    if not found:
        parts = [(_Wanted.of(part, part), part) for part in _parts_of(text)]
        found = [
            Found(one.reading.kind, one.reading.name, one.reading.step, part)
            for one in indexes
            for wanted, part in parts
            if _holds(one, wanted)
        ]
    found.sort(key=lambda one: KINDS.index(one.kind))
    kinds = list(dict.fromkeys(one.kind for one in found))
    # Every kind is told, and of the most careful one further places.
    first = [next(one for one in found if one.kind == kind) for kind in kinds]
    return tuple([*first, *(one for one in found if one not in first)][: max(MOST_FOUND, len(first))])


def _is_little(value: Any) -> bool:
    """Too little to be looked for."""
    return value is None or isinstance(value, bool) or value == ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    normal: str
    squeezed: str
    number: Decimal | None
    date: dt.date | None

    @classmethod
    def of(cls, value: Any, text: str) -> Self:
        normal = normalised(text)
        squeezed = squeeze(normal)
        is_identifier = len(squeezed) >= SHORTEST_IDENTIFIER and any(c.isdigit() for c in squeezed)
        return cls(normal, squeezed if is_identifier else "", number_of(value, normal), date_of(normal))


def _holds(index: _Index, wanted: _Wanted) -> bool:
    if wanted.normal in index.whole:
        return True
    if wanted.number is not None:
        if wanted.number in index.numbers:
            return True
        # One digit stands in every text.
        if wanted.number in index.said and (abs(wanted.number) >= 10 or wanted.number != wanted.number.to_integral_value()):
            return True
    if wanted.date is not None and wanted.date in index.dates:
        return True
    if wanted.squeezed and wanted.squeezed in index.squeezed:
        return True
    return len(wanted.normal) >= SHORTEST_TEXT and _stands_in(wanted.normal, index.text)


def _stands_in(wanted: str, text: str) -> bool:
    """As words of their own: no letter or digit stands directly before or after."""
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        before = at == 0 or not (text[at - 1].isalnum() and wanted[0].isalnum())
        after = end == len(text) or not (text[end].isalnum() and wanted[-1].isalnum())
        if before and after:
            return True
        at = text.find(wanted, at + 1)
    return False


def normalised(text: str) -> str:
    """``text`` as it is compared: NFKC, no invisible characters, no case, every white space one blank."""
    plain = unicodedata.normalize("NFKC", text)
    if not plain.isascii():
        plain = "".join(char for char in plain if unicodedata.category(char) != "Cf")
    return " ".join(plain.casefold().split())


def squeeze(text: str) -> str:
    """Letters and digits alone: by them long identifiers are compared."""
    return "".join(char for char in text if char.isalnum())


_EMAIL = re.compile(r"[^\s<>()\[\],;:\"'@]{1,64}@[^\s<>()\[\],;:\"'@]{3,255}")
_LINK = re.compile(r"(?:https?|ftp)://[^\s<>\"')\]]{3,2000}", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"(?<!\w)(?:[A-Za-z]{2}[0-9]{2}|[0-9])[0-9 ./-]{4,40}[0-9](?!\w)")


def _parts_of(text: str) -> list[str]:
    """What identifies somebody or something within a text."""
    found = [match.strip(".,;") for pattern in (_EMAIL, _LINK, _LONG_NUMBER) for match in pattern.findall(text)]
    return [part for part in dict.fromkeys(found) if part != text][:MOST_PARTS]


_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:[ .,'’]\d{3}){1,5}(?:[.,]\d{1,4})?(?!\w)")
_PLAIN = re.compile(r"(?<![\w.,])\d{1,30}(?:[.,]\d{1,10})?(?!\w)")
_MONEY = re.compile(r"(?:[a-z]{3} ?|[€$£¥] ?)?([-+]?[0-9][0-9 .,'’]{0,40})(?: ?[a-z]{3}| ?[€$£¥])?")


def number_of(value: Any, normal: str) -> Decimal | None:
    """The exact number that a value is or spells, with its currency or without."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        try:
            number = Decimal(str(value))
        except (InvalidOperation, ValueError):
            return None
        return number if number.is_finite() else None
    match = _MONEY.fullmatch(normal) if len(normal) <= 60 else None
    return readings_of(match[1])[0] if match and readings_of(match[1]) else None


def _numbers_in(text: str) -> Iterator[Decimal]:
    for match in numerals_in(text):
        yield from readings_of(match[0])


def numerals_in(text: str) -> Iterator[re.Match[str]]:
    """The places of a text where a number stands, grouped ones first."""
    for pattern in (_GROUPED, _PLAIN):
        yield from pattern.finditer(text)


def readings_of(text: str) -> list[Decimal]:
    """What a number as people write it may mean: ``1.860,00``, ``1,860.00`` and ``1 860`` each one thing, ``1.860`` two."""
    bare = re.sub(r"[ '’]", "", text.strip())
    marks = [char for char in bare if char in ".,"]
    if len(set(marks)) == 2:
        last = marks[-1]
        candidates = [bare.replace("," if last == "." else ".", "").replace(last, ".")]
    elif len(marks) == 1:
        decimal, grouped = bare.replace(",", "."), bare.replace(marks[0], "")
        candidates = [decimal, grouped] if len(bare.rpartition(marks[0])[2]) == 3 else [decimal]
    else:
        candidates = [bare.replace(".", "").replace(",", "")]
    found = []
    for candidate in candidates:
        try:
            found.append(Decimal(candidate))
        except InvalidOperation:
            continue
    return found


_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"), 1)
    for name in names.split()
}  # fmt: skip
_ISO = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_NUMERIC = re.compile(r"(?<!\d)(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?!\d)")
_DAY_FIRST = re.compile(r"(?<!\w)(\d{1,2})(?:st|nd|rd|th|\.)? ([a-z]{3,9})\.?,? (\d{4})(?!\d)")
_MONTH_FIRST = re.compile(r"(?<!\w)([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})(?!\d)")


def _dates_in(text: str) -> Iterator[dt.date]:
    for year, month, day in _ISO.findall(text):
        yield from _date(year, month, day)
    for one, other, year in _NUMERIC.findall(text):  # the day first, or the month
        yield from _date(year, other, one)
        yield from _date(year, one, other)
    for day, name, year in _DAY_FIRST.findall(text):
        yield from _date(year, _MONTHS.get(name, 0), day)
    for name, day, year in _MONTH_FIRST.findall(text):
        yield from _date(year, _MONTHS.get(name, 0), day)


def date_of(text: str) -> dt.date | None:
    """The day that a value is, where it is nothing else."""
    return next(iter(_dates_in(text)), None) if 8 <= len(text) <= 32 else None


def _date(year: Any, month: Any, day: Any) -> Iterator[dt.date]:
    try:
        yield dt.date(int(year), int(month), int(day))
    except ValueError:
        return


def leaves(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The scalar values inside ``value`` by their paths. A mapping's own keys are told by the paths, and not looked for."""
    pending: list[tuple[Path, Any]] = [(at, value)]
    while pending:
        path, item = pending.pop()
        if isinstance(item, Mapping):
            pending += [((*path, str(key)), child) for key, child in reversed(list(item.items()))]
        elif isinstance(item, list | tuple):
            pending += [((*path, str(number)), child) for number, child in reversed(list(enumerate(item)))]
        else:
            yield path, item


def _is_under(at: Path, parts: Sequence[str]) -> bool:
    return len(at) >= len(parts) and all(part in ("*", own) for part, own in zip(parts, at, strict=False))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
