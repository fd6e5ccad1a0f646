"""What the card of an approval shows, worked out from its real arguments. Sentences here are the desk's own words."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode, digest
from agentdesk.figures import figure
from agentdesk.templatetags.desk import human
from approvals.models import Approval
from approvals.policy.origins import KINDS, Found, Origins
from approvals.states import Kind
from approvals.web.kinds import kind_of

LONG = 120  # characters; longer values scroll inside themselves
LONGEST_AMOUNT = 30  # digits; what has more is no amount that a sentence can say
MOST_ROWS = 40  # arguments with a row of their own
MOST_SOURCES = 3  # places that are told for one argument
SHORT = 60  # characters that a line of the inbox has room for
_MONEY = ("amount", "total", "value", "price", "sum")
RECIPIENT = ("to", "recipient", "recipients", "email", "to_address", "destination")
_IDENTIFIER = re.compile(r"^(\w+)_(?:id|number|no|ref)$")
_CURRENCY = re.compile(r"\w{0,12}|[€$£¥]")
_PLAIN = re.compile(r"[\w.@+:/#•-]+")  # the mask of a secret too
_NO_MARKS = str.maketrans({"“": '"', "”": '"'})
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as a reviewer reads it. ``origin``: default, subject, agent or person (a reviewer changed it)."""

    name: str
    label: str
    text: str
    shape: str  # text, long or json
    is_key: bool
    origin: str
    traced: tuple["Source", ...] = ()
    asked: str | None = None  # what the agent had asked, where a reviewer changed it
    kind: str = ""  # the schema's type, in words
    digest: str = ""  # of what does not stand in one line: SHA-256 of the text, or of the JSON; none where secrets are masked

    @property
    def lines(self) -> int:
        return self.text.count("\n") + 1


@dataclass(frozen=True, slots=True)
class Source:
    """A place where an argument's value was found, in words. ``tone``: plum where it is from outside."""

    icon: str
    tone: str
    words: str


def sentence(approval: Approval) -> str:
    """Verb and object, made from the arguments: ``Issue refund 240.00 EUR for order 48102``."""
    if approval.kind == Kind.IN_DOUBT:
        return _("Did this happen: %(action)s") % {"action": phrase(approval.action, decode(approval.args))}
    if approval.kind == Kind.INTERRUPT and approval.action.startswith("interrupt:"):
        return _("%(agent)s asks at %(place)s") % {
            "agent": human(approval.agent),
            "place": human(approval.action.removeprefix("interrupt:")).lower(),
        }
    return phrase(approval.action, decode(approval.args))


def object_of(approval: Approval) -> str:
    """The action as a thing, for buttons: ``refund 240.00 EUR``, ``cancellation of order``."""
    if approval.action.startswith("interrupt:"):
        return _("as asked")
    verb, noun = _parts(approval.action)
    deed = _deeds().get(verb)
    thing = _("%(deed)s of %(noun)s") % {"deed": deed, "noun": noun} if deed and noun else deed or noun or verb
    money = _money(decode(approval.args))
    return f"{thing} {money}" if money else thing


def noun_of(approval: Approval) -> str:
    """The same in one word, for short buttons: ``refund``, ``cancellation``."""
    if approval.action.startswith("interrupt:"):
        return _("answer")
    verb, noun = _parts(approval.action)
    return _deeds().get(verb) or noun.rpartition(" ")[2] or verb


def differs(approval: Approval) -> list[str]:
    """What tells one of several alike actions from the next: short arguments that its sentence does not name already."""
    said = sentence(approval)
    shown = [argument for argument in arguments(approval) if argument.shape == "text" and not argument.is_key]
    texts = [argument.text for argument in shown if argument.name != "currency" and 2 < len(argument.text) <= SHORT]
    return [text for text in texts if text not in said and text not in (_("yes"), _("none"))][:2]


def _parts(action: str) -> tuple[str, str]:
    verb, _space, noun = human(action).lower().partition(" ")
    return verb, noun


def _deeds() -> dict[str, str]:
    """Verbs that are no giving or sending, as nouns: approving an *order* is not what happens when one is cancelled."""
    return {
        "cancel": _("cancellation"),
        "change": _("change"),
        "update": _("update"),
        "edit": _("change"),
        "delete": _("deletion"),
        "remove": _("removal"),
        "erase": _("erasure"),
        "escalate": _("escalation"),
        "close": _("closing"),
        "run": _("running"),
    }


def answer_label(value: str) -> str:
    """The words of an answer that a schema lists."""
    known = {
        "happened": _("It happened: the run goes on with it"),
        "did_not_happen": _("It did not happen: the agent is told so"),
        "retry": _("It did not happen: run it again"),
    }
    return known.get(value, human(value))


def as_text(value: Any) -> str:
    """Any value as short text."""
    return _text(masking.value(value))[0]


