"""Previews that a reviewer asks for before deciding: what the tool's own dry run says that the call would do.

Whatever comes of one changes nothing of the approval, and nothing of what asked for it. It can be lost with its worker: then it
is asked for again.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.digests import Json
from agentdesk.live.push import push
from approvals import access, moves, sources
from approvals.errors import NotAllowed, NotCurrent, NotFound
from approvals.models import Approval, Preview
from approvals.states import Kind

LOST = timedelta(seconds=90)  # after which one that nobody made is taken for lost
PAUSE = timedelta(seconds=5)  # between two of one approval


def may_be_asked_for(approval: Approval) -> bool:
    """Whether anybody can say beforehand what the action would do."""
    if approval.kind != Kind.TOOL_CALL or not approval.is_pending or sources.get(approval.source) is None:
        return False
    return approval.tool is not None and approval.tool.dry_run


def of(approval: Approval) -> Preview | None:
    """The newest preview of the action as it is asked now."""
    return Preview.objects.filter(approval=approval, digest=approval.digest).first()


def is_under_way(preview: Preview | None) -> bool:
    return preview is not None and preview.done_at is None and preview.asked_at > timezone.now() - LOST


@transaction.atomic
def ask(approval_id: UUID, *, actor: Actor) -> Preview:
    """Have a preview made of the action as it is asked now. While one is under way, or was asked for a moment ago, that is the
    answer.

    Raises NotFound, NotAllowed for those who may not decide, NotCurrent when it does not wait any more, or nobody can say.
    """
    if actor.user is None:
        raise NotAllowed
    approval = Approval.objects.visible_to(actor.user).select_for_update().filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    if (reason := access.why_not(actor.user, approval)) is not None:
        raise NotAllowed(reason)
    source = sources.get(approval.source)
    if source is None or not may_be_asked_for(approval):
        raise NotCurrent(approval, _("Nobody can say beforehand what this would do."))
    known = Preview.objects.filter(approval=approval).first()
    now = timezone.now()
    if known is not None and known.digest == approval.digest and (is_under_way(known) or known.asked_at > now - PAUSE):
        return known
    facts = {
        "digest": approval.digest, "asked_by": actor.user, "asked_by_label": actor.label[:200], "asked_at": now,
        "done_at": None, "would": None, "error": None, "revision": known.revision + 1 if known else 1,
    }  # fmt: skip
    made, _new = Preview.objects.update_or_create(approval=approval, defaults=facts)
    moves.enter(approval, "approval.preview_asked", actor=actor, after={"digest": approval.digest, "version": approval.version})
    push("preview", approval.pk, made.revision)
    source.make_preview(approval)
    return made


@transaction.atomic
def done(approval_id: UUID, revision: int, *, would: Json = None, error: dict[str, Any] | None = None) -> bool:
    """What came of the preview that was asked for as ``revision``. False: another one was asked for since, or it is there."""
    waits = Preview.objects.filter(approval=approval_id, revision=revision, done_at__isnull=True)
    if not waits.update(done_at=timezone.now(), would=would, error=error, revision=F("revision") + 1):
        return False
    approval = Approval.objects.get(pk=approval_id)
    after = {"digest": approval.digest, "error": error["kind"] if error else None}
    moves.enter(approval, "approval.previewed", actor=Actor.desk(), after=after, content={"would": would, "error": error})
    push("preview", approval_id, revision + 1)
    return True
