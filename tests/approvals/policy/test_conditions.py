"""One condition: what it compares, what it cannot tell, and how doubt is read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.policy.conditions import OPERATORS, CannotTell, number_of, problems, problems_of_all, tell
from approvals.policy.paths import values_at


def holds(path, op, value, every=False, **args):
    return tell({"path": path, "op": op, "value": value}, args, every=every).holds


@pytest.mark.parametrize(
    ("actual", "op", "value", "expected"),
    [
        ("50.00", "<=", 50, True),
        ("50.01", "<=", 50, False),
        (50, "=", "50.00", True),
        (0.1, "=", "0.1", True),
        ("0.30", "<", 0.3, False),
        (Decimal("49.99"), "<", "50", True),
        (" 9999 ", ">", 50, True),
        ("1e4", ">", 50, True),
        (2**60 + 1, ">", 2**60, True),
        ("A-1", "=", "A-1", True),
        ("a-1", "=", "A-1", False),
        ("EUR", "!=", "USD", True),
        (True, "=", True, True),
        ("EUR", "in", ["EUR", "USD"], True),
        (5, "in", ["x", "5.0"], True),
        ("CHF", "in", ["EUR", 5], False),
        ("me@example.com", "ends", "@example.com", True),
        ("refund please", "contains", "fund", True),
        (["a", "b"], "contains", "b", True),
        ([1, 2], "contains", "2.0", True),
        ("DE-1", "starts", "DE", True),
        ("DE-1", "glob", "DE-*", True),
        ("abc", "length", "<= 3", True),
        ([1, 2], "length", 2, True),
        ({"a": 1}, "length", "> 1", False),
        ("2026-11-22", ">", "2026-11-21", True),
        ("2026-11-22T10:00:00Z", "<", "2026-11-22T12:00:00+01:00", True),
    ],
)
def test_it_compares(actual, op, value, expected):
    assert holds("x", op, value, x=actual) is expected


@pytest.mark.parametrize(
    ("actual", "op", "value"),
    [
        ("fifty", "<=", 50),
        ("1,000", "<=", 50),
        ("1_000", "<=", 50),
        ("٥٠", "<=", 50),
        (None, "<=", 50),
        (True, "<=", 50),
        (True, "=", 1),
        (1, "=", True),
        (float("nan"), "<=", 50),
        (float("inf"), "<=", 50),
        ("NaN", "<=", 50),
        ("Infinity", ">", 50),
        ({"amount": 1}, "<=", 50),
        ([5], "<=", 50),
        ({}, "in", ["a"]),
        (5, "starts", "5"),
        (5, "length", 1),
        ("9" * 500, "<=", 50),
    ],
)
def test_it_cannot_tell_about_another_type(actual, op, value):
    assert holds("x", op, value, x=actual) is None


def test_it_cannot_tell_about_what_is_missing():
    assert holds("x", "<=", 50) is None
    assert holds("a.b", "<=", 50, a=5) is None


def test_it_tells_what_is_there():
    assert holds("x", "exists", True, x=0) is True
    assert holds("x", "exists", True, x=None) is False
    assert holds("x", "exists", False) is True


def test_it_follows_paths():
    args = {"lines": [{"price": "1.00"}, {"price": "9.00"}], "customer": {"mail": "x@y"}}
    assert values_at(args, ["customer", "mail"]) == ["x@y"]
    assert values_at(args, ["lines", "1", "price"]) == ["9.00"]
    assert values_at(args, ["lines", "*", "price"]) == ["1.00", "9.00"]
    assert (
        values_at(args, ["lines", "2", "price"])
        == values_at(args, ["lines", "x", "price"])
        == values_at(args, ["customer", "mail", "0"])
        == []
    )


def test_it_wants_every_entry_only_for_rules_that_allow():
    lines = [{"price": "1.00"}, {"price": "9.00"}]
    assert holds("lines.*.price", ">", 5, every=False, lines=lines) is True
    assert holds("lines.*.price", ">", 5, every=True, lines=lines) is False
    assert holds("lines.*.price", "<=", 9, every=True, lines=lines) is True
    assert holds("lines.*.price", "<=", 9, every=True, lines=[*lines, {"price": None}]) is None
    assert holds("lines.*.price", "<=", 9, every=True, lines=[]) is None


@pytest.mark.parametrize(
    "condition",
    [
        None,
        [],
        "amount <= 50",
        {},
        {"path": "x", "op": "~", "value": 1},
        {"path": "", "op": "=", "value": 1},
        {"path": "a b", "op": "=", "value": 1},
        {"path": 5, "op": "=", "value": 1},
        {"path": "@secret", "op": "=", "value": 1},
        {"path": "x", "op": "<=", "value": "fifty"},
        {"path": "x", "op": "<=", "value": None},
        {"path": "x", "op": "=", "value": {"a": 1}},
        {"path": "x", "op": "=", "value": float("nan")},
        {"path": "x", "op": "in", "value": "EUR"},
        {"path": "x", "op": "in", "value": []},
        {"path": "x", "op": "exists", "value": "yes"},
        {"path": "x", "op": "length", "value": "about 5"},
        {"path": "x", "op": "starts", "value": ""},
        {"path": "x", "op": "glob", "value": "*" * 500},
        {"path": "x", "op": "=", "value": 1, "and": 2},
    ],
)
def test_it_says_what_is_wrong_and_cannot_tell(condition):
    assert problems(condition)
    assert all(isinstance(text, str) and text for text in problems(condition))
    assert tell(condition, {"x": 1}, every=False).holds is None


def test_it_numbers_the_problems_of_a_rule():
    texts = problems_of_all([{"path": "x", "op": "=", "value": 1}, {"path": "x", "op": "?", "value": 1}])
    assert len(texts) == 1
    assert "2" in texts[0]
    assert problems_of_all("x") != []


def test_it_finds_nothing_wrong_with_what_works():
    for op, value in [("=", "a"), ("<=", "50.00"), ("in", ["a", 1]), ("exists", False), ("length", "> 3"), ("glob", "a*")]:
        assert problems({"path": "a.0.b", "op": op, "value": value}) == []
    assert problems({"path": "@input.order.id", "op": "=", "value": "x"}) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
conditions = st.fixed_dictionaries(
    {"path": st.sampled_from(["x", "x.a", "x.*", "x.0", "@input", "*"]), "op": st.sampled_from(OPERATORS), "value": json_values}
)


@given(conditions | json_values, json_values, st.booleans())
def test_it_never_raises(condition, actual, every):
    told = tell(condition, {"x": actual, "@input": actual}, every=every)
    assert told.holds in (True, False, None)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_it_reads_money_exactly(amount):
    assert number_of(str(amount)) == amount
    assert holds("x", "<=", str(amount), x=str(amount)) is True
    assert holds("x", "<", str(amount), x=str(amount)) is False


def test_it_takes_no_truth_for_a_number():
    with pytest.raises(CannotTell):
        number_of(True)
