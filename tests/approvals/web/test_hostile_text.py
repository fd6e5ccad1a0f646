"""Text that is made to deceive or to drown the reader: shown for what it is, all of it, and the arguments stay in sight."""

import hashlib
import re
import time

import pytest
from django.urls import reverse

from agentdesk.templatetags.desk import visible
from approvals.web import display, fragments
from tests.approvals.cast import make_approval

QUICK = 2.0  # seconds of this thread's own work for a card


def card(approval) -> str:
    loaded = fragments.load(approval.pk)
    assert loaded is not None
    return fragments.render_card(loaded)


def plain(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u202eexe.txt", 'pay<span class="odd">U+202E</span>exe.txt'),
        ("a\u2066b\u2069", 'a<span class="odd">U+2066</span>b<span class="odd">U+2069</span>'),
        ("a\u200bb", 'a<span class="odd">U+200B</span>b'),
        ("a" + "\u200b" * 10_000 + "b", 'a<span class="odd">U+200B × 10,000</span>b'),
        ("a\U000e0041b", 'a<span class="odd">U+E0041</span>b'),
        ("a\u3164b", 'a<span class="odd">U+3164</span>b'),
        ("a\ufe0fb", 'a<span class="odd">U+FE0F</span>b'),
        ("✅\ufe0f", "✅\ufe0f"),
        ("a\u0301\u0302\u0303\u0304", 'a\u0301\u0302\u0303<span class="odd">U+0304</span>'),
        ("p\u0430ypal", '<span class="alike">p\u0430ypal</span><span class="odd">contains Cyrillic letters</span>'),
        (
            "x@p\u0430ypal.com",
            '<span class="alike">x@p\u0430ypal.com</span><span class="odd">contains Cyrillic letters</span>',
        ),
        ("\u0430\u0440\u0440.com", '<span class="alike">\u0430\u0440\u0440.com</span>'
                                   '<span class="odd">contains Cyrillic letters</span>'),
        ("b\u03bfb", '<span class="alike">b\u03bfb</span><span class="odd">contains Greek letters</span>'),
        ("\U0001d429ay", '<span class="alike">\U0001d429ay</span><span class="odd">contains styled letters</span>'),
        ("a\n\n\n\n\n\nb", 'a\n<span class="odd">5 empty lines</span>\nb'),
        ("a\n" + " \t\n" * 10_000 + "b", 'a\n<span class="odd">10,000 empty lines</span>\nb'),
    ],
)  # fmt: skip
def test_what_nobody_sees_and_what_looks_alike_is_named(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    ["Größe naïve Łódź", "Привет, Мир", "漢字かな Tokyo", "10 µm", "a\n\nb", "Tokyo東京", "An Привет", "שלום abc"],
)
def test_honest_text_is_left_as_it_is(text):
    assert visible(text) == text


def test_ten_thousand_new_lines_push_nothing_out_of_sight(team):
    text = "Dear Ada,\n" + "\n" * 10_000 + "send the money to Eve"
    shown = card(make_approval(team, action="send_email", args={"body": text, "to": "ada@example.com"}, args_schema=None))
    assert 'Dear Ada,\n<span class="odd">10,000 empty lines</span>\nsend the money to Eve' in shown
    assert f"{len(text)} characters" in shown.replace(",", "")
    assert "10002 lines" in shown.replace(",", "")
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert f'title="{digest}">sha256 {digest[:4]}…{digest[-4:]}' in shown


def test_a_digest_does_not_give_away_what_is_masked(team):
    shown = card(make_approval(team, args={"body": "x" * 200 + " password=hunter2 "}, args_schema=None))
    assert "hunter2" not in shown
    assert "title=" not in shown[shown.index('class="args"') : shown.index("</table>")]


@pytest.mark.parametrize("banner", ["✅ VERIFIED BY ADMIN", "## OK\n**safe** [ok](https://evil.example)", "<h1>Approved</h1>"])
def test_a_forged_banner_stays_in_the_agents_words_and_between_quotation_marks_in_ours(team, banner):
    shown = card(make_approval(
        team, action="send_email", args={"to": banner, "note": banner}, args_schema=None, reason=banner, description=banner
    ))  # fmt: skip
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", shown, re.DOTALL)
    assert heading is not None
    if "\n" in banner:
        assert heading[1] == "Send email"
    else:
        assert plain(heading[1]).startswith("Send email to “")
        assert heading[1].endswith("”")
    assert shown.count("<h1") == 1
    assert "<strong>" not in shown
    assert 'href="https://evil.example' not in shown
    words = re.search(r'<div class="said"[^>]*>(.*?)</div>', shown, re.DOTALL)
    assert words is not None
    assert "Written by the agent, not verified" in words[1]
    assert display.as_text(banner).splitlines()[0][:8] in plain(words[1]) or "&lt;h1&gt;" in words[1]


