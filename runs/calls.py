"""Moving the status of tool calls: one conditional update, and the pages are told."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from agentdesk.live.push import push
from runs.models import Run, ToolCall
from runs.states import CallStatus, call_sources_of


def move(run_id: UUID, row_id: UUID, to: CallStatus, *, attempt: int | None = None, **fields: Any) -> bool:
    """Move a call of a run; False when it was not in a state that leads there. ``attempt`` must match when an executing call
    ends; it is written when one starts."""
    rows = ToolCall.objects.filter(pk=row_id, run_id=run_id, status__in=call_sources_of(to))
    if attempt is not None:
        if to == CallStatus.EXECUTING:
            fields["attempt"] = attempt
        else:
            rows = rows.filter(attempt=attempt)
    moved = bool(rows.update(status=to, **fields))
    if moved:
        push("call", row_id, 0, run=run_id)
    return moved


def withdraw_open(run: Run) -> None:
    """The calls that wait, or have leave but have not started, will not be made any more."""
    for pk in ToolCall.objects.filter(run=run, status__in=call_sources_of(CallStatus.WITHDRAWN)).values_list("pk", flat=True):
        move(run.pk, pk, CallStatus.WITHDRAWN, ended_at=timezone.now())
