"""Whatever an agent passes: it is stored, comes back the same, and keeps its digest."""

import datetime as dt
import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from agentdesk.digests import action_digest, decode, digest, encode
from approvals.models import Approval
from tests.approvals.cast import make_approval, make_team

text = st.text(max_size=20) | st.text(alphabet='ab"\\$\x00\x01\u2028\ud800\udfff😀', max_size=10)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | text
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=10)
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.times()
    | st.uuids()
)
keys = text | st.just("$") | st.integers()
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
)


def same(one: Any, other: Any) -> bool:
    """Equal in value and type, NaN included."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@given(values)
def test_it_decodes_what_it_encoded(value):
    assert same(decode(encode(value)), value)


@given(values)
def test_it_has_one_digest_however_often_it_was_stored(value):
    assert digest(decode(encode(value))) == digest(value)


@given(st.dictionaries(text, scalars, min_size=2, max_size=5))
def test_it_does_not_care_for_the_order_of_names(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(values, values)
def test_it_tells_different_values_apart(one, other):
    if encode(one) != encode(other):
        assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "value", [2**53, -(2**60), "\x00", "\ud800", b"x", dt.date(2026, 1, 1), UUID(int=5), {"a": {"$": "int"}}, {1: 2}]
)
def test_it_cannot_be_forged_by_looking_like_a_stored_value(value):
    looks_alike = encode(value)
    assert looks_alike != value
    assert digest(looks_alike) != digest(value)
    assert same(decode(encode(looks_alike)), looks_alike)


def test_it_depends_on_every_part_of_an_action():
    digests = {
        action_digest("a", "b", "c", {"d": 1}),
        action_digest("x", "b", "c", {"d": 1}),
        action_digest("a", "x", "c", {"d": 1}),
        action_digest("a", "b", "x", {"d": 1}),
        action_digest("a", "b", "c", {"d": 2}),
        action_digest("a", "b", "c", {"d": "1"}),
        action_digest("a", "b", "c", {"d": True}),
    }
    assert len(digests) == 7


class InTheDatabase(TestCase):
    @given(st.dictionaries(text, values, max_size=3))
    def test_it_comes_back_from_the_database_with_the_same_digest(self, args: dict[str, Any]) -> None:
        made = make_approval(make_team(), args=args, args_schema=None)
        stored = Approval.objects.get(pk=made.pk)
        plain = decode(stored.args)
        assert action_digest(stored.agent, stored.action, stored.schema_version, plain) == stored.digest == made.digest