def test_quotation_marks_of_a_value_do_not_end_ours(team):
    approval = make_approval(team, action="send_email", args={"to": "x” approved by Ada “"}, args_schema=None)
    assert display.sentence(approval) == 'Send email to “x" approved by Ada "”'


@pytest.mark.parametrize("amount", ["1e1000000", "9" * 5_000, "1e-100000"])
def test_an_amount_that_nobody_can_read_is_not_said_in_the_sentence(team, amount):
    started = time.thread_time()
    approval = make_approval(team, args={"amount": amount, "currency": "EUR " * 500}, args_schema=None)
    assert display.sentence(approval) == "Issue refund"
    assert time.thread_time() - started < QUICK


def test_two_megabytes_are_shown_from_both_ends_with_the_rest_on_a_page_of_its_own(team, reviewer, browse, settings):
    settings.INPUT_MAX_BYTES = 8 * 1024 * 1024
    text = "begin " + "word " * 400_000 + "the end"
    approval = make_approval(team, args={"order_id": "A-1", "body": text}, args_schema=None)
    started = time.thread_time()
    shown = card(approval)
    assert time.thread_time() - started < QUICK
    assert len(shown) < 600_000
    assert ("begin word" in shown, "word the end" in shown) == (True, True)
    assert "characters between these two parts are not shown here" in shown
    assert f"{len(text)} characters" in shown.replace(",", "")
    assert shown.index("A-1") < shown.index("begin word")
    address = reverse("approvals:whole", args=[approval.pk, "action"])
    assert address in shown
    whole = browse(reviewer).get(address)
    assert whole.status_code == 200
    assert text in whole.text


def test_a_whole_text_is_of_those_who_see_the_approval_and_stays_masked(approval, team, browse, reviewer, stranger):
    for of in ("action", "answer", "payload"):
        address = reverse("approvals:whole", args=[approval.pk, of])
        assert browse(reviewer).get(address).status_code == 200
        assert browse(stranger).get(address).status_code == 404
        assert browse(reviewer).post(address).status_code == 405
    assert browse(reviewer).get(reverse("approvals:whole", args=[approval.pk, "other"])).status_code == 404
    secret = make_approval(team, args={"password": "hunter2"}, args_schema=None)
    assert "hunter2" not in browse(reviewer).get(reverse("approvals:whole", args=[secret.pk, "action"])).text


def test_deep_values_are_shown_in_a_box_of_their_own(team):
    deep = "the bottom"
    for _level in range(90):
        deep = {"a": deep}
    shown = card(make_approval(team, args={"order_id": "A-1", "deep": deep}, args_schema=None))
    assert '<div class="json"' in shown
    assert "the bottom" in shown


def test_five_thousand_arguments_leave_the_deciding_ones_in_sight(team):
    args = {f"name_{number}": f"value {number}" for number in range(5_000)} | {"amount": "9.50", "order_id": "A-1"}
    approval = make_approval(team, args=args, args_schema=None)
    started = time.thread_time()
    shown = card(approval)
    assert time.thread_time() - started < QUICK
    table = shown[shown.index('class="args"') : shown.index("</table>")]
    assert table.count("<tr") == display.MOST_ROWS
    assert "4,963 more arguments" in table
    assert table.index("9.50") < table.index("A-1") < table.index("name_")
    assert ("value 1" in table, "value 4999" in table, "Read all of it" in table) == (True, True, True)
    assert "value 2500" in fragments.action_json(approval)


def test_the_rest_of_many_arguments_says_that_a_person_changed_some_of_it(team):
    args = {f"name_{number}": number for number in range(60)}
    approval = make_approval(team, args=args, args_schema=None)
    approval.args = {**approval.args, "name_59": 7}
    assert display.rows(approval)[-1].origin == "person"
    assert '"name_59": 59' in (display.rows(approval)[-1].asked or "")
