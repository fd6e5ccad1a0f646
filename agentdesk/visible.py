"""Text of agents, models and outsiders, so that people can trust their eyes: escaped, what nobody sees shown by its code,
letters that pass for others named, empty lines counted. Nothing is left out: a run of one character or of empty lines is told
with its number, and what stands behind it is not pushed out of sight."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import partial

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agentdesk.figures import figure

MOST_EMPTY_LINES = 3  # in a row, shown as they are
MOST_MARKS = 3  # on one letter: more of them would reach over the lines around
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
# Invisible, though Unicode files them under letters, marks and symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_EMPTY_LINES = re.compile(rf"\n(?:[ \t\r]*\n){{{MOST_EMPTY_LINES + 1},}}")
_IN_WORD = r"[\w.@\u0300-\u036f]"  # addresses and domains are one word: their parts are read together
# Scripts with letters that look like Latin ones. Han, Arabic, Thai and others stand beside Latin letters in honest words.
_ALIKE = {
    "CYRILLIC": "Cyrillic", "GREEK": "Greek", "ARMENIAN": "Armenian", "CHEROKEE": "Cherokee", "COPTIC": "Coptic",
    "LISU": "Lisu", "DESERET": "Deseret", "GEORGIAN": "Georgian",
}  # fmt: skip
_STYLED = frozenset({"MATHEMATICAL", "FULLWIDTH", "CIRCLED", "PARENTHESIZED", "SQUARED", "NEGATIVE"})


def made_visible(text: str) -> SafeString:
    """``text`` as HTML that holds nothing but it and these marks."""
    shown: str = escape(text)
    letters = set(shown)  # what is rare is looked for only where it is: most texts have none of it
    shown = _with_scripts(shown, letters)
    shown = _with_codes(shown, letters)
    if not letters.isdisjoint("\n"):
        shown = _EMPTY_LINES.sub(_counted, shown)
    return mark_safe(shown)  # noqa: S308 - escaped right here


def _with_scripts(shown: str, letters: set[str]) -> str:
    """Words that mix Latin letters with letters that look like them, and letters that only look like letters, each with a word
    on it."""
    kinds = {char: unicodedata.name(char, "").partition(" ")[0] for char in letters if char > "~" and char.isalpha()}
    alike = [char for char, kind in kinds.items() if kind in _ALIKE]
    styled = [char for char, kind in kinds.items() if kind in _STYLED]
    if not alike and not styled:
        return shown
    latin = "A-Za-z" + "".join(char for char, kind in kinds.items() if kind == "LATIN")

    def has(chars: Iterable[str]) -> str:
        return f"(?={_IN_WORD}*[{''.join(chars)}])"

    ways = [*([has(latin) + has(alike)] if alike else []), *([has(styled)] if styled else [])]
    word = re.compile(rf"(?<!{_IN_WORD})(?:{'|'.join(ways)}){_IN_WORD}+")
    return word.sub(partial(_named, kinds), shown)


def _named(kinds: Mapping[str, str], match: re.Match[str]) -> str:
    found = {kinds.get(char, "") for char in match[0]}
    scripts = [name for kind, name in _ALIKE.items() if kind in found]
    if found & _STYLED:
        scripts.append(_("styled"))
    told = _("contains %(scripts)s letters") % {"scripts": ", ".join(scripts)}
    return f'<span class="alike">{match[0]}</span><span class="odd">{escape(told)}</span>'


def _with_codes(shown: str, letters: set[str]) -> str:
    """What nobody sees, by its code; many of one in a row as one with their number."""
    odd = [char for char in letters if not " " <= char <= "~" and char not in "\n\r\t" and _may_be_unseen(char)]
    if not odd:
        return shown
    return re.sub(f"([{''.join(map(re.escape, odd))}])\\1*", _code, shown)


def _may_be_unseen(char: str) -> bool:
    category = unicodedata.category(char)
    return category in _UNSEEN or category in _MARKS or char in _BLANK


def _code(match: re.Match[str]) -> str:
    char, count = match[1], len(match[0])
    if unicodedata.category(char) in _MARKS and char not in _BLANK and not _is_too_much(match, char, count):
        return match[0]
    times = f" × {count:,}" if count > 1 else ""
    return f'<span class="odd">U+{ord(char):04X}{times}</span>'


def _is_too_much(match: re.Match[str], char: str, count: int) -> bool:
    """Whether a mark is more than a letter has, or a selector that nobody sees and that no emoji has before it."""
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        before = match.string[max(0, match.start() - 1) : match.start()]
        is_emojis = bool(before) and (unicodedata.category(before) in ("So", "Sm", "Po") or before in "0123456789#*")
        return char != "\ufe0f" or count > 1 or not is_emojis
    before = match.string[max(0, match.start() - MOST_MARKS) : match.start()]
    return count > MOST_MARKS or (len(before) == MOST_MARKS and all(unicodedata.category(one) in _MARKS for one in before))


def _counted(match: re.Match[str]) -> str:
    count = match[0].count("\n") - 1
    told = ngettext("%(n)s empty line", "%(n)s empty lines", count) % {"n": figure(count)}
    return "\n" + format_html('<span class="odd">{}</span>', told) + "\n"
