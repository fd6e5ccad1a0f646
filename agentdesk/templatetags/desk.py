"""Small words and marks that every page is made of: icons, times, spans, people, risk, and text from outside made visible."""

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django import template
from django.db.models import Choices
from django.templatetags.static import static
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode

register = template.Library()

_BEYOND_ASCII = re.compile(r"[^\x20-\x7e\n\r\t]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})


@register.simple_tag
@cache
def icon(name: str, tone: str = "") -> SafeString:
    """One icon of the sprite, hidden from screen readers: the word stands beside it."""
    classes = f"icon {tone}" if tone else "icon"
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, static("icons.svg"), name)


@register.simple_tag
def risk_chip(risk: Choices | str) -> SafeString:
    """The risk as shape, word and ground."""
    value, label = _choice(risk)
    return format_html('<span class="risk {}">{}{}</span>', value, icon(f"risk-{value}"), label)


@register.simple_tag
def risk_mark(risk: Choices | str) -> SafeString:
    """The risk's shape alone, for rows under a heading that holds the word; with a hidden word for screen readers."""
    value, label = _choice(risk)
    return format_html('{}<span class="vh">{}</span>', icon(f"risk-{value}", f"mark {value}"), label)


@register.filter
def when(at: datetime | None, style: str = "") -> SafeString | str:
    """A ``<time>`` in UTC, which the browser shows in the reader's zone. ``style``: full, clock, left, ago or since."""
    if at is None:
        return ""
    at = at.astimezone(UTC)
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attribute = {"left": "relative", "ago": "relative", "since": "relative", "full": "format", "clock": "format"}.get(style)
    extra = format_html(' data-{}="{}"', attribute, style) if attribute else ""
    return format_html('<time datetime="{}"{}>{}</time>', stamp, extra, f"{at:%d %b %H:%M:%S} UTC")


@register.filter
def stamp(at: datetime | None) -> str:
    """The bare UTC time stamp, for attributes."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


@register.filter
def span(seconds: float | timedelta | None) -> str:
    """Words of a span given in seconds: 0.3 s, 9 s, 12 min 08 s, 3 h 42 min, 2 d 4 h."""
    if seconds is None:
        return ""
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if total < 10:
        return _("%(n)s s") % {"n": f"{total:.1f}"}
    minutes, rest = divmod(int(total), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return _("%(d)s d %(h)s h") % {"d": days, "h": hours_left}
    if hours:
        return _("%(h)s h %(m)s min") % {"h": hours, "m": f"{minutes_left:02}"}
    if minutes:
        return _("%(m)s min %(s)s s") % {"m": minutes, "s": f"{rest:02}"}
    return _("%(n)s s") % {"n": int(total)}


@register.filter
def share(part: float | None, whole: float | None) -> str:
    """``part`` of ``whole`` as a percentage for the width of a bar, 0 to 100."""
    if not part or not whole:
        return "0%"
    return f"{min(100.0, max(0.0, 100.0 * float(part) / float(whole))):.1f}%"


@register.filter
def initials(person: object) -> str:
    """One or two capitals that stand for a person beside the full name."""
    words = re.findall(r"\w+", str(person))
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.filter
def short(digest: str) -> str:
    """A digest as people compare it: the first and last four digits."""
    bare = str(digest).removeprefix("sha256:")
    return f"{bare[:4]}…{bare[-4:]}" if len(bare) > 9 else bare


@register.filter
def human(name: str) -> str:
    """A name from code as words: ``issue_refund`` becomes ``Issue refund``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.:/]+", " ", str(name)).strip()
    return words[:1].upper() + words[1:].lower() if words else str(name)


@register.filter
def plain(stored: Any) -> str:
    """A stored value as text: strings as they are, everything else as JSON."""
    value = masking.value(decode(stored))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


@register.filter
def listed(value: Any) -> str:
    """A value, or the several of a list, in one line."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@register.filter
def masked(text: object) -> str:
    """Plain text with its secrets masked, where :func:`visible` has no place, such as a page's title."""
    return masking.text(str(text))


@register.filter
def visible(text: object) -> SafeString:
    """Text from the agent or from outside, its secrets masked, escaped, with every invisible or direction-changing character
    shown by its code."""
    return mark_safe(_BEYOND_ASCII.sub(_shown, escape(masking.text(str(text)))))  # noqa: S308 - escaped right here


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    if unicodedata.category(char) in _UNSEEN:
        return f'<span class="odd">U+{ord(char):04X}</span>'
    return char


def _choice(value: Choices | str) -> tuple[str, str]:
    """The stored word and the shown word of a choice; a bare string is shown with a capital."""
    label = getattr(value, "label", None)
    return str(value), str(label) if label is not None else str(value).capitalize()
