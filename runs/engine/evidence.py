"""What is known of a run under which workers died again and again, for whoever is to find the cause."""

from collections import defaultdict
from typing import Any

from django.db.models import Q

from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, StepKind, StepStatus

STEPS = 50


def of_deaths(run: Run) -> dict[str, Any]:
    """An error for everybody: ``{kind, message, evidence: [{attempt, at_work}]}``, oldest attempt first. ``run.attempt`` is the
    one that found the run dead."""
    dead = [run.attempt - n for n in range(int(run.counters.get("deaths", 0)), 0, -1)]
    unfinished = Q(status=StepStatus.LOST) | Q(status=StepStatus.OPEN)
    steps = Step.objects.filter(unfinished, run=run, attempt__in=dead).exclude(kind=StepKind.PAUSE).order_by("-id")
    at_work: dict[int, list[str]] = defaultdict(list)
    for step in list(steps.values_list("attempt", "kind", "name")[:STEPS])[::-1]:
        at_work[step[0]].append(f"{step[1]} {step[2]}")
    last = at_work.get(dead[-1], []) if dead else []
    busy = ToolCall.objects.filter(run=run, status__in=(CallStatus.EXECUTING, CallStatus.IN_DOUBT))
    calls = busy.values_list("tool", flat=True)
    message = f"{len(dead)} workers in a row died under this run."
    message += f" The last was at: {', '.join(last)}." if last else " The last had begun no step."
    message += f" Tools at work: {', '.join(calls)}." if calls else ""
    message += " Once the cause is gone, an operator may continue it."
    return {"kind": "poison", "message": message, "evidence": [{"attempt": n, "at_work": at_work.get(n, [])} for n in dead]}


def of_outages(run: Run, error: Exception) -> dict[str, Any]:
    """The same, where the database refused this run's work again and again."""
    message = f"The database refused this run's work {run.counters.get('returned', 0)} times in a row. The last time: {error}"
    return {"kind": "unavailable", "message": message[:2000]}
