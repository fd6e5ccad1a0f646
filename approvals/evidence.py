"""What an asker shows for what it wants: sources that it quotes, and what it did not choose. Its own words, not verified."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from approvals.errors import InvalidAsk
from approvals.texts import storable

MOST_SOURCES = 20
MOST_ALTERNATIVES = 10
LONGEST = {"title": 200, "quote": 2_000, "url": 2_000}  # characters
LONGEST_ALTERNATIVE = 500

type Told = list[dict[str, str]]


def read(value: Any) -> tuple[Told, list[str]]:
    """``evidence`` and ``alternatives`` of an agent's own payload, as far as they are such: what has another shape is left to
    the payload, and what is too long is cut."""
    if not isinstance(value, Mapping):
        return [], []
    given, others = value.get("evidence"), value.get("alternatives")
    told = [_cut(one) for one in given[:MOST_SOURCES] if isinstance(one, Mapping)] if isinstance(given, list) else []
    texts = [one for one in others[:MOST_ALTERNATIVES] if isinstance(one, str)] if isinstance(others, list) else []
    return [one for one in told if one.get("quote") or one.get("title")], [storable(one[:LONGEST_ALTERNATIVE]) for one in texts]


def _cut(one: Mapping[Any, Any]) -> dict[str, str]:
    return {key: storable(one[key][:most]) for key, most in LONGEST.items() if isinstance(one.get(key), str) and one[key]}


def check(evidence: Any, alternatives: Any) -> None:
    """Raises InvalidAsk at what is too much or no evidence at all."""
    errors: dict[str, list[str]] = {}
    if len(evidence) > MOST_SOURCES:
        errors["evidence"] = [_("At most %(most)d sources.") % {"most": MOST_SOURCES}]
    for number, one in enumerate(evidence[:MOST_SOURCES]):
        for key, most in LONGEST.items():
            if len(one.get(key, "")) > most:
                errors[f"evidence.{number}.{key}"] = [_("At most %(most)d characters.") % {"most": most}]
        if not one.get("quote") and not one.get("title"):
            errors[f"evidence.{number}"] = [_("Give a title or a quote.")]
    if len(alternatives) > MOST_ALTERNATIVES or any(len(one) > LONGEST_ALTERNATIVE for one in alternatives):
        told = _("At most %(many)d alternatives of %(long)d characters each.")
        errors["alternatives"] = [told % {"many": MOST_ALTERNATIVES, "long": LONGEST_ALTERNATIVE}]
    if errors:
        raise InvalidAsk(errors)


def host_of(url: str) -> str:
    """The host of a link that a person may follow; empty where it is none: not https, with a name or password in it, or with a
    host that is not plain ASCII, which may look like another one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    is_plain = url.isascii() and url.isprintable() and not any(char in url for char in " \\<>\"'`")
    if parts.scheme != "https" or not host or "." not in host or "@" in parts.netloc or not is_plain:
        return ""
    return f"{host}:{port}" if port else host