def arguments(approval: Approval) -> list[Argument]:
    """The arguments, the deciding ones first and marked. A value that is no mapping is shown as one argument."""
    args, asked = masking.value(decode(approval.args)), masking.value(decode(approval.asked_args))
    if not isinstance(args, Mapping):
        args, asked = {"value": args}, {"value": asked}
    properties = _properties(approval.args_schema)
    deciding = _deciding(args)
    exact, exact_asked = decode(approval.args), decode(approval.asked_args)

    def was_changed(name: str) -> bool:  # by the exact values: two secrets look alike
        if not isinstance(exact, Mapping) or not isinstance(exact_asked, Mapping):
            return bool(exact != exact_asked)
        return bool(exact.get(name, _MISSING) != exact_asked.get(name, _MISSING))

    money = _money(args)
    traced = _traced(origins_of(approval))
    shown = []
    for name in reading_order(args, approval.args_schema):
        text, shape = _text(args[name])
        before = asked.get(name, _MISSING) if isinstance(asked, Mapping) else _MISSING
        if money and name == deciding[0]:
            text = money
        shown.append(
            Argument(
                name=name,
                label=_label(name, properties.get(name)),
                text=text,
                shape=shape,
                is_key=name in deciding and shape == "text" and len(text) <= 40,
                traced=traced(name),
                origin=_origin(args[name], properties.get(name), approval.subject, was_changed=was_changed(name)),
                asked=None if not was_changed(name) else _("nothing") if before is _MISSING else _text(before)[0],
                kind=kind_of(properties.get(name)),
                digest=_digest(exact.get(name), args[name]) if shape != "text" and isinstance(exact, Mapping) else "",
            )
        )
    return shown


def rows(approval: Approval) -> list[Argument]:
    """The arguments as the card has room for: beyond :data:`MOST_ROWS` the others together, as JSON in one box."""
    shown = arguments(approval)
    if len(shown) <= MOST_ROWS:
        return shown
    rest = [argument.name for argument in shown[MOST_ROWS - 1 :]]
    exact, asked = decode(approval.args), decode(approval.asked_args)
    values, was = [{name: value[name] for name in rest if name in value} for value in (exact, asked)]
    kinds = dict.fromkeys(source for argument in shown[MOST_ROWS - 1 :] for source in argument.traced)
    masked = masking.value(values)
    together = Argument(
        name="…", label=_("%(n)s more arguments") % {"n": figure(len(rest))}, text=as_json(values), shape="json", is_key=False,
        origin="person" if values != was else "agent", traced=tuple(kinds)[:MOST_SOURCES],
        asked=as_json(was) if values != was else None, digest=_digest(values, masked),
    )  # fmt: skip
    return [*shown[: MOST_ROWS - 1], together]


def _digest(exact: Any, shown: Any) -> str:
    """Of a text itself, as ``sha256sum`` tells it, and of anything else as canonical JSON."""
    if exact != shown:
        return ""
    return sha256(exact.encode("utf-8", "surrogatepass")).hexdigest() if isinstance(exact, str) else digest(exact)


def reading_order(args: Mapping[str, Any], schema: Any) -> list[str]:
    """Names of ``args``: the deciding ones, then the required ones as the schema lists them, then the others. The order of
    keys itself means nothing: the database does not keep it."""
    required = schema.get("required") if isinstance(schema, Mapping) else None
    listed = [str(name) for name in required] if isinstance(required, list) else []
    return list(dict.fromkeys(name for name in [*_deciding(args), *listed, *args] if name in args))


def as_json(value: Any) -> str:
    """JSON for people: indented, with its own characters; what JSON cannot hold as text."""
    return json.dumps(_named(masking.value(value)), ensure_ascii=False, indent=2, default=str)


def _named(value: Any) -> Any:
    """``value`` with names that JSON can hold: a mapping of Python's may have any."""
    if isinstance(value, Mapping):
        return {name if isinstance(name, str) else str(name): _named(item) for name, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list | tuple) else value


def phrase(action: str, args: Any) -> str:
    """An action and its plain arguments in the desk's words: ``Issue refund 240.00 EUR for order 48102``."""
    words, args = human(action), masking.value(args)
    if not isinstance(args, Mapping):
        return words
    if money := _money(args):
        words += f" {money}"
    named = [*words.lower().split()]
    for name, value in args.items():
        if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > 60 or "\n" in str(value):
            continue
        if name in RECIPIENT:
            return words + " " + _("to %(value)s") % {"value": _quoted(value)}
        if match := _IDENTIFIER.match(name):
            noun = match[1].replace("_", " ")
            if named[-1] == noun:
                return f"{words} {_quoted(value)}"
            return words + " " + _("for %(noun)s %(value)s") % {"noun": noun, "value": _quoted(value)}
    return words


