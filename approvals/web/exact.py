"""The exact JSON that a form would send, while it is being filled in."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.wire import plain
from approvals import drafts, sources
from approvals.errors import NotCurrent
from approvals.models import Approval, Decision
from approvals.sources import NotYet
from approvals.web import display
from approvals.web.panel import Attempt, Preview
from approvals.web.posts import read_post, typed


def previewed(data: Mapping[str, str], approval: Approval, actor: Actor) -> Attempt:
    """The form as posted, with the JSON that its asker would receive.

    It is made by the code that decides and the code that hands over, with the id that the form keeps for its decision, so it
    is what is delivered, byte for byte. What nobody knows yet is marked in it and not made up: other actions of the same
    request that are open, and who casts the last vote where more than this one are needed.

    Raises Refused and ApprovalError where the post would not be taken.
    """
    post = read_post(data, approval, decides=False)
    outcome = drafts.draft(approval, actor=actor, **post)
    decision, missing = outcome.decision, max(0, outcome.need - outcome.have)
    if decision is None:
        raise NotCurrent(approval)
    kept_id = decision.pk
    if missing:
        decision.message, decision.decided_by_label = NotYet(_("the reason of whoever votes last")), NotYet(_("who votes last"))
    if missing or kept_id is None:
        decision.pk = NotYet(_("the id of the decision"))
    source = sources.get(approval.source)
    sent = source.preview_answer(approval, decision) if source else _as_programs_read(decision)
    preview = Preview(display.as_json(sent), sources.is_known(sent), missing, kept_id)
    return Attempt(post["verdict"], typed(data), None, seen=data.get("seen", ""), preview=preview)


def _as_programs_read(decision: Decision) -> Any:
    """The decision as the API gives it to a program that asked (``approvals.api.DecisionOut``)."""
    return {
        "id": str(decision.pk), "verdict": decision.verdict, "version": decision.version, "args": plain(decision.args),
        "digest": decision.digest, "answer": plain(decision.answer), "message": decision.message,
        "decided_by": decision.decided_by_label, "decided_at": NotYet(_("when it is decided")), "via": "web",
    }  # fmt: skip
