"""Erasing what an asker's questions were about. That people decided, who, when, how and on what digest, stays."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from approvals.models import Approval, Comment, Decision, Evaluation, Preview, Regret, StandingApproval
from approvals.states import OPEN, Kind


def is_erased(approval: Approval) -> bool:
    """Whether an agent's own question has lost what it asked: one that was not erased has its payload or arguments."""
    return approval.kind == Kind.INTERRUPT and approval.payload is None and not approval.asked_args


@transaction.atomic
def erase_content(source: str, source_ref: str) -> int:
    """Empty the arguments, payloads, answers and texts of closed approvals, and the facts of evaluations, of one asker's
    reference; also what people said about them or regretted, why an agent refused an answer, which may quote it, and what was
    approved in advance after one of them. Digests, verdicts, messages of reviewers, rules and times stay. Returns how many
    approvals that were."""
    mine = Approval.objects.filter(source=source, source_ref=source_ref).exclude(status__in=OPEN)
    Decision.objects.filter(approval__in=mine).update(args={}, answer=None, void_reason="")
    Evaluation.objects.filter(source=source, source_ref=source_ref).update(facts={}, error="")
    Preview.objects.filter(approval__in=mine).update(would=None, error=None, revision=F("revision") + 1)
    Comment.objects.filter(approval__in=mine).update(text="")
    Regret.objects.filter(approval__in=mine).update(reason="")
    # What was approved in advance in the image of one of these holds its values, and would hold for more without them.
    copies = StandingApproval.objects.filter(made_from__in=mine)
    copies.filter(revoked_at__isnull=True).update(revoked_at=timezone.now(), revoked_by_label="AgentDesk")
    copies.update(args={}, conditions=[], reason="")
    return mine.update(
        args={}, asked_args={}, description="", reason="", subject="", evidence=[], alternatives=[], payload=None,
        answer_schema=None, response_schema=None, reopened_because="", revision=F("revision") + 1,
    )  # fmt: skip
