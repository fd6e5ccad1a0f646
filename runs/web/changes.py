"""What of the watched runs has changed, for pages that no push reached (agentdesk/live/lookout.py)."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from agentdesk.live.registry import Look
from runs.models import Run, Step, ToolCall

type Found = Iterable[tuple[str, int, str]]


def runs(look: Look) -> Found:
    return [(str(id), revision, "") for id, revision in Run.objects.filter(pk__in=look.watched).values_list("pk", "revision")]


def steps(look: Look) -> Found:
    return _parts(Step.objects.filter(_recent(look) | Q(started_at__gte=look.since)), look)


def calls(look: Look) -> Found:
    recent = _recent(look) | Q(proposed_at__gte=look.since) | Q(started_at__gte=look.since)
    return _parts(ToolCall.objects.filter(recent), look)


def _recent(look: Look) -> Q:
    """What is open, or ended since: nothing else changes, but by beginning."""
    return Q(ended_at__isnull=True) | Q(ended_at__gte=look.since)


def _parts(found: "QuerySet[Step] | QuerySet[ToolCall]", look: Look) -> Found:
    rows = found.filter(run__pk__in=look.watched).order_by().values_list("pk", "revision", "run_id")
    return [(str(id), revision, str(run)) for id, revision, run in rows]
