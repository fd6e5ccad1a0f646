"""Hours of the day, days of the week, and what an agent says of its own confidence."""

from datetime import UTC, datetime
from typing import Any

import pytest

from approvals.models.rules import Effect
from approvals.policy.conditions import problems, tell
from approvals.policy.evaluate import Facts, evaluate
from approvals.policy.exchange import BadPolicy, read
from approvals.policy.lint import Known, lint
from tests.approvals.policy.test_evaluate import TEAM, rule

SUNDAY = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)  # in Berlin 23:30, in Tokyo 07:30 on Monday


def holds(path: str, op: str, value: Any, *, at: datetime | None = SUNDAY, **facts: Any) -> bool | None:
    known = Facts(agent="a", team_id=TEAM, action="pay", args={}, at=at, **facts)
    return tell({"path": path, "op": op, "value": value}, known.scope(), every=False).holds


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("22:30-22:31", True), ("22:00-22:30", False), ("09:00 - 17:00", False), ("22:00-06:00", True), ("23:00-22:31", True),
        ("23:00-22:30", False), ("00:00-23:59", True),
    ],
)  # fmt: skip
def test_it_tells_the_hour_from_the_first_minute_on_and_without_the_last(span: str, expected: bool):
    assert holds("@time", "between", span) is expected


def test_it_uses_the_desks_zone_or_the_one_that_is_named():
    assert holds("@time", "between", "23:30-23:31", zone="Europe/Berlin") is True
    assert holds("@time.Asia/Tokyo", "between", "07:30-07:31", zone="Europe/Berlin") is True
    assert holds("@weekday", "=", "sun") is True
    assert holds("@weekday.Asia/Tokyo", "in", ["mon", "tue"]) is True
    assert holds("@weekday.America/Argentina/Buenos_Aires", "!=", "sun") is False


def test_it_follows_summer_time():
    july = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
    assert holds("@time.Europe/Berlin", "between", "09:00-17:00", at=july) is True
    assert holds("@time.Europe/Berlin", "between", "09:00-17:00", at=july.replace(month=12)) is False


def test_it_cannot_tell_without_a_moment():
    assert holds("@time", "between", "00:00-23:59", at=None) is None
    assert holds("@weekday", "in", ["sun"], at=None) is None


@pytest.mark.parametrize(
    "condition",
    [
        {"path": "@time", "op": "=", "value": "09:00"}, {"path": "@time", "op": "between", "value": "9-17"},
        {"path": "@time", "op": "between", "value": "09:00-09:00"}, {"path": "@time", "op": "between", "value": "09:00-25:00"},
        {"path": "amount", "op": "between", "value": "09:00-17:00"}, {"path": "@weekday", "op": "in", "value": ["monday"]},
        {"path": "@weekday", "op": "<", "value": "mon"}, {"path": "@time.No/City", "op": "between", "value": "09:00-17:00"},
        {"path": "@weekday.../etc", "op": "=", "value": "mon"}, {"path": "@confidence", "op": "<", "value": "high"},
        {"path": "@confidence.x", "op": "<", "value": 0.5}, {"path": "@confidence", "op": "exists", "value": True},
    ],
)  # fmt: skip
def test_it_says_what_is_wrong_and_then_cannot_tell(condition: dict[str, Any]):
    assert problems(condition)
    assert holds(**condition) is None


def test_an_argument_of_the_same_name_is_not_taken_for_the_fact():
    forged = Facts(agent="a", team_id=TEAM, action="pay", args={"@time": "10:00", "@confidence": 1, "@tally": {}}, at=SUNDAY)
    told = tell({"path": "@time", "op": "between", "value": "09:00-17:00"}, forged.scope(), every=False)
    assert (told.holds, told.actual) == (False, "22:30")
    assert tell({"path": "@confidence", "op": ">", "value": 0.5}, forged.scope(), every=False).holds is None


def test_every_argument_is_no_fact():
    known = Facts(agent="a", team_id=TEAM, action="pay", args={"to": "ada", "note": "ada"}, at=SUNDAY)
    assert tell({"path": "*", "op": "=", "value": "ada"}, known.scope(), every=True).holds is True


UNSURE = [{"path": "@confidence", "op": "<", "value": 0.8}]


def test_confidence_may_ask_or_deny_and_a_missing_one_counts_against_it():
    for verdict in ("ask", "deny"):
        rules = [rule("allow"), rule(verdict, conditions=UNSURE)]
        for confidence, effect in ((0.9, Effect.ALLOW), (0.5, verdict), (None, verdict)):
            facts = Facts(agent="a", team_id=TEAM, action="pay", args={}, confidence=confidence)
            assert evaluate(facts, rules).effect == effect


def test_confidence_never_allows():
    sure = [{"path": "@confidence", "op": ">", "value": 0.1}]
    assert problems(sure[0]) == []
    assert problems(sure[0], allows=True)
    facts = Facts(agent="a", team_id=TEAM, action="pay", args={}, confidence=1.0)
    assert evaluate(facts, [rule("allow", conditions=sure)]).effect == Effect.ASK, "also one that came past the forms"
    text = "rules:\n- {name: sure, verdict: %s, conditions: [{path: '@confidence', op: '>', value: 0.1}]}\n"
    with pytest.raises(BadPolicy, match="never allow"):
        read(text % "allow")
    assert read(text % "ask")


def test_hours_alone_do_not_narrow_a_rule_that_allows():
    office = [{"path": "@time", "op": "between", "value": "09:00-17:00"}]
    (finding,) = lint([rule("allow", conditions=office)], [Known("a", "pay", str(TEAM), "write")])
    assert finding.kind == "broad"
    assert "At its hours" in finding.text
