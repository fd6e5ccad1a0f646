"""A language that is none: every text of the catalogues in wide letters. What stays narrow never was given to translators."""

import re

import pytest
from django.utils.translation import trans_real

WIDE = str.maketrans(
    {chr(letter): chr(letter + 0xFEE0) for letter in [*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]}
)
_KEPT = re.compile(r"(%\(\w+\)[sd]|%[sd%]|\{\w+\}|<[^>]*>|&\w+;)")  # placeholders and mark-up


def wide(text: str) -> str:
    """``text`` as the test language has it."""
    return "".join(part if _KEPT.fullmatch(part) else part.translate(WIDE) for part in _KEPT.split(text))


class WideTranslation:
    """Stands in for the German catalogues, Django's and those of its packages included."""

    def language(self):
        return "de"

    def to_language(self):
        return "de"

    def gettext(self, message):
        return wide(message.rpartition("\x04")[2])

    def ngettext(self, singular, plural, number):
        return wide((singular if number == 1 else plural).rpartition("\x04")[2])


@pytest.fixture
def wide_letters(monkeypatch):
    """German is the test language, for this process."""
    monkeypatch.setitem(trans_real._translations, "de", WideTranslation())
