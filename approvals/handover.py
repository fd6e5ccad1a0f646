"""What becomes of a decision: let go when it may no longer be recalled, handed over to its asker, taken once."""

from collections.abc import Collection
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor
from approvals import moves
from approvals.models import Approval, Decision
from approvals.requests import touch
from approvals.signals import decided, tell
from approvals.states import Status


def mark_delivered(decision_ids: Collection[UUID], *, unused: str = "") -> int:
    """These were handed over to their asker, or never will be, for the reason ``unused``. Returns how many that was news of."""
    faults.at("delivered.before")
    with transaction.atomic(savepoint=False):
        waiting = Decision.objects.filter(pk__in=decision_ids, delivered_at__isnull=True)
        found = list(waiting.select_for_update(of=("self",)).select_related("approval").order_by("pk"))
        waiting.filter(pk__in=[decision.pk for decision in found]).update(delivered_at=timezone.now())
        for decision in found:
            moves.enter(
                decision.approval, "decision.unused" if unused else "decision.delivered", actor=Actor.desk(),
                after={"decision": decision.pk, "verdict": decision.verdict, "digest": decision.digest,
                       **({"because": unused} if unused else {})},
            )  # fmt: skip
            # Apart from this transaction: deciding locks the approval first and the decision then, the other way round.
            transaction.on_commit(partial(touch, decision.approval_id), robust=True)
    faults.at("delivered.after")
    return len(found)


def consume(decision_id: UUID, digest: str) -> bool:
    """Take the decision for the action with this digest: true once, and never for another action, a void decision or one
    that may still be recalled."""
    now = timezone.now()
    ready = Decision.objects.filter(
        Q(release_at__isnull=True) | Q(release_at__lte=now),
        pk=decision_id, digest=digest, consumed_at__isnull=True, voided_at__isnull=True,
    )  # fmt: skip
    return ready.update(consumed_at=now) == 1


def undelivered(older_than: timedelta = timedelta(0)) -> QuerySet[Decision]:
    """Decisions that count, are released, and have been waiting for their asker for at least ``older_than``."""
    now = timezone.now()
    return Decision.objects.filter(
        Q(release_at__isnull=True) | Q(release_at__lte=now),
        delivered_at__isnull=True, voided_at__isnull=True, decided_at__lte=now - older_than,
    )  # fmt: skip


def release_due(limit: int = 100) -> int:
    """Let decisions go whose time for recall is over, at most ``limit``."""
    with transaction.atomic():
        held = Approval.objects.filter(
            status=Status.HELD, decisions__voided_at__isnull=True, decisions__release_at__lte=timezone.now()
        ).order_by("pk")
        released = 0
        for approval in held.select_for_update(of=("self",), skip_locked=True)[:limit]:
            if moves.move(approval, Status.DECIDED):
                moves.enter(
                    approval, "decision.released", actor=Actor.desk(), before={"status": Status.HELD},
                    after={"status": Status.DECIDED},
                )  # fmt: skip
                tell(decided, approval)
                released += 1
        return released
