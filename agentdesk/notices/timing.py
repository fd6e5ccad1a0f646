"""When a person is written to: pace and quiet hours, in the person's own zone. Pure: no database."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from agentdesk.notices.models import Level, PersonalRules

Pace = PersonalRules.Pace


def send_at(now: datetime, risk: str, rules: PersonalRules, zone: ZoneInfo) -> datetime:
    """The moment from which on an e-mail about something of ``risk`` may leave. Critical never waits; high does not wait for
    the end of quiet hours."""
    if risk == Level.CRITICAL:
        return now
    at = _paced(now, rules, zone)
    return at if risk == Level.HIGH else _after_quiet(at, rules, zone)


def _paced(now: datetime, rules: PersonalRules, zone: ZoneInfo) -> datetime:
    if rules.pace == Pace.HOURLY:
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if rules.pace == Pace.DAILY and rules.daily_at is not None:
        return _next(now, rules.daily_at, zone)
    return now


def _after_quiet(at: datetime, rules: PersonalRules, zone: ZoneInfo) -> datetime:
    begin, end = rules.quiet_from, rules.quiet_until
    if begin is None or end is None or begin == end:
        return at
    local = at.astimezone(zone).time()
    is_quiet = begin <= local < end if begin < end else local >= begin or local < end
    return _next(at, end, zone) if is_quiet else at


def _next(after: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The first moment later than ``after`` at which clocks in ``zone`` show ``at``."""
    day = after.astimezone(zone).date()
    moment = datetime.combine(day, at, zone).astimezone(after.tzinfo)
    return moment if moment > after else datetime.combine(day + timedelta(days=1), at, zone).astimezone(after.tzinfo)
