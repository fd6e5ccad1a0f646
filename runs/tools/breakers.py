"""Circuit breakers of tools, one for each, shared by all workers through PostgreSQL.

pybreaker is the state machine; a row that is locked meanwhile is its storage. It lies where the gate's own rows lie, so that no
second server can stop calls, or open a circuit, by being away. A tool without failures has no row and costs nothing.
"""

import contextlib
import math
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from pybreaker import CircuitBreaker, CircuitBreakerError, CircuitBreakerListener, CircuitBreakerStorage

from agentdesk.audit.record import Actor, record
from approvals.models import Breaker, Tool
from approvals.models.tools import BreakerState
from runs.tools.results import ToolError

GRACE = 30  # seconds beyond its timeout after which a call that tries it is taken for lost


class _Failed(Exception):
    """Stands for a try that failed."""


class _Storage(CircuitBreakerStorage):
    """One locked row."""

    def __init__(self, row: Breaker) -> None:
        super().__init__("postgresql")
        self._row, self._successes = row, 0

    @property
    def state(self) -> str:
        return self._row.state

    @state.setter
    def state(self, state: str) -> None:
        self._row.state = state

    @property
    def counter(self) -> int:
        return self._row.failures

    def increment_counter(self) -> None:
        self._row.failures += 1

    def reset_counter(self) -> None:
        self._row.failures = 0

    @property
    def success_counter(self) -> int:
        return self._successes

    def increment_success_counter(self) -> None:
        self._successes += 1

    def reset_success_counter(self) -> None:
        self._successes = 0

    @property
    def opened_at(self) -> datetime | None:
        return self._row.opened_at

    @opened_at.setter
    def opened_at(self, at: datetime) -> None:
        self._row.opened_at = at


class _OnRecord(CircuitBreakerListener):
    """Each time that it opens or closes is in the audit record."""

    def __init__(self, tool: Tool, row: Breaker, run_id: UUID) -> None:
        self._tool, self._row, self._run_id = tool, row, run_id

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        tool, before, after = self._tool, old_state and old_state.name, new_state.name
        if before == after or after == BreakerState.HALF_OPEN:
            return
        because = {"error": self._row.last_error} if after == BreakerState.OPEN else {}
        record(
            f"tool.circuit_{'opened' if after == BreakerState.OPEN else 'closed'}", actor=Actor.desk(), object_type="tool",
            object_id=tool.pk, object_label=str(tool), team_id=tool.team_id, run_id=self._run_id, before={"circuit": before},
            after={"circuit": after, **because},
        )  # fmt: skip


def seconds_left(tool: Tool, call: UUID, run_id: UUID) -> int:
    """Seconds for which a call of the tool is not to start; 0: it may. Of an open circuit whose time is over, one call at a
    time may: it says afterwards, by :func:`report`, whether the tool works again. Call it in a transaction."""
    if not tool.breaker_failures or _state(tool) == BreakerState.CLOSED:
        return 0
    row = Breaker.objects.select_for_update().get(tool=tool)
    now = timezone.now()
    if row.state == BreakerState.OPEN and row.opened_at is not None:
        until = row.opened_at + timedelta(seconds=tool.breaker_seconds)
    elif row.state == BreakerState.HALF_OPEN and row.probe != call and row.probe_until is not None:
        until = row.probe_until
    else:
        until = now
    if until > now:
        return math.ceil((until - now).total_seconds())
    if row.state != BreakerState.CLOSED:
        _machine(tool, row, run_id).half_open()
        row.probe, row.probe_until = call, now + timedelta(seconds=tool.timeout_seconds + GRACE)
        row.save()
    return 0


def is_troubled(tool: Tool) -> bool:
    """Whether the breaker, as it was read with the tool, has to be told of a success."""
    known = _known(tool)
    return bool(tool.breaker_failures) and known is not None and (known.failures > 0 or known.state != BreakerState.CLOSED)


@transaction.atomic
def report(tool_id: UUID, call: UUID, run_id: UUID, error: ToolError | None) -> None:
    """Tell the breaker what a try brought. ``error``: None, or an error that says that the tool does not work. A call that
    began before the circuit opened, and is not the one that tries it, changes nothing."""
    tool = Tool.objects.get(pk=tool_id)
    if not tool.breaker_failures:
        return
    if error is not None:
        Breaker.objects.get_or_create(tool=tool)
    row = Breaker.objects.select_for_update().filter(tool=tool).first()
    if row is None or row.state == BreakerState.OPEN or (row.state == BreakerState.HALF_OPEN and row.probe != call):
        return
    if error is not None:
        row.last_error = f"{error.kind}: {error.message}"[:300]

    def tried() -> None:
        if error is not None:
            raise _Failed

    with contextlib.suppress(_Failed, CircuitBreakerError):
        _machine(tool, row, run_id).call(tried)
    if row.state != BreakerState.HALF_OPEN:
        row.probe = row.probe_until = None
    row.save()


def _machine(tool: Tool, row: Breaker, run_id: UUID) -> CircuitBreaker:
    return CircuitBreaker(
        fail_max=tool.breaker_failures, reset_timeout=tool.breaker_seconds, state_storage=_Storage(row),
        listeners=[_OnRecord(tool, row, run_id)],
    )  # fmt: skip


def _known(tool: Tool) -> Breaker | None:
    return getattr(tool, "breaker", None)


def _state(tool: Tool) -> str:
    known = _known(tool)
    return BreakerState.CLOSED if known is None else known.state
