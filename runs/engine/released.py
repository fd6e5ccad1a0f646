"""A run that waited while its agent's code was replaced.

LangGraph hands an answer to whatever the node's ``interrupt()`` asks when it runs again: it knows the task and the position,
not the question. So under new code the node is first asked without an answer. The same question again: the answer goes in.
Another one: what people decided is void, with the reason, and they are asked anew. None at all: the run is parked.
"""

from django.db.models import Q
from langgraph.types import StateSnapshot

from agentdesk.audit.record import Actor
from agentdesk.digests import digest, encode
from approvals import requests
from approvals.models import Approval
from approvals.states import OPEN, Kind
from runs.lifecycle import SOURCE
from runs.models import Run

PARKED = "released"  # the reason why such a run is stopped
CHANGED = "The agent's code has changed since, and it asks something else there."


def questions(snapshot: StateSnapshot) -> dict[str, str]:
    """What the agent's own code asks there: interrupt id -> digest of the question. The gate's own pauses are not its code."""
    own = (each for each in snapshot.interrupts if not (isinstance(each.value, dict) and "desk_call" in each.value))
    return {each.id: digest(encode(each.value)) for each in own}


def undelivered(run: Run) -> list[Approval]:
    """The agent's own questions that are open, or whose answers have not reached it."""
    waiting = Q(status__in=OPEN) | Q(
        decisions__delivered_at__isnull=True, decisions__voided_at__isnull=True, decisions__isnull=False
    )
    mine = Approval.objects.filter(waiting, source=SOURCE, source_ref=str(run.pk), kind=Kind.INTERRUPT)
    return list(mine.distinct().order_by("pk"))


def void(run: Run) -> None:
    """Nobody's answer to the old question reaches the new one."""
    for approval in undelivered(run):
        requests.supersede(approval.pk, Actor.desk(), CHANGED)


def parked() -> dict[str, str]:
    """The error of a run whose new code has no place for what people were asked."""
    text = "The agent's code was replaced while this run waited for an answer, and the new code has no place for it."
    return {"kind": PARKED, "message": f"{text} Continue it under the old code, fork it from a checkpoint, or cancel it."}
