"""How the circuit breakers of tools stand, in words. Workers move them (``runs.tools.breakers``)."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from approvals.models import Breaker, Tool
from approvals.models.tools import BreakerState


def troubled(tools: QuerySet[Tool]) -> QuerySet[Tool]:
    """Those of ``tools`` whose circuit is not closed."""
    return tools.filter(breaker_failures__gt=0, breaker__isnull=False).exclude(breaker__state=BreakerState.CLOSED)


def is_troubled(tool: Tool) -> bool:
    """Whether the circuit of a tool is not closed."""
    row: Breaker | None = getattr(tool, "breaker", None)
    return bool(tool.breaker_failures) and row is not None and row.state != BreakerState.CLOSED


def told(tool: Tool) -> str:
    """How the circuit of a tool stands, with since when and why."""
    if not tool.breaker_failures:
        return _("Switched off: no failure opens it.")
    row: Breaker | None = getattr(tool, "breaker", None)
    if row is None or row.state == BreakerState.CLOSED:
        failures = row.failures if row else 0
        return _("Closed: calls go through. Failures in a row: %(n)s.") % {"n": failures}
    words = {"error": row.last_error}
    if row.state == BreakerState.HALF_OPEN:
        return _("Half open: one call is trying whether it works again. Last error: %(error)s") % words
    if row.opened_at is None:
        raise ValueError(f"the circuit of {tool} is open since nobody knows when")
    until = row.opened_at + timedelta(seconds=tool.breaker_seconds)
    if until <= timezone.now():
        return _("Open: the next call tries whether it works again. Last error: %(error)s") % words
    words["at"] = f"{until:%Y-%m-%d %H:%M:%S}"
    return _("Open until %(at)s UTC: calls are refused. Last error: %(error)s") % words
