"""What the card of an approval shows, worked out from its real arguments. Sentences here are the desk's own words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode
from agentdesk.templatetags.desk import human
from approvals.models import Approval
from approvals.models.tools import Effect
from approvals.policy.origins import KINDS, Found, Origins
from approvals.states import Kind

LONG = 120  # characters; longer values scroll inside themselves
MOST_SOURCES = 3  # places that are told for one argument
SHORT = 60  # characters that a line of the inbox has room for
_MONEY = ("amount", "total", "value", "price", "sum")
_RECIPIENT = ("to", "recipient", "recipients", "email", "to_address", "destination")
_IDENTIFIER = re.compile(r"^(\w+)_(?:id|number|no|ref)$")
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


@dataclass(frozen=True, slots=True)
class Source:
    """A place where an argument's value was found, in words. ``tone``: plum where it is from outside."""

    icon: str
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Consequence:
    """One line of what the action does: an icon, its main words and the rest."""

    icon: str
    main: str
    rest: str = ""


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
    traced = _origins(approval)
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
                traced=_traced(traced, name),
                origin=_origin(args[name], properties.get(name), approval.subject, was_changed=was_changed(name)),
                asked=None if not was_changed(name) else _("nothing") if before is _MISSING else _text(before)[0],
            )
        )
    return shown


def reading_order(args: Mapping[str, Any], schema: Any) -> list[str]:
    """Names of ``args``: the deciding ones, then the required ones as the schema lists them, then the others. The order of
    keys itself means nothing: the database does not keep it."""
    required = schema.get("required") if isinstance(schema, Mapping) else None
    listed = [str(name) for name in required] if isinstance(required, list) else []
    return list(dict.fromkeys(name for name in [*_deciding(args), *listed, *args] if name in args))


def consequences(approval: Approval) -> list[Consequence]:
    """What the labels of the tool say about its effect."""
    lines = []
    match approval.effect:
        case Effect.READ:
            lines.append(Consequence("eye", _("Reads only"), _("changes nothing")))
        case Effect.WRITE:
            lines.append(Consequence("pencil", _("Changes data"), _("by its label as a writing tool")))
        case Effect.IRREVERSIBLE:
            lines.append(Consequence("lock", _("Cannot be taken back"), _("once it has run")))
    if approval.effect:
        lines.append(
            Consequence("out", _("Leaves the house"), _("somebody outside receives it"))
            if approval.egress
            else Consequence("desk", _("Stays in the house"), _("by its label"))
        )
    return lines


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
        if name in _RECIPIENT:
            return words + " " + _("to %(value)s") % {"value": value}
        if match := _IDENTIFIER.match(name):
            noun = match[1].replace("_", " ")
            if named[-1] == noun:
                return f"{words} {value}"
            return words + " " + _("for %(noun)s %(value)s") % {"noun": noun, "value": value}
    return words


def _money(args: Any) -> str:
    """The amount with its currency, such as ``1,860.00 EUR``; empty where the arguments hold no amount."""
    if not isinstance(args, Mapping):
        return ""
    name = next((name for name in _MONEY if name in args), None)
    if name is None or isinstance(args[name], bool):
        return ""
    try:
        number = Decimal(str(args[name]))
    except InvalidOperation:
        return ""
    if not number.is_finite():
        return ""
    places = -int(number.as_tuple().exponent)
    shown = f"{number:,.{max(2, places)}f}" if "currency" in args or places > 0 else f"{number:,}"
    currency = args.get("currency", "")
    return f"{shown} {currency}".strip() if isinstance(currency, str) else shown


def _deciding(args: Mapping[str, Any]) -> list[str]:
    """The names of the one or two arguments that decide: the amount, then who or what it is about."""
    money = [name for name in _MONEY if name in args and _money(args)][:1]
    target = [name for name in args if name in _RECIPIENT or _IDENTIFIER.match(name)][:1]
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
    if len(text) > 2 and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", subject):
        return "subject"
    return "agent"


def _origins(approval: Approval) -> Origins | None:
    """Where the current arguments came from; None where that was not traced."""
    facts = decode(approval.evaluation.facts) if approval.evaluation is not None else {}
    if not isinstance(facts, Mapping) or "origins" not in facts:
        return None
    traced, asked, args = Origins.of_json(facts["origins"]), decode(approval.asked_args), decode(approval.args)
    return traced if asked == args or not isinstance(args, Mapping) else traced.changed(asked, args)


def _traced(traced: Origins | None, name: str) -> tuple[Source, ...]:
    """The sources of one argument, those inside it together."""
    if traced is None:
        return ()
    found = dict.fromkeys(place for one in traced.under((name,)) for place in one.found)
    shown = sorted(found, key=lambda place: KINDS.index(place.kind))[:MOST_SOURCES]
    return tuple(_source(place) for place in shown) or (Source("agent", "plum", _("Only the model wrote this")),)


def _source(place: Found) -> Source:
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
