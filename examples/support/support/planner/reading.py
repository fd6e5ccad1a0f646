"""What a ticket says: who writes, what they want, about which order, for how much."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from langchain_core.messages import BaseMessage, HumanMessage


class Wish(StrEnum):
    """What the sender wants."""

    DOUBLE_CHARGE = "double charge"
    CANCEL = "cancel"
    ADDRESS = "address"
    FAULTY = "faulty"
    POLICY = "policy"
    STATUS = "status"
    REFUND = "refund"
    THANKS = "thanks"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Case:
    """A ticket, read. Everything in it is the sender's word; `asked` is an amount they name for themselves."""

    ticket_id: str
    name: str
    email: str
    received_on: date | None
    subject: str
    body: str
    wish: Wish
    hostile: bool
    threat: bool
    order_ids: tuple[str, ...]
    asked: Decimal | None

    @property
    def text(self) -> str:
        return f"{self.subject}\n{self.body}"


_HOSTILE = re.compile(r"\b(idiots?|thieves|scammers?|crooks|pathetic|morons?|stupid|liars?)\b", re.I)
_THREAT = re.compile(r"\b(lawyer|attorney|sue|court|press|police)\b", re.I)

# The first pattern that matches names the wish: specific wishes stand before those whose words they share.
_WISHES = [
    (
        Wish.DOUBLE_CHARGE,
        r"(charged?|billed|paid|debited)\W+(me\W+)?(twice|double|two times)|(double|duplicate)\W+charge",
    ),
    (Wish.CANCEL, r"\bcancel"),
    (Wish.ADDRESS, r"\b(change|new|update|correct|different|another)\b[^.?!]{0,40}\baddress"),
    (
        Wish.FAULTY,
        r"\b(damaged|broken|crack\w+|faulty|defective|leaks|leaked|missing|stain\w*|never worked|wrong (item|colou?r|size)"
        r"|not what i ordered)\b",
    ),
    (Wish.POLICY, r"\b(how long do i have|do you (ship|sell|offer|deliver)|what warranty)\b"),
    (Wish.STATUS, r"\b(where is|when will|shipped yet|tracking)\b"),
    (Wish.REFUND, r"\b(refund\w*|money back|compensation)\b"),
    (Wish.THANKS, r"\bthank(s| you) for\b"),
]

_NUMBERS = r"#?\d{5,8}(?:(?:\s*,\s*|\s+and\s+|\s*&\s*)#?\d{5,8})*"
_ORDERS = re.compile(rf"\borders?\b(?:\s+(?:number|no\.?))?[\s:(]*({_NUMBERS})|(#\d{{5,8}})|^\s*(\d{{5,8}})\s*$", re.I | re.M)

_CURRENCY = r"(?:CHF|DKK|EUR|GBP|JPY|NOK|PLN|SEK|USD|[€$£¥])"
_FIGURE = r"\d(?:[\d.,]*\d)?"
_AMOUNT = re.compile(rf"{_CURRENCY}\s?(?P<after>{_FIGURE})|(?P<before>{_FIGURE})\s?{_CURRENCY}", re.I)
_ASKING = re.compile(r"\b(refund|give|pay|send|credit|want|offer)\b", re.I)
_EVERYTHING = re.compile(r"\b(full refund|in full|everything|(whole|entire|complete) order)\b", re.I)
_STATING = re.compile(r"\b(paid|costs?|charged|price|worth|of)\W*$", re.I)
_OFFERING = re.compile(r"\b(only|instead|at most|no more than|offer|partial|refund|up to)\b", re.I)

_ADDRESS_BLOCK = re.compile(r"\baddress\b[^:\n]{0,40}:\s*(?P<text>.+)", re.I | re.S)
_ADDRESS_LINE = re.compile(r"((?:[^,\n]+?,){2,}?\s*[^.,\n]+)(?:[.\n]|$)")

_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_SHARE = re.compile(r"\b(?P<count>one|two|three|four|five|six|\d+) of (?:the|my)\b(?P<rest>[^.,;!?]*)", re.I)

# Words that say nothing about a thing or a topic.
_SMALL_WORDS = frozenset(
    """all and any are back before can does for from has have how its long may not order orders our per please something
    that the them they this until was what when with you your after""".split()  # noqa: SIM905 -- one literal reads better
)


def read_case(messages: Sequence[BaseMessage]) -> Case:
    """Read the newest message of a person; what its header leaves out is taken from the first."""
    texts = [str(message.text) for message in messages if isinstance(message, HumanMessage)] or [""]
    head, body = _split(texts[-1])
    if "from" not in head:
        head, body = {**_split(texts[0])[0], **head}, texts[-1]
    sender = re.fullmatch(r"\s*(?P<name>[^<]*?)\s*<?(?P<email>[^<>\s]+@[^<>\s]+)>?\s*", head.get("from", ""))
    text = f"{head.get('subject', '')}\n{body}"
    return Case(
        ticket_id=head.get("ticket", ""),
        name=sender["name"] if sender else "",
        email=sender["email"] if sender else "",
        received_on=_day(head.get("date", "")),
        subject=head.get("subject", ""),
        body=body.strip(),
        wish=_wish(text),
        hostile=bool(_HOSTILE.search(text)),
        threat=bool(_THREAT.search(text)),
        order_ids=_order_ids(text),
        asked=_asked(body),
    )


