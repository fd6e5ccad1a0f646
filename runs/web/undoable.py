"""What of a run can be undone, for the panel beside it."""

from dataclasses import dataclass
from datetime import datetime

from approvals.models import Tool
from approvals.web.display import phrase
from runs import undo
from runs.models import Run, ToolCall
from runs.states import CallStatus
from runs.web.calls import CallRow


@dataclass(frozen=True, slots=True)
class Undoable:
    """A call that can be taken back now, or is being taken back by ``run``; ``until``: the end of its window, None: always."""

    call: ToolCall
    sentence: str
    until: datetime | None
    run: Run | None


def undoable(run: Run) -> list[Undoable]:
    """The calls of a run that can be taken back now or are about to be. Two queries, and some for each of those calls."""
    tools = {tool.name: tool for tool in Tool.objects.filter(agent=run.agent.slug).exclude(undo_tool="")}
    done = ToolCall.objects.filter(run=run, status=CallStatus.SUCCEEDED, executed_args__isnull=False, tool__in=tools)
    found: list[Undoable] = []
    for call in done.select_related("run__agent") if tools else ():
        tool, live = tools[call.tool], undo.live_of(call)
        if live is not None or not undo.why_not(call, tool):
            found.append(Undoable(call, phrase(call.tool, CallRow(call).ran_with), undo.until(call, tool), live))
    return found
