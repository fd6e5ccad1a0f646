"""What an agent's own payload says for itself: read as far as it is evidence, and cut where it is too long."""

import pytest

from approvals import evidence


def test_it_reads_sources_and_alternatives():
    told = {"evidence": [{"title": "Mail", "quote": "yes", "url": "https://a.example", "html": "<b>"}], "alternatives": ["no"]}
    assert evidence.read(told) == ([{"title": "Mail", "quote": "yes", "url": "https://a.example"}], ["no"])


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "text",
        [],
        {"evidence": 5, "alternatives": "x"},
        {"evidence": [5, None, {}, {"url": "x"}], "alternatives": [{}]},
    ],
)
def test_what_has_another_shape_is_left_to_the_payload(value):
    assert evidence.read(value) == ([], [])


def test_too_much_is_cut():
    told, others = evidence.read({"evidence": [{"quote": "x" * 9_000}] * 50, "alternatives": ["y" * 900] * 50})
    assert (len(told), len(told[0]["quote"]), len(others), len(others[0])) == (20, 2_000, 10, 500)


def test_what_the_database_refuses_is_replaced():
    assert evidence.read({"evidence": [{"quote": "a\x00\ud800"}], "alternatives": ["\x00"]}) == (
        [{"quote": "a\ufffd\ufffd"}], ["\ufffd"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example/x", "a.example"), ("https://a.example:8443/x", "a.example:8443"), ("http://a.example", ""),
        ("javascript:alert(1)", ""), ("https://a.example@evil.example/", ""), ("https://evil", ""), ("//a.example", ""),
        ("https://p\u0430ypal.com", ""), ("https://a.example/\n", ""), ("https://a.example:x/", ""), ("https://[::1", ""),
        ("data:text/html,x", ""), ("", ""), ("https://a.example\\@evil.example", ""),
    ],
)  # fmt: skip
def test_only_a_link_that_reads_as_what_it_is_can_be_followed(url, host):
    assert evidence.host_of(url) == host
