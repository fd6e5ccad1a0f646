"""The small words and marks that every page is made of."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.template import Context, Template

from agentdesk.digests import encode
from agentdesk.templatetags import desk

AT = datetime(2026, 11, 24, 13, 53, 27, 480_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (12, "12 s"),
        (728, "12 min 08 s"),
        (13_320, "3 h 42 min"),
        (187_200, "2 d 4 h"),
        (timedelta(minutes=1), "1 min 00 s"),
    ],
)
def test_it_says_a_span(seconds, words):
    assert desk.span(seconds) == words


@pytest.mark.parametrize(
    ("name", "capitals"), [("Robin Vale", "RV"), ("robin", "R"), ("Ana de la Cruz", "AC"), ("", ""), ("ß ö", "SSÖ")]
)
def test_it_names_a_person_in_one_or_two_capitals(name, capitals):
    assert desk.initials(name) == capitals


def test_it_gives_times_in_utc_with_a_text_for_pages_without_script():
    berlin = AT.astimezone(timezone(timedelta(hours=1)))
    assert desk.when(berlin) == '<time datetime="2026-11-24T13:53:27.480Z">24 Nov 13:53:27 UTC</time>'
    assert 'data-relative="left"' in desk.when(AT, "left")
    assert 'data-format="full"' in desk.when(AT, "full")
    assert desk.when(None) == desk.stamp(None) == ""
    assert desk.stamp(berlin) == "2026-11-24T13:53:27Z"


def test_it_makes_names_from_code_readable():
    assert desk.human("issue_refund") == "Issue refund"
    assert desk.human("sendEmail") == "Send email"
    assert desk.human("interrupt:ask.me") == "Interrupt ask me"
    assert desk.human("_") == "_"


def test_it_shortens_digests_and_leaves_short_ones():
    assert desk.short("sha256:" + "ab" * 32) == "abab…abab"
    assert desk.short("abc") == "abc"


def test_it_keeps_bars_between_nothing_and_all():
    assert [desk.share(*pair) for pair in ((1, 4), (5, 4), (-1, 4), (None, 4), (1, 0))] == [
        "25.0%",
        "100.0%",
        "0.0%",
        "0%",
        "0%",
    ]


def test_it_shows_what_cannot_be_seen():
    shown = desk.visible("a\u202eb\u200bc\x00<b>ü\U000e0041\n")
    assert shown == (
        'a<span class="odd">U+202E</span>b<span class="odd">U+200B</span>c<span class="odd">U+0000</span>&lt;b&gt;ü'
        '<span class="odd">U+E0041</span>\n'
    )


def test_it_shows_stored_values_as_people_know_them():
    assert desk.plain(encode("text")) == "text"
    assert desk.plain(encode({"n": 2**60})) == '{\n  "n": 1152921504606846976\n}'


def test_it_marks_risk_by_shape_and_word():
    html = Template('{% load desk %}{% risk_chip "high" %}|{% risk_mark "low" %}').render(Context())
    chip, mark = html.split("|")
    assert '<span class="risk high">' in chip
    assert "#i-risk-high" in chip
    assert chip.endswith("High</span>")
    assert mark.endswith('<span class="vh">Low</span>')
