"""Where the deciding values come from, quoted: the words around each in what the run had read, looked up when it is shown, so
that it is erased with the run, and masked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentdesk import masking
from agentdesk.digests import decode
from approvals.models import Approval
from approvals.policy.origins import Found, Origins
from approvals.policy.quotes import Cut, cut, place_of, texts_in
from approvals.sources import Read, Source
from approvals.web import display
from approvals.web.display import Argument

MOST = 8  # quotes
MOST_OF_ONE = 2  # of one argument
AROUND = 8_000  # characters around a value in which secrets are looked for before it is cut
LONGEST_AT = 80  # characters of the names under which a value stands
PER_CARD = 400_000  # characters that are searched for all quotes of a card; the deciding values come first
PER_TEXT = 100  # characters that looking into one more text costs


class Room:
    """How much may still be searched. A count and no clock, so that a card is the same whoever looks at it."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, characters: int) -> bool:
        """False, and for good, when there is not so much left."""
        self._left -= characters
        return self._left >= 0


@dataclass(frozen=True, slots=True)
class Quote:
    """Of one argument: the place, as :class:`display.Source` says it, the words there, and where to read all of it. ``at``: the
    names under which a value stands that is alone there, as in a record."""

    label: str
    source: display.Source
    cut: Cut
    url: str
    at: str = ""


def quotes(approval: Approval, shown: list[Argument], source: Source | None) -> list[Quote]:
    """For the deciding arguments first, then for those from untrusted content, then for the others. No query of its own."""
    origins, args = display.origins_of(approval), decode(approval.args)
    if source is None or origins is None or not isinstance(args, Mapping):
        return []
    wanted = list(_wanted(origins, args, shown))[: 3 * MOST]
    steps = {found.step for _argument, _value, found in wanted}
    reads = source.read(approval.source_ref, steps) if steps else {}
    made: list[Quote] = []
    room = Room(PER_CARD)
    for argument, value, found in wanted:
        if len(made) < MOST and (quote := _quote(argument, value, found, reads.get(found.step), room)) and quote not in made:
            made.append(quote)
    return made


def _wanted(origins: Origins, args: Mapping[str, Any], shown: list[Argument]) -> Iterator[tuple[Argument, Any, Found]]:
    """Which values to quote from where, in the order of their weight."""
    by_path = {one.at: one for one in origins.values if one.at}

    def weight(argument: Argument) -> tuple[bool, bool]:
        kinds = {found.kind for at, one in by_path.items() if at[0] == argument.name for found in one.found}
        return not argument.is_key, "untrusted" not in kinds

    for argument in sorted((one for one in shown if one.name in args), key=weight):
        told = 0
        for at, one in by_path.items():
            if at[0] != argument.name or any(masking.is_secret(part) for part in at):  # its text would stand here as it is
                continue
            for found in one.found:
                if told < MOST_OF_ONE and found.kind != "model" and not (found.kind == "person" and not found.step):
                    told += 1
                    yield argument, found.part or _at(args, at), found


def _at(args: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(args, Mapping):
            args = args.get(part)
        elif isinstance(args, list | tuple) and part.isdecimal() and int(part) < len(args):
            args = args[int(part)]
        else:
            return None
    return args


def _quote(argument: Argument, value: Any, found: Found, read: Read | None, room: Room) -> Quote | None:
    """None where the place is erased, the value is not in it in letters, or it is a secret."""
    if read is None or value is None:
        return None
    for at, text in texts_in(read.value):
        if not room.take(len(text) + PER_TEXT):
            return None
        if any(masking.is_secret(part) for part in at) or (span := place_of(value, text)) is None:
            continue
        left, right = max(0, span[0] - AROUND), min(len(text), span[1] + AROUND)
        masked = masking.text(text[left:right])
        if (again := place_of(value, masked)) is None:
            return None
        quoted = cut(masked, again)
        is_alone = not quoted.before and not quoted.after
        return Quote(argument.label, display.source_of(found), quoted, read.url, ".".join(at)[-LONGEST_AT:] if is_alone else "")
    return None
