"""How long an approval is held before its asker hears of it: in that time whoever may decide can take it back.

Only what lets something happen is held: a rejection or an answer goes at once, and so does what people say of a call in doubt.
The sweep lets go what is due (``handover.release_due``), so a decision leaves a moment after its time, never before.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from approvals.models import Approval, Decision, Tool
from approvals.states import Kind, Status, Verdict

_LETS_HAPPEN = frozenset({Verdict.APPROVE, Verdict.MODIFY})


def seconds(approval: Approval) -> int:
    """The seconds for which an approval of this action is held: its tool's, or by its risk as the desk is set."""
    if approval.kind == Kind.IN_DOUBT:
        return 0
    return seconds_by(approval.tool, approval.risk)


def seconds_by(tool: Tool | None, risk: str) -> int:
    """The same of a tool that is at hand, for what is not in doubt."""
    own = tool.hold_seconds if tool else None
    return int(settings.HOLD_SECONDS.get(risk, 0)) if own is None else own


def until(approval: Approval, verdict: str) -> datetime | None:
    """When a decision made now with ``verdict`` counts; None: at once."""
    held = seconds(approval) if verdict in _LETS_HAPPEN else 0
    return timezone.now() + timedelta(seconds=held) if held else None


def held_by(user: Any) -> list[Decision]:
    """The user's own decisions that may still be taken back, the next to be let go first."""
    # What is held is not handed over: decision_undelivered finds it, however much the user has decided so far.
    mine = Decision.objects.filter(
        decided_by=user, voided_at__isnull=True, delivered_at__isnull=True, release_at__gt=timezone.now(),
        approval__status=Status.HELD,
    )  # fmt: skip
    # Mostly there are none, and then one small query is all that is made.
    return list(mine.prefetch_related("approval__team", "approval__evaluation").order_by("release_at"))
