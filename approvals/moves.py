"""The only place that changes an approval. For the verbs of this app (requests, decisions) and nobody else."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from agentdesk.audit.record import Actor, record
from agentdesk.live.push import push
from approvals import sources
from approvals.models import Approval, Decision
from approvals.states import OPEN, Status, Verdict, sources_of


def move(approval: Approval, target: Status, **changes: Any) -> bool:
    """Bring ``approval`` to ``target`` if it still is what the caller read, and may go there from its status. Pending to
    pending is a vote or a new version. The caller has locked the row and writes the audit entry in the same transaction.
    False: somebody else was first, and nothing was changed."""
    allowed = [Status.PENDING] if target == Status.PENDING == approval.status else sources_of(target)
    read = Approval.objects.filter(
        pk=approval.pk,
        status__in=allowed,
        version=approval.version,
        digest=approval.digest,
        revision=approval.revision,
    )
    changes["closed_at"] = None if target in OPEN else timezone.now()
    changes["status"] = target
    changes["revision"] = approval.revision + 1
    if not read.update(**changes):
        return False
    for name, value in changes.items():
        setattr(approval, name, value)
    show(approval)
    return True


def show(approval: Approval) -> None:
    """Tell open pages, after commit, that card and inbox row have changed."""
    push("approval", approval.pk, approval.revision)
    push("row", approval.pk, approval.revision)


def conclude(
    approval: Approval,
    verdict: Verdict,
    *,
    actor: Actor,
    handed_over: bool = False,
    **facts: Any,
) -> Decision:
    """Write the decision on the current version. ``handed_over``: the asker knows already."""
    now = timezone.now()
    return Decision.objects.create(
        approval=approval,
        version=approval.version,
        verdict=verdict,
        args=approval.args,
        digest=approval.digest,
        decided_by=actor.user,
        decided_by_label=actor.label[:200],
        via=actor.via,
        decided_at=now,
        policy_version=approval.policy_version,
        delivered_at=now if handed_over or approval.source == sources.API else None,
        **facts,
    )


def enter(approval: Approval, action: str, *, actor: Actor, before: Any = None, after: Any = None, content: Any = None) -> None:
    """Write the audit entry of an act on ``approval``."""
    record(
        action,
        actor=actor,
        object_type="approval",
        object_id=approval.pk,
        object_label=str(approval),
        team_id=approval.team_id,
        run_id=_run_id(approval),
        before=before,
        after=after,
        policy_version=approval.policy_version,
        content=content,
    )


def _run_id(approval: Approval) -> UUID | None:
    """The run that asked, where the asker's reference is one: the record of a run lists its approvals too."""
    if approval.source == sources.API:
        return None
    try:
        return UUID(approval.source_ref)
    except ValueError:
        return None