def _quoted(value: str | int) -> str:
    """A value inside a sentence of the desk: what is more than one plain word stands between quotation marks, so that words of
    others do not read as the desk's own."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else f"“{text.translate(_NO_MARKS)}”"


def _money(args: Any) -> str:
    """The amount with its currency as the page's language writes it, ``1,860.00 EUR`` or ``1.860,00 EUR``; empty where the
    arguments hold no amount."""
    if not isinstance(args, Mapping):
        return ""
    name = next((name for name in _MONEY if name in args), None)
    if name is None or isinstance(args[name], bool):
        return ""
    try:
        number = Decimal(str(args[name])[: LONGEST_AMOUNT + 1])
    except InvalidOperation:
        return ""
    if not number.is_finite() or len(str(args[name])) > LONGEST_AMOUNT or abs(number.adjusted()) > LONGEST_AMOUNT:
        return ""
    is_money = "currency" in args or int(number.as_tuple().exponent) < 0
    shown = figure(number, 2 if is_money else 0)
    currency = args.get("currency", "")
    return f"{shown} {currency}".strip() if isinstance(currency, str) and _CURRENCY.fullmatch(currency) else shown


def is_money(name: str) -> bool:
    """Whether an argument of this name is an amount of money, where a currency stands beside it."""
    return name in _MONEY


def _deciding(args: Mapping[str, Any]) -> list[str]:
    """The names of the one or two arguments that decide: the amount, then who or what it is about."""
    money = [name for name in _MONEY if name in args and _money(args)][:1]
    target = [name for name in args if name in RECIPIENT or _IDENTIFIER.match(name)][:1]
    return [*money, *target][:2] or list(args)[:1]


def _text(value: Any) -> tuple[str, str]:
    """The value as text, and its shape."""
    match value:
        case None:
            return _("none"), "text"
        case bool():
            return (_("yes") if value else _("no")), "text"
        case str():
            return value, "long" if len(value) > LONG or "\n" in value else "text"
        case int() | float() | Decimal():
            return str(value), "text"
        case Mapping() | list():
            return as_json(value), "json"
    return str(value), "text"


def _origin(value: Any, schema: Mapping[str, Any] | None, subject: str, *, was_changed: bool) -> str:
    if was_changed:
        return "person"
    if schema and "default" in schema and schema["default"] == value:
        return "default"
    text = str(value)
    if len(text) > 2 and text in subject and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", subject):
        return "subject"
    return "agent"


def origins_of(approval: Approval) -> Origins | None:
    """Where the current arguments came from; None where that was not traced."""
    facts = decode(approval.evaluation.facts) if approval.evaluation is not None else {}
    if not isinstance(facts, Mapping) or "origins" not in facts:
        return None
    traced, asked, args = Origins.of_json(facts["origins"]), decode(approval.asked_args), decode(approval.args)
    return traced if asked == args or not isinstance(args, Mapping) else traced.changed(asked, args)


def _traced(traced: Origins | None) -> Callable[[str], tuple[Source, ...]]:
    """A function from the name of an argument to its sources, those inside it together; each is sought out once."""
    if traced is None:
        return lambda _name: ()
    found: dict[str, dict[Found, None]] = defaultdict(dict)
    for one in traced.values:
        if one.at:
            is_secret = any(masking.is_secret(part) for part in one.at)  # then no part of it is named either
            found[one.at[0]].update(dict.fromkeys(replace(place, part="") if is_secret else place for place in one.found))

    def of(name: str) -> tuple[Source, ...]:
        shown = sorted(found.get(name, ()), key=lambda place: KINDS.index(place.kind))[:MOST_SOURCES]
        return tuple(source_of(place) for place in shown) or (Source("agent", "plum", _("Only the model wrote this")),)

    return of


def source_of(place: Found) -> Source:
    """A place in words."""
    where = {"tool": place.name, "step": place.step, "part": place.part[:SHORT]}
    if place.kind == "person":
        return Source("pencil", "live", _("From a colleague"))
    if place.kind == "untrusted":
        text = _("From untrusted content: %(tool)s, call %(step)s") if place.name else _("From the run's input, not trusted")
    elif place.kind == "input":
        text = _("From the run's input")
    elif place.kind == "record":
        text = _("From a trusted record: %(tool)s, call %(step)s")
    else:
        text = _("From a result of %(tool)s, call %(step)s")
    tone, icon = {"untrusted": ("plum", "mail"), "record": ("", "check")}.get(place.kind, ("", "right"))
    words = text % where
    return Source(icon, tone, _("%(part)s: %(where)s") % {"part": where["part"], "where": words} if place.part else words)


def _label(name: str, schema: Mapping[str, Any] | None) -> str:
    title = str((schema or {}).get("title") or "")
    made_up = name.replace("_", " ").title()  # what Pydantic makes of a name by itself
    return title if title and title != made_up else human(name)


def _properties(schema: Any) -> Mapping[str, Any]:
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return {name: part for name, part in found.items() if isinstance(part, Mapping)} if isinstance(found, Mapping) else {}
