"""The words around a value, in a text that says it in its own way."""

import time

import pytest

from approvals.policy.quotes import LONGEST, cut, place_of, texts_in

MAIL = "Dear desk, please  PAY 1.860,00 EUR until 16 November 2026 to DE89 3704 0044 0532 0130 00, Eve@Evil.example."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1860.00", "1.860,00"), (1860, "1.860,00"), ("please pay", "please  PAY"), ("eve@evil.example", "Eve@Evil.example"),
        ("2026-11-16", "16 November 2026"), ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
    ],
)  # fmt: skip
def test_it_finds_a_value_as_it_is_said(value, said):
    span = place_of(value, MAIL)
    assert span is not None
    assert said in MAIL[slice(*span)]


@pytest.mark.parametrize("value", ["186", "vil@evil.example", "", " ", None, "nobody", 17, "2026-11-17"])
def test_it_finds_no_part_of_a_word_and_nothing_that_is_not_there(value):
    assert place_of(value, MAIL) is None


def test_a_quote_is_short_and_breaks_at_words():
    text = "one two three " * 100 + "the value" + " four five six" * 100
    span = place_of("the value", text)
    assert span is not None
    quote = cut(text, span)
    assert (quote.value, quote.is_open) == ("the value", (True, True))
    assert len(quote.before + quote.value + quote.after) <= LONGEST
    assert quote.before.split()[0] in ("one", "two", "three")
    assert quote.after.split()[-1] in ("four", "five", "six")


def test_a_long_value_is_cut_itself():
    quote = cut("x" * 5_000, (0, 5_000))
    assert (len(quote.value), quote.after) == (LONGEST, "")


def test_a_whole_text_has_nothing_before_or_after():
    assert cut("short", (0, 5)) == type(cut("short", (0, 5)))("", "short", "")


def test_it_takes_texts_and_numbers_with_their_paths():
    found = list(texts_in({"a": ["x", 5, None, True], "b": {"c": "y"}}))
    assert found == [(("a", "0"), "x"), (("a", "1"), "5"), (("b", "c"), "y")]


@pytest.mark.parametrize("text", ["1 " * 100_000, "a" * 200_000, "1-" * 100_000, " " * 200_000, "9" * 200_000])
def test_no_text_takes_it_long(text):
    started = time.thread_time()
    for value in ("DE89370400440532013000", "1860.00", "2026-11-16", "please pay", "9" * 60):
        place_of(value, text)
    assert time.thread_time() - started < 3.0


def test_text_that_repeats_itself_costs_no_more_than_other_text():
    began = time.process_time()
    assert place_of("a " * 1999 + "b", "a " * 100_000) is None
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("wanted", "text", "found"),
    [
        ("Order 17", "the ORDER\n  17 of May", "ORDER\n  17"), ("cat", "concatenate, then a Cat.", "Cat"),
        ("cat", "concatenate", None), ("İstanbul", "to İstanbul today", "İstanbul"), ("ab", "ab", "ab"),
    ],
)  # fmt: skip
def test_words_are_found_whatever_blanks_stand_between(wanted, text, found):
    span = place_of(wanted, text)
    assert (text[span[0] : span[1]] if span else None) == found
