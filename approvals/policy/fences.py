"""What a call may not go beyond, whatever rules allow: the run's scope, the recipients of a tool, the data that a run has read.
Pure.

An admin says on the tool's row which arguments are tied to a key of the scope and which name a recipient; without that nothing
is claimed. A fence asks people, or denies where the admin has set so. It never lets anything through.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Self
from urllib.parse import urlsplit

import idna
from django.utils.translation import gettext as _

from approvals.policy.paths import values_at

ASK, DENY = "ask", "deny"
MOST_KEYS = 20
LONGEST = 200  # characters of a key, a value, a recipient
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of the fences around one call.

    ``scope``: what the run is about; ``tools``: those it may use, None for all; ``outside``: what a call outside the scope is,
    ask or deny. ``ties``: which argument of the tool has to be which key of the scope. ``recipients_at``: the arguments that
    name recipients; ``recipients``: who may receive (``example.com``, ``*.example.com``, ``ada@example.com``); ``beyond``: what
    a call to anybody else is. ``data``: the label of what the tool reads or may send; ``data_read``: those the run has read.
    """

    scope: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[str] | None = None
    outside: str = ASK
    ties: Mapping[str, str] = field(default_factory=dict)
    recipients_at: Sequence[str] = ()
    recipients: Sequence[str] = ()
    beyond: str = ASK
    data: str = ""
    data_read: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises TypeError for what :meth:`as_json` did not make."""
        return cls(**stored)


@dataclass(frozen=True, slots=True)
class Crossed:
    """A fence that a call goes beyond. ``kind``: tool, scope, recipient or data. ``verdict``: ask or deny. ``text``: why, for
    people; the model is never told."""

    kind: str
    verdict: str
    text: str


def crossed(bounds: Bounds, action: str, args: Mapping[str, Any], *, egress: bool) -> list[Crossed]:
    """The fences that a call with these arguments goes beyond."""
    found = []
    if bounds.tools is not None and action not in bounds.tools:
        found.append(Crossed("tool", DENY, _("The run was started without leave for this tool.")))
    found += [Crossed("scope", _verdict(bounds.outside), text) for text in _out_of_scope(bounds, args)]
    found += [Crossed("recipient", _verdict(bounds.beyond), text) for text in _strangers(bounds, args)]
    others = sorted(set(bounds.data_read) - {bounds.data})
    if egress and others:
        told = _("The run has read %(labels)s, and this tool is not labelled for sending that out.")
        found.append(Crossed("data", ASK, told % {"labels": ", ".join(others)}))
    return found


def _verdict(wanted: str) -> str:
    return DENY if wanted == DENY else ASK


def _out_of_scope(bounds: Bounds, args: Mapping[str, Any]) -> list[str]:
    told = []
    for path, key in bounds.ties.items():
        if key not in bounds.scope:
            continue
        named = {"path": path, "key": key, "wanted": _words(bounds.scope[key])}
        found = values_at(args, path.split("."))
        if not found:
            told.append(_("%(path)s is missing: the call is not limited to %(key)s %(wanted)s.") % named)
        elif strange := [value for value in found if not _is_one_of(value, bounds.scope[key])]:
            told.append(_("%(path)s is %(value)s; the run is about %(key)s %(wanted)s.") % {**named, "value": _words(strange)})
    return told


def _is_one_of(value: Any, wanted: Any) -> bool:
    return any(_plain(value) == _plain(one) for one in (wanted if isinstance(wanted, list) else [wanted]))


def _plain(value: Any) -> tuple[str, str]:
    """A value as it is compared: 17 and "17" are one customer; true is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return type(value).__name__, repr(value)
    return "", str(value).strip()


def _words(value: Any) -> str:
    return ", ".join(str(one)[:LONGEST] for one in (value if isinstance(value, list) else [value])[:5])


def _strangers(bounds: Bounds, args: Mapping[str, Any]) -> list[str]:
    if not bounds.recipients_at:
        return []
    named = [value for path in bounds.recipients_at for value in _flat(values_at(args, path.split(".")))]
    strange = [text for value in named for text in apart(value) if not is_allowed(text, bounds.recipients)]
    told = _("%(who)s is not among those whom this tool may reach.")
    return [told % {"who": text[:LONGEST] or _("A recipient that is no text")} for text in dict.fromkeys(strange)][:5]


