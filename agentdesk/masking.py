"""Secrets in what is shown: masked in pages, pushes, the API, the command line and logs, in this one place, when it is shown.

What is stored stays exact, tools get it exact, and digests are over what is exact. Whoever may see a secret opens it on the
page of the approval or the run, with an entry in the record; :func:`revealed` is that page's business and nobody else's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.conf import settings

MARK = "••••"
LONGEST = 4_000_000  # characters; of a longer text nothing is shown but its length
WORTH_KEEPING = 20_000  # characters from which the masked form of a text is kept: one page shows it several times

_open: ContextVar[bool] = ContextVar("secrets_revealed", default=False)


@contextmanager
def revealed() -> Iterator[None]:
    """Inside, nothing is masked. Only around what one viewer gets in one answer, never around what is pushed or kept."""
    token = _open.set(True)
    try:
        yield
    finally:
        _open.reset(token)


@contextmanager
def masked() -> Iterator[None]:
    """Inside, everything is masked again: what stands beside the one thing that is revealed."""
    token = _open.set(False)
    try:
        yield
    finally:
        _open.reset(token)


def text(shown: str) -> str:
    """``shown`` with the secrets in it masked, as far as their form tells them."""
    if _open.get():
        return shown
    if len(shown) > LONGEST:
        return f"{MARK} ({len(shown)} characters)"
    names, more = tuple(settings.MASKED_NAMES), tuple(settings.MASKED_PATTERNS)
    return (_masked if len(shown) < WORTH_KEEPING else _masked_once)(shown, names, more)


def _masked(shown: str, names: tuple[str, ...], more: tuple[str, ...]) -> str:
    for pattern, replace in _patterns(names, more):
        shown = pattern.sub(replace, shown)
    return shown


_masked_once = lru_cache(maxsize=16)(_masked)


def value(shown: Any, name: str = "") -> Any:
    """A value with its secrets masked: what stands under a secret's name whole, texts by their form. ``name``: what it stands
    under itself."""
    if _open.get():
        return shown
    if name and is_secret(name):
        return _whole(shown)
    if isinstance(shown, str):
        return text(shown)
    if isinstance(shown, Mapping):
        return {key: value(item, key if isinstance(key, str) else "") for key, item in shown.items()}
    if isinstance(shown, list | tuple):
        return [value(item) for item in shown]
    if isinstance(shown, int) and not isinstance(shown, bool) and len(str(shown)) > 11:  # a card's number, given as a number
        masked = text(str(shown))
        return shown if masked == str(shown) else masked
    return shown


def restored(exact: Any, given: Any, name: str = "") -> Any:
    """``given``, which somebody made from a masked form of ``exact``, with the secrets that they left masked put back."""
    if isinstance(exact, Mapping) and isinstance(given, Mapping):
        under = name if name and is_secret(name) else ""
        return {key: restored(exact[key], item, under or str(key)) if key in exact else item for key, item in given.items()}
    if isinstance(exact, list | tuple) and isinstance(given, list | tuple) and len(exact) == len(given):
        # An entry is the same one only where nothing that is shown of it has changed: rows may have changed places.
        return [old if new == value(old, name) else new for old, new in zip(exact, given, strict=True)]
    masked = value(exact, name)
    return exact if MARK in str(masked) and given == masked else given


def left_masked(exact: Any, given: Any) -> list[str]:
    """Where masks stand in ``given`` that nothing can be put back for: somebody changed a text around one. As dotted paths."""
    known = {item for _path, item in _texts(exact)}
    return [path for path, item in _texts(given) if MARK in item and item not in known]


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, f"{path}.{number}" if path else str(number))


def is_secret(name: str) -> bool:
    """Whether what stands under this name is one: ``password``, ``db_password``, ``apiKey``."""
    return _is_secret(name, tuple(settings.MASKED_NAMES))


@lru_cache(maxsize=4096)
def _is_secret(name: str, names: tuple[str, ...]) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()
    bare = re.sub(r"[^a-z0-9]", "", words)
    parts = [part for part in re.split(r"[^a-z0-9]+", words) if part]
    endings = {"".join(parts[start:]) for start in range(len(parts))} | {bare}
    return not endings.isdisjoint(_bare(names))


@lru_cache(maxsize=8)
def _bare(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(re.sub(r"[^a-z0-9]", "", one.casefold()) for one in names)


def _whole(shown: Any) -> Any:
    if isinstance(shown, Mapping):
        return {key: _whole(item) for key, item in shown.items()}
    if isinstance(shown, list | tuple):
        return [_whole(item) for item in shown]
    return shown if shown is None or isinstance(shown, bool) or shown == "" else MARK


type Replace = Callable[[re.Match[str]], str]

_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?:[a-z]+-)*[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}"
    r"|AIza[A-Za-z0-9_-]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    r"|eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,})"
)
_BEARER = re.compile(r"(?i:\b(bearer|basic))(\s+)(?=[a-z._~-]*[A-Z0-9+/=])[A-Za-z0-9._~+/=-]{12,}")
_PRIVATE = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_IN_LINK = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){14,15}\d(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_ISSUERS = re.compile(r"4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}")


@lru_cache(maxsize=8)
def _patterns(names: tuple[str, ...], more: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], Replace], ...]:
    spelled = "|".join(re.escape(one).replace("_", "[ _-]?") for one in sorted(names, key=len, reverse=True))
    assigned = re.compile(
        rf"(?<![A-Za-z0-9])((?:{spelled})(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?)(?!{MARK})[^\s\"',;&<>\\]{{4,}}",
        re.IGNORECASE,
    )
    return (
        (_PRIVATE, lambda match: f"-----BEGIN {match[1]}----- {MARK}"),
        (_BEARER, lambda match: f"{match[1]}{match[2]}{MARK}"),
        (_KEYS, lambda match: MARK),
        (_IN_LINK, lambda match: f"{match[1]}{MARK}"),
        (_CARD, _card),
        (_IBAN, _iban),
        (assigned, _assigned),
        *((re.compile(pattern), lambda match: MARK) for pattern in more),
    )


def _assigned(match: re.Match[str]) -> str:
    rest = match[0][len(match[1]) :].lower()
    return match[0] if rest in ("bearer", "basic") else f"{match[1]}{MARK}"  # what follows these is masked by itself


def _card(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    if not _ISSUERS.fullmatch(digits) or _luhn(digits) % 10:
        return match[0]
    return f"{MARK} {digits[-4:]}"


def _luhn(digits: str) -> int:
    return sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(digits)))


def _iban(match: re.Match[str]) -> str:
    """By its check digits; where words follow it, by the longest beginning that is one."""
    found = match[0]
    for end in range(len(found), 14, -1):
        bare = found[:end].replace(" ", "").upper()
        if found[end - 1] != " " and 15 <= len(bare) <= 34 and (end == len(found) or found[end] == " ") and _is_iban(bare):
            return f"{bare[:2]}{MARK}{bare[-4:]}{found[end:]}"
    return found


def _is_iban(bare: str) -> bool:
    return int("".join(str(int(char, 36)) for char in bare[4:] + bare[:4])) % 97 == 1
