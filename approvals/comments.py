"""The verb of people who talk about an approval: before it is decided, and afterwards about what came of it."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.live.push import push
from approvals import moves
from approvals.errors import Invalid, NotAllowed, NotFound
from approvals.models import Approval, Comment
from approvals.texts import storable

LONGEST = 5_000  # characters
MOST = 500  # for one approval


@transaction.atomic
def comment(approval_id: UUID, text: str, *, actor: Actor, key: UUID | None = None) -> Comment:
    """Add a remark that everybody reads who sees the approval. The same ``key`` again brings what was said with it.

    Raises NotFound, NotAllowed for programs, and Invalid at ``text``.
    """
    if actor.user is None or actor.user.is_service:
        raise NotAllowed(_("Only people comment."))
    # The lock makes two with the same key, and the last two of MOST, come one after the other.
    approval = Approval.objects.visible_to(actor.user).select_for_update().filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    said = storable(text).strip()
    known = Comment.objects.filter(pk=key).first() if key else None
    if known is not None and (known.approval_id, known.author_id, known.text) == (approval.pk, actor.user.pk, said):
        return known
    if not said:
        raise Invalid({"text": [_("Write something first.")]})
    if len(said) > LONGEST:
        told = {"length": len(said), "most": LONGEST}
        raise Invalid({"text": [_("%(length)d characters are too many: at most %(most)d.") % told]})
    so_far = Comment.objects.filter(approval=approval).count()
    if so_far >= MOST:
        raise Invalid({"text": [_("There are %(most)d comments already, and no room for more.") % {"most": MOST}]})
    made = Comment.objects.create(
        id=new_id() if known or key is None else key, approval=approval, author=actor.user,
        author_label=actor.label[:200], text=said,
    )  # fmt: skip
    moves.enter(approval, "approval.commented", actor=actor, after={"comment": made.pk}, content={"text": said})
    push("comment", approval.pk, so_far + 1)
    return made
