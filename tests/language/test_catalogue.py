"""Whether a language is complete: every text translated, and every translation fit to take its place."""

import re

import pytest
from django.conf import settings

from tests.language.catalogue import LOCALE, read, used

LANGUAGES = [code for code, _name in settings.LANGUAGES if code != "en"]
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def entries_of(language):
    return read(LOCALE / language / "LC_MESSAGES" / "django.po")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    entries = entries_of(language)
    missing = [text for text in used() if text not in entries or not entries[text].is_translated]
    assert missing == [], f"{len(missing)} texts are not translated, or only guessed (fuzzy)"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_hold_what_is_set_into_them(language):
    wrong = []
    for entry in entries_of(language).values():
        if not entry.msgid or not entry.is_translated:
            continue
        wanted = set(_PLACEHOLDER.findall(entry.msgid)) | set(_PLACEHOLDER.findall(entry.plural))
        may_lack = set(_PLACEHOLDER.findall(entry.plural)) - set(_PLACEHOLDER.findall(entry.msgid)) if entry.plural else set()
        for number, text in enumerate(entry.strings):
            lacks = wanted - set(_PLACEHOLDER.findall(text)) - (may_lack if number == 0 else set())
            if lacks or set(_PLACEHOLDER.findall(text)) - wanted:
                wrong.append((entry.msgid, text))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_begin_and_end_as_the_text_does(language):
    def ends(text):
        return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]

    translated = [entry for entry in entries_of(language).values() if entry.msgid and entry.is_translated]
    assert [entry.msgid for entry in translated for text in entry.strings if ends(text) != ends(entry.msgid)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_plural_form_has_a_text(language):
    entries = entries_of(language)
    forms = int(re.search(r"nplurals=(\d)", entries[""].strings[0])[1])
    assert [entry.msgid for entry in entries.values() if entry.plural and len(entry.strings) != forms] == []
