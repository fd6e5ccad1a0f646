"""What a run had read at a place that the policy names: its input, or the result of a call; for people who look at a quote."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from agentdesk.digests import decode
from approvals.policy.origins import MOST_READINGS
from approvals.sources import Read
from runs.models import Run, ToolCall

_LINEAGE = """
WITH RECURSIVE up AS (
    SELECT id, parent_id FROM runs_run WHERE id = %s
    UNION SELECT r.id, r.parent_id FROM runs_run r JOIN up ON r.id = up.parent_id
) SELECT id FROM up
"""


def lineage(run_id: UUID) -> list[UUID]:
    """The run and those that it was forked from, whose messages its thread begins with."""
    with connection.cursor() as cursor:
        cursor.execute(_LINEAGE, [run_id])
        return [row[0] for row in cursor.fetchall()]


def later_inputs(runs: Collection[UUID]) -> list[Any]:
    """What these runs were given after their first input, in all their turns."""
    entries = AuditEntry.objects.filter(run_id__in=runs, content__isnull=False)
    entries = entries.filter(action__in=["run.input", "run.forked"]).order_by("pk")
    bodies = entries.values_list("content__body", flat=True)
    return [decode(body["input"]) for body in bodies if isinstance(body, dict) and "input" in body]


def read(run_id: UUID, steps: Collection[int]) -> Mapping[int, Read]:
    """By step: 0 is the input, and 1 the first call. Five queries at most."""
    runs = lineage(run_id)
    found: dict[int, Read] = {}
    if 0 in steps:
        inputs = [decode(given) for given in Run.objects.filter(pk__in=runs).order_by("pk").values_list("input", flat=True)]
        found[0] = Read([*inputs, *later_inputs(runs)], reverse("runs:detail", args=[run_id]))
    wanted = {step for step in steps if 0 < step <= MOST_READINGS}
    if not wanted:
        return found
    calls = ToolCall.objects.filter(run__in=runs).order_by("proposed_at", "pk").values_list("pk", flat=True)[: max(wanted)]
    numbers = {pk: step for step, pk in enumerate(calls, 1) if step in wanted}
    for pk, run, result in ToolCall.objects.filter(pk__in=numbers).values_list("pk", "run_id", "result"):
        if result is not None:
            found[numbers[pk]] = Read(decode(result.get("shown")), f"{reverse('runs:detail', args=[run])}#call-{pk}")
    return found