def amounts(text: str) -> list[Decimal]:
    """All amounts of money named in the text."""
    return [_decimal(found["after"] or found["before"]) for found in _AMOUNT.finditer(text)]


def offered_amount(text: str) -> Decimal | None:
    """The amount that a refusal names as the right one, with or without a currency."""
    if not _OFFERING.search(text):
        return None
    named = amounts(text) or [_decimal(figure) for figure in re.findall(r"\b\d+[.,]\d{2}\b", text)]
    return named[0] if len(named) == 1 else None


def wants_everything(case: Case) -> bool:
    """Whether the sender wants all their money back, whatever items they name."""
    return bool(_EVERYTHING.search(case.text))


def days_before(case: Case, day: date | None) -> int | None:
    """Days from `day` to the ticket; None when either is not known."""
    return (case.received_on - day).days if case.received_on and day else None


def named_titles(text: str, titles: Sequence[str]) -> list[str]:
    """Those titles that the text names best; empty when it names none."""
    words = _stems(text)
    scores = {title: len(_stems(title) & words) / len(_stems(title)) for title in titles}
    # The last word of a title says what the thing is; the others only tell it from its like.
    named = {title: score for title, score in scores.items() if _stems(title.split()[-1]) & words}
    return [title for title, score in named.items() if score == max(named.values()) or score == 1]


def share_of(text: str, title: str) -> int | None:
    """How many of an item are meant, as in "two of the six mugs"; None when the text does not say."""
    for found in _SHARE.finditer(text):
        if _stems(title.split()[-1]) & _stems(found["rest"]):
            count = found["count"].lower()
            return _COUNTS.get(count) or int(count)
    return None


def new_address(case: Case, recipient: str) -> dict[str, str] | None:
    """The address that the ticket gives, in parts; None when it gives none that can be read with certainty."""
    found = _ADDRESS_BLOCK.search(case.body)
    if not found:
        return None
    block = found["text"].split("\n\n")[0].strip()
    line = _ADDRESS_LINE.match(block)
    parts = [part.strip(" .") for part in (line[1].split(",") if line else block.splitlines()) if part.strip(" .")]
    if len(parts) > 3 and not re.search(r"\d", parts[0]):
        recipient, *parts = parts
    if len(parts) == 4:
        street, city, postal_code, country = parts
    elif len(parts) == 3 and (place := _place(parts[1])):
        street, country = parts[0], parts[2]
        postal_code, city = place
    else:
        return None
    return {"recipient": recipient, "street": street, "postal_code": postal_code, "city": city, "country": country}


def best_rule(case: Case, rules: dict[str, str]) -> str | None:
    """The topic of the shop rule that shares most words with the ticket."""
    words = _stems(case.text)
    scores = {topic: 2 * len(_stems(topic) & words) + len(_stems(rule) & words) for topic, rule in rules.items()}
    best = max(scores, key=scores.__getitem__, default=None)
    return best if best and scores[best] >= 2 else None


def _split(text: str) -> tuple[dict[str, str], str]:
    head, _, body = text.partition("\n\n")
    fields = dict(re.findall(r"^(Ticket|From|Date|Subject):[ \t]*(.*)$", head, re.M))
    return ({key.lower(): value.strip() for key, value in fields.items()}, body) if "From" in fields else ({}, text)


def _wish(text: str) -> Wish:
    return next((wish for wish, pattern in _WISHES if re.search(pattern, text, re.I)), Wish.UNKNOWN)


def _order_ids(text: str) -> tuple[str, ...]:
    found = [number for groups in _ORDERS.findall(text) for number in re.findall(r"\d{5,8}", " ".join(groups))]
    return tuple(dict.fromkeys(found))


def _asked(body: str) -> Decimal | None:
    for found in _AMOUNT.finditer(body):
        sentence = re.split(r"[.!?]\s|\n", body[: found.start()])[-1]
        if _ASKING.search(sentence) and not _STATING.search(sentence):
            return _decimal(found["after"] or found["before"])
    return None


def _decimal(figure: str) -> Decimal:
    """Read 1,299.00 and 1.299,00 and 12,800: a last group of two digits is the fraction, any other is thousands."""
    whole, fraction = (figure[:-3], figure[-2:]) if re.search(r"[.,]\d{2}$", figure) else (figure, "00")
    return Decimal(f"{re.sub(r'[.,]', '', whole)}.{fraction}")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _place(text: str) -> tuple[str, str] | None:
    """Postal code and city, in whichever order they stand."""
    if first := re.fullmatch(r"(?P<code>[A-Z]{0,2}-?\d[\d -]*)\s+(?P<city>\D+)", text):
        return first["code"].strip(), first["city"].strip()
    if last := re.fullmatch(r"(?P<city>\D+?)\s+(?P<code>[A-Z]{0,2}\d\w*(?:\s\w+)?)", text):
        return last["code"].strip(), last["city"].strip()
    return None


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{3,}", text.lower())
    return {word[:5] if len(word) > 5 else word.rstrip("s") for word in words if word not in _SMALL_WORDS}
