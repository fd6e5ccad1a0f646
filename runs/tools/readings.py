"""What a run could read before it asked for a call: its input, and the results of its calls, each with where it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from agentdesk.digests import decode
from approvals.models import Tool
from approvals.models.tools import Results
from approvals.policy.origins import MOST_READINGS, Reading
from approvals.states import Verdict
from runs.models import ToolCall
from runs.reading import later_inputs, lineage
from runs.tools.context import RunContext

_KINDS: dict[str, str] = {Results.RECORD: "record", Results.UNTRUSTED: "untrusted"}


@dataclass(frozen=True, slots=True)
class Read:
    """What a run has read, oldest first, and the labels of the data among it."""

    readings: Sequence[Reading]
    labels: Sequence[str]


def read_by(ctx: RunContext) -> Read:
    """All that the run could read until now, in one query, and another one for each attempt that goes on with an older run.
    Labels count as they are now. One reading more than is traced is given, so that the trace says it is cut."""
    calls = _calls(ctx)
    given = "untrusted" if ctx.input_untrusted else "input"
    readings = [Reading(given, value) for value in _inputs(ctx)]
    for step, call in enumerate(calls, 1):
        if call["result"] is not None:
            kind = _kind(call)
            readings.append(Reading(kind, decode(call["result"].get("shown")), call["tool"] if kind != "person" else "", step))
    if len(calls) > MOST_READINGS:  # labels are never cut
        labels = set(_labelled(ctx).filter(executed_args__isnull=False).values_list("data_label", flat=True).distinct())
    else:
        labels = {call["data_label"] for call in calls if call["executed_args"] is not None}
    return Read(readings, sorted(label for label in labels if label))


def _lineage(ctx: RunContext) -> list[UUID]:
    """The run and those that it was forked from, whose messages its thread begins with."""
    if ctx.lineage is None:
        ctx.lineage = [ctx.run_id]
        if ctx.parent_id is not None:
            ctx.lineage = lineage(ctx.run_id)
    return ctx.lineage


def _calls(ctx: RunContext) -> list[dict[str, Any]]:
    calls = _labelled(ctx).order_by("proposed_at", "pk")
    wanted = ("tool", "result", "executed_args", "decision__verdict", "results_label", "labels_from", "data_label")
    return list(calls.values(*wanted)[: MOST_READINGS + 1])


def _labelled(ctx: RunContext) -> "QuerySet[Any]":
    row = Tool.objects.filter(agent=ctx.agent, name=OuterRef("tool"))[:1]
    return ToolCall.objects.filter(run__in=_lineage(ctx)).annotate(
        results_label=Subquery(row.values("results")),
        labels_from=Subquery(row.values("labels_from")),
        data_label=Subquery(row.values("data")),
    )


def _kind(call: dict[str, Any]) -> str:
    """What did not run was answered by a colleague, or by the desk in its own words."""
    if call["executed_args"] is None or call["decision__verdict"] == Verdict.RESPOND:
        return "person"
    kind = _KINDS.get(call["results_label"] or "", "tool")
    # A tool that nobody registered cannot vouch for itself.
    return "tool" if kind == "record" and call["labels_from"] == "run" else kind


def _inputs(ctx: RunContext) -> list[Any]:
    """What the run was given, in all its turns. A first attempt at a run of its own has had no further turn."""
    if ctx.inputs is None:
        ctx.inputs = [ctx.run_input]
        if ctx.attempt > 1 or ctx.parent_id is not None:
            ctx.inputs += later_inputs(_lineage(ctx))
    return ctx.inputs