def _flat(found: Sequence[Any]) -> list[Any]:
    inner = [one for item in found for one in (_flat(item) if isinstance(item, list | tuple) else [item])]
    return [one for one in inner if one is not None]


def apart(value: Any) -> list[str]:
    """The recipients that one argument names; a value that is no text is none that anybody knows."""
    if not isinstance(value, str):
        return [""]
    if "://" in value:
        return [value.strip()]
    return [part.strip() for part in re.split(r"[,;\n]", value) if part.strip()]


def is_allowed(recipient: str, allowed: Sequence[str]) -> bool:
    """Whether a link, an e-mail address or a domain is one of ``allowed``: domains are compared whole, as ASCII (IDNA 2008), so
    what only looks alike is another one. What cannot be read with certainty is not allowed."""
    address, domain = _read(recipient)
    if not domain:
        return False
    for one in allowed:
        if "@" in one:
            if address and address == _read(one)[0]:
                return True
        elif one.startswith("*."):
            if (parent := domain_of(one[2:])) and domain.endswith(f".{parent}"):
                return True
        elif domain == domain_of(one):
            return True
    return False


def is_readable(recipient: str) -> bool:
    """Whether it can be said with certainty where this leads."""
    return bool(_read(recipient)[1])


_ADDRESS = re.compile(r"(?:[^<>@\"]*<)?([^\s<>@\",;:()\[\]\\]{1,64})@([^\s<>@\",;:()\[\]\\/?#]{1,253})>?")


def _read(recipient: str) -> tuple[str, str]:
    """The e-mail address, or empty, and the domain of a recipient; both empty where it cannot be read with certainty."""
    text = recipient.strip()
    if not text or any(ord(char) < 33 and char != " " for char in text) or "\\" in text:  # browsers read such links otherwise
        return "", ""
    if "://" in text:
        return "", _host(text)
    if "@" in text:
        match = _ADDRESS.fullmatch(text)
        domain = domain_of(match[2]) if match else ""
        return (f"{match[1].casefold()}@{domain}", domain) if match and domain else ("", "")
    return "", domain_of(text)


def _host(link: str) -> str:
    if " " in link:
        return ""
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ftp", "ftps", "ws", "wss") or "@" in parts.netloc or "%" in host:
        return ""  # a name before the host is there to be mistaken for it
    return domain_of(host)


def domain_of(name: str) -> str:
    """A domain in the one form that is compared: ASCII, lower case, no dot at its end. Empty for what is none."""
    try:
        return idna.encode(name.strip().removesuffix("."), uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        return ""


def scope_problems(scope: Any, tools: Any) -> list[str]:
    """What is wrong with the scope of a run as somebody gave it, in words."""
    if not isinstance(scope, Mapping) or len(scope) > MOST_KEYS:
        return [_('A scope is a JSON object with at most %(n)d keys, such as {"customer": 17}.') % {"n": MOST_KEYS}]
    found = []
    for key, value in scope.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            found.append(_("“%(key)s” is no key of a scope: small letters, digits and _.") % {"key": str(key)[:40]})
        items = value if isinstance(value, list) else [value]
        if not items or not all(_is_key_value(item) for item in items):
            found.append(_("“%(key)s” takes a text or a whole number, or a list of them.") % {"key": str(key)[:40]})
    if tools is not None and not _is_texts(tools):
        found.append(_("The tools of a run are a list of their names."))
    return found


def label_problems(ties: Any, recipients_at: Any, recipients: Any) -> dict[str, str]:
    """What is wrong with an admin's fences of one tool, by field."""
    found = {}
    if not isinstance(ties, Mapping) or not all(isinstance(v, str) and _KEY.fullmatch(v) for v in ties.values()):
        found["scope_of"] = _('Write which argument is which key of the scope: {"customer_id": "customer"}.')
    if not _is_texts(recipients_at):
        found["recipients_at"] = _('Write a list of arguments: ["to"].')
    if not _is_texts(recipients):
        found["recipients"] = _('Write a list of domains and addresses: ["example.com", "ada@example.org"].')
    elif bad := [one for one in recipients if not _read(one.removeprefix("*."))[1] or "://" in one]:
        found["recipients"] = _("“%(one)s” is no domain and no e-mail address.") % {"one": bad[0]}
    return found


def _is_key_value(item: Any) -> bool:
    return isinstance(item, str | int) and not isinstance(item, bool) and 0 < len(str(item)) <= LONGEST


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 1000 and all(isinstance(one, str) and 0 < len(one) <= 300 for one in value)
