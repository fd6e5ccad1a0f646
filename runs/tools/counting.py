"""How many calls a run has made, and how many approvals its agent has waiting. Counted in the database: a worker that died has
forgotten nothing."""

from django.db import connection
from django.db.models import Count, Q

from approvals.models import Approval
from approvals.states import Status
from runs.lifecycle import SOURCE
from runs.limits import PENDING_APPROVALS, Amount
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


NEAR = 16  # so close to the limit, those who ask at the same moment wait for each other
LOCK = 4277324  # of advisory locks: who may ask, by agent


def make_room(agent: str, most: Amount) -> None:
    """Raises LimitReached where the agent has ``most`` approvals waiting, so that one more would flood people. Holds the room
    until the transaction ends, in which the approval is made; one query, close to the limit three."""
    if _pending(agent, int(most)) < most - NEAR:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK, agent))
    if _pending(agent, int(most)) >= most:
        raise LimitReached(PENDING_APPROVALS, most)


def _pending(agent: str, most: int) -> int:
    return Approval.objects.filter(source=SOURCE, agent=agent, status=Status.PENDING)[:most].count()
