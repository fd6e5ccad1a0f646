"""Which secrets are masked, what is left alone, and that what people leave masked comes back exact."""

import json
import logging
import time

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from agentdesk import masking
from agentdesk.masking import MARK
from agentdesk.telemetry import JsonFormatter

SECRETS = [
    ("key sk-proj-abcdefghijklmnop1234", "sk-proj-abcdefghijklmnop1234"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123456789"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
    ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEcut", "MIIEcut"),
    ("postgres://ada:hunter2@db.example/x", "hunter2"),
    ("card 4111 1111 1111 1111 please", "4111 1111 1111"),
    ("card 4111-1111-1111-1111.", "4111-1111-1111"),
    ("378282246310005", "37828224631"),
    ("pay to DE89 3704 0044 0532 0130 00 by noon", "3704 0044 0532"),
    ("GB82WEST12345698765432", "WEST1234569876"),
    ("password=hunter2", "hunter2"),
    ('{"api_key": "abcd1234"}', "abcd1234"),
    ('{\\"apiKey\\": \\"abcd1234\\"}', "abcd1234"),
    ("DB_PASSWORD: s3cr3t!", "s3cr3t!"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_it_masks_secrets_by_their_form(text, secret):
    masked = masking.text(text)
    assert secret not in masked
    assert MARK in masked
    assert masking.text(masked) == masked, "masking again changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "order 48102, 1,860.00 EUR", "0198f3a2-7c1e-7d3e-9f10-1b2c3d4e5f60", "sha256:" + "ab12" * 16, "1234567812345678",
        "https://example.com/a?b=c", "input_tokens: 2000", "The password was wrong.", "Bearer of bad news",
        "2026-11-22T10:00:00.000000+00:00", "DE00 3704 0044 0532 0130 00", "call +49 30 901820 now", "a basic understanding",
    ],
)  # fmt: skip
def test_it_leaves_alone_what_is_none(text):
    assert masking.text(text) == text


def test_it_masks_what_stands_under_the_name_of_a_secret_whatever_its_form():
    value = {"user": "ada", "password": "x", "dbPassword": 12, "nested": [{"access-token": "y", "tokens": 5}], "secret": None,
             "credentials": {"name": "a", "list": ["b", True]}}  # fmt: skip
    assert masking.value(value) == {
        "user": "ada", "password": MARK, "dbPassword": MARK, "nested": [{"access-token": MARK, "tokens": 5}], "secret": None,
        "credentials": {"name": MARK, "list": [MARK, True]},
    }  # fmt: skip


def test_admins_add_names_and_patterns():
    with override_settings(MASKED_NAMES=["badge"], MASKED_PATTERNS=[r"CASE-\d{6}"]):
        assert masking.value({"badge": "7", "text": "see CASE-123456"}) == {"badge": MARK, "text": f"see {MARK}"}


def test_revealed_shows_all_and_only_inside():
    with masking.revealed():
        assert masking.value({"password": "x"}) == {"password": "x"}
        assert masking.text("password=hunter2") == "password=hunter2"
    assert masking.text("password=hunter2") == f"password={MARK}"


def test_a_log_line_holds_no_secret():
    try:
        raise ValueError("postgres://ada:hunter2@db")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "f", 1, "token=%s", ("abcdef123",), (type(error), error, error.__traceback__))
    line = JsonFormatter().format(record)
    assert "hunter2" not in line
    assert "abcdef123" not in line
    assert json.loads(line)["message"] == f"token={MARK}"


def test_what_is_left_masked_comes_back_exact_and_a_text_around_a_mask_is_told():
    exact = {"to": "ada", "password": "x", "list": ["password=hunter2", "b"]}
    given_back = masking.value(exact) | {"to": "bob"}
    assert masking.restored(exact, given_back) == exact | {"to": "bob"}
    broken = {"to": f"{MARK} and more", "password": "new", "list": [f"password={MARK} or so", "b"]}
    assert masking.left_masked(exact, masking.restored(exact, broken)) == ["to", "list.0"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([text for text, _secret in SECRETS]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "password", "token", "to"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(exact=st.dictionaries(st.sampled_from(["a", "password", "to"]), json_values, max_size=3))
def test_an_untouched_masked_form_brings_back_what_it_was_made_of(exact):
    assert masking.restored(exact, masking.value(exact)) == exact


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "4" * 100_000, "://a:" * 20_000, "DE12 " * 20_000, "password:" * 10_000, "A-" * 50_000]
)
def test_long_texts_cost_little(text):
    began = time.process_time()
    masking.text(text)
    assert time.process_time() - began < 3


def test_rows_that_changed_places_take_no_secret_along():
    exact = {"payees": [{"name": "ada", "token": "t-1"}, {"name": "bob", "token": "t-2"}]}
    shown = masking.value(exact)
    assert masking.restored(exact, shown) == exact
    swapped = {"payees": list(reversed(shown["payees"]))}
    assert masking.restored(exact, swapped) == swapped
    assert masking.left_masked(exact, masking.restored(exact, swapped)) == ["payees.0.token", "payees.1.token"]
