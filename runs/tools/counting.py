"""How many calls a run has made, counted in the ledger: a worker that died has forgotten nothing."""

from django.db.models import Count, Q

from runs.models import ToolCall
from runs.tools.context import LimitReached, RunContext


def count(ctx: RunContext, tool: str, digest: str) -> None:
    """Raises LimitReached where the run may make no further call, or not this one once more: who calls the same tool with equal
    arguments again and again, whatever became of it, goes round in circles. One query."""
    made = ToolCall.objects.filter(run_id=ctx.run_id).aggregate(all=Count("pk"), same=Count("pk", filter=Q(digest=digest)))
    if made["all"] >= ctx.limits["tool_calls"]:
        raise LimitReached("tool_calls", ctx.limits["tool_calls"])
    if made["same"] >= ctx.limits["identical_calls"]:
        detail = f"Not called once more: {tool}."
        raise LimitReached("identical_calls", ctx.limits["identical_calls"], detail)
