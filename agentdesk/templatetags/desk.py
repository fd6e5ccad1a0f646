"""Small words and marks that every page is made of: icons, times, spans, people, risk, and text from outside made visible."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django import template
from django.conf import settings
from django.db.models import Choices
from django.templatetags.static import static
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode
from agentdesk.figures import figure
from agentdesk.people.keys import ACTS, FIXED, map_of
from agentdesk.visible import made_visible

register = template.Library()

PRODUCTION = frozenset({"production", "prod", "live"})
MOST_IN_A_BOX = 100_000  # characters; a page of its own shows what is longer
HEAD, TAIL = 60_000, 20_000


@register.simple_tag
@cache
def icon(name: str, tone: str = "") -> SafeString:
    """One icon of the sprite, hidden from screen readers: the word stands beside it."""
    classes = f"icon {tone}" if tone else "icon"
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, static("icons.svg"), name)


@register.simple_tag(takes_context=True)
def act(context: template.Context, name: str) -> SafeString:
    """The attributes of a control that has a key: what it does, and for screen readers the viewer's own key."""
    shown = _key_of(context, name)
    shortcut = f"Shift+{shown}" if shown.isupper() else shown
    # For two keys after one another ARIA has no word.
    said = format_html(' aria-keyshortcuts="{}"', shortcut) if len(shown) == 1 else ""
    return format_html('data-act="{}"{}', name, said)


@register.simple_tag(takes_context=True)
def key(context: template.Context, name: str, place: str = "") -> SafeString:
    """The viewer's own key of an act, to be seen beside the act's words. Never in what is pushed: there is no viewer there."""
    shown = _key_of(context, name)
    classes = f"key {place}".rstrip()
    return format_html('<kbd class="{}" aria-hidden="true">{}</kbd>', classes, shown) if shown else SafeString()


@register.simple_tag(takes_context=True)
def key_map(context: template.Context) -> str:
    """All of the viewer's keys as JSON, for the scripts."""
    return json.dumps(_keys_of(context), ensure_ascii=False, separators=(",", ":"))


@register.simple_tag(takes_context=True)
def keyboard(context: template.Context) -> dict[str, Any]:
    """What the map of keys says: name, the viewer's key and words of each act, and the keys that nobody changes."""
    keys = _keys_of(context)
    return {"acts": [(each.name, keys[each.name], each.words) for each in ACTS], "fixed": FIXED}


@register.filter
def typed(key: str) -> SafeString:
    """A key as it is typed: one mark for each press."""
    return format_html_join(" ", "<kbd>{}</kbd>", ((press,) for press in key.split()))


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


@register.simple_tag
def environment() -> SafeString:
    """Where what is decided here happens, as an admin named it: inverse in production, an outline elsewhere, empty without a
    name."""
    name = settings.ENVIRONMENT
    if not name:
        return SafeString("")
    tone = " prod" if name.casefold() in PRODUCTION else ""
    return format_html('<span class="env{}">{}</span>', tone, name[:1].upper() + name[1:])


@register.filter
def when(at: datetime | None, style: str = "") -> SafeString | str:
    """A ``<time>`` in UTC, which the browser shows in the reader's zone. ``style``: full, clock, left, ago or since."""
    if at is None:
        return ""
    at = at.astimezone(UTC)
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attribute = {"left": "relative", "ago": "relative", "since": "relative", "full": "format", "clock": "format"}.get(style)
    extra = format_html(' data-{}="{}"', attribute, style) if attribute else ""
    # Translators: how a moment is written, in Django's letters for dates: 24 Nov 13:53:27
    text = date_format(at, _("d M H:i:s"))
    return format_html('<time datetime="{}"{}>{} UTC</time>', stamp, extra, text)


@register.filter(name="figure")
def figure_of(number: int | Decimal) -> str:
    """A number in digits, as the page's language writes it."""
    return figure(number)


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
        return _("%(n)s s") % {"n": figure(Decimal(f"{total:.1f}"))}
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


@register.simple_tag
def spans() -> str:
    """The words of spans for static/js/time.js, which lets them tick."""
    words = {
        "days": _("%(d)s d %(h)s h"), "hours": _("%(h)s h %(m)s min"), "minutes": _("%(m)s min %(s)s s"),
        "seconds": _("%(n)s s"), "minute": _("%(m)s min"),
    }  # fmt: skip
    return json.dumps(words, ensure_ascii=False)


@register.simple_block_tag
def part(content: str) -> SafeString:
    """``{% part as what %}<b>…</b>{% endpart %}``: marked-up text under a name, to be set into a translated sentence. So its
    place in the sentence is the translator's to choose."""
    return mark_safe(content.strip())  # noqa: S308 - what the template rendered, escaped as it was


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
def worded(name: str) -> str:
    """The same for names of the desk's own, in the reader's language; they are listed for translators where they belong."""
    return _(human(name))


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
    shown by its code, and look-alike letters named."""
    return made_visible(masking.text(str(text)))


def _keys_of(context: template.Context) -> dict[str, str]:
    """The viewer's key of each act; the usual ones where nobody in particular looks."""
    user = context.get("user")
    return user.key_map if user is not None else map_of({})


def _key_of(context: template.Context, name: str) -> str:
    """The viewer's key of an act; "" where they have switched keys off. Raises KeyError for an act that there is not."""
    user = context.get("user")
    return _keys_of(context)[name] if user is None or user.uses_keys else ""


@register.filter
def boxed(text: object) -> SafeString:
    """The same for a box that scrolls inside itself. Of what is longer than a page can bear, its beginning and its end; what
    lies between them is counted."""
    shown = masking.text(str(text))
    if len(shown) <= MOST_IN_A_BOX:
        return made_visible(shown)
    left_out = len(shown) - HEAD - TAIL
    told = _("%(n)s characters between these two parts are not shown here") % {"n": figure(left_out)}
    parts = (made_visible(shown[:HEAD]), told, made_visible(shown[-TAIL:]))
    return format_html('{}\n<span class="odd">{}</span>\n{}', *parts)


@register.filter
def is_cut(text: object) -> bool:
    """Whether :func:`boxed` leaves something of it out."""
    return len(str(text)) > MOST_IN_A_BOX


def _choice(value: Choices | str) -> tuple[str, str]:
    """The stored word and the shown word of a choice. A bare string, as the database gives it, is shown with a capital: so the
    label is written, which is how its translation is found."""
    label = getattr(value, "label", None)
    return str(value), str(label) if label is not None else _(str(value).capitalize())
