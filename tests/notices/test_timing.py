"""When people are written to."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from agentdesk.notices.models import PersonalRules
from agentdesk.notices.timing import send_at

BERLIN = ZoneInfo("Europe/Berlin")  # two hours before UTC on that day
NOW = datetime(2026, 7, 14, 21, 20, tzinfo=UTC)  # 23:20 there
QUIET = {"quiet_from": time(22), "quiet_until": time(7)}


def at(hour: int, minute: int = 0, day: int = 14) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rules", "risk", "expected"),
    [
        ({}, "low", NOW),
        (QUIET, "low", at(5, day=15)),
        (QUIET, "medium", at(5, day=15)),
        (QUIET, "", at(5, day=15)),
        (QUIET, "high", NOW),
        (QUIET, "critical", NOW),
        ({"quiet_from": time(12), "quiet_until": time(13)}, "low", NOW),
        ({"quiet_from": time(23), "quiet_until": time(23, 30)}, "low", at(21, 30)),
        ({"quiet_from": time(23), "quiet_until": time(23)}, "low", NOW),
        ({"pace": "hourly"}, "low", at(22)),
        ({"pace": "hourly"}, "high", at(22)),
        ({"pace": "hourly"}, "critical", NOW),
        ({"pace": "hourly", **QUIET}, "low", at(5, day=15)),
        ({"pace": "hourly", **QUIET}, "high", at(22)),
        ({"pace": "daily", "daily_at": time(9)}, "low", at(7, day=15)),
        ({"pace": "daily", "daily_at": time(23, 30)}, "low", at(21, 30)),
        ({"pace": "daily", "daily_at": time(6), **QUIET}, "low", at(5, day=15)),
    ],
)
def test_it_waits_as_the_person_wants(rules, risk, expected):
    assert send_at(NOW, risk, PersonalRules(**rules), BERLIN) == expected


def test_hours_follow_the_clocks_of_the_zone():
    """On 25 October 2026 clocks go back: seven o'clock is an hour later in UTC than the day before."""
    night = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    assert send_at(night, "low", PersonalRules(**QUIET), BERLIN) == datetime(2026, 10, 25, 6, 0, tzinfo=UTC)
