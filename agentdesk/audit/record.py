"""Writing the record."""

import secrets
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from agentdesk.audit.models import AuditContent, AuditEntry
from agentdesk.digests import commitment, encode
from agentdesk.ids import new_id
from agentdesk.people.address import client_address
from agentdesk.people.models import User
from agentdesk.people.proofs import proof_of

type Via = AuditEntry.Via

ACTIONS = frozenset(
    {
        "run.started", "run.claimed", "run.waiting", "run.succeeded", "run.failed", "run.cancelled", "run.stopped",
        "run.cancel_requested", "run.continued", "run.forked", "run.input", "run.lost", "run.held", "run.pruned", "run.erased",
        "call.allowed", "call.denied", "call.asked", "call.executing", "call.succeeded", "call.failed", "call.rejected",
        "call.answered", "call.in_doubt", "call.resolved", "call.tampered", "call.simulated", "call.undo_asked",
        "call.undone",
        "call.retried", "tool.circuit_opened", "tool.circuit_closed", "desk.dry_run_began", "desk.dry_run_ended",
        "approval.requested", "approval.reviewed", "approval.modified", "approval.decided", "approval.recalled",
        "approval.expired", "approval.escalated", "approval.reminded", "approval.withdrawn", "approval.superseded",
        "approval.reopened", "approval.refused", "approval.claimed", "approval.taken_over", "approval.released",
        "approval.assigned", "approval.handed_over", "approval.claim_lapsed", "approval.snoozed", "approval.woken",
        "approval.preview_asked", "approval.previewed",
        "approval.commented", "approval.regretted", "approval.regret_withdrawn",
        "approval.revealed", "run.revealed", "decision.released", "decision.delivered", "decision.unused",
        "decision.voided", "rule.created", "rule.changed", "rule.deleted", "policy.rolled_back", "policy.imported",
        "tool.registered", "tool.unknown", "tool.changed", "tool.accepted", "tool.switched_off", "tool.switched_on",
        "agent.registered", "agent.changed", "agent.switched_off", "agent.switched_on", "desk.switched_off", "desk.switched_on",
        "user.changed", "team.changed", "membership.changed",
        "price.added", "price.changed", "price.removed",
        "subscription.added", "subscription.changed", "subscription.secret", "subscription.tested", "delivery.replayed",
        "session.ended", "token.created", "token.revoked", "login.succeeded", "login.failed", "logout",
        "absence.entered", "absence.began", "absence.cancelled",
        "standing.made", "standing.used", "standing.revoked", "standing.offered", "standing.taken_over",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. ``act`` groups all entries of one act. ``user`` is None for the desk itself and its workers.
    ``proof``: what they have proved of themselves lately (:mod:`agentdesk.people.proofs`), or empty."""

    label: str
    via: str
    user: User | None = None
    address: str = ""
    user_agent: str = ""
    act: UUID = field(default_factory=new_id)
    proof: str = ""

    @classmethod
    def of(cls, user: User, via: str = AuditEntry.Via.CLI, *, proof: str = "") -> Self:
        return cls(user.label, via, user, proof=proof)

    @classmethod
    def from_request(cls, request: HttpRequest, via: str = AuditEntry.Via.WEB) -> Self:
        """The signed-in user of a request. Raises TypeError when nobody is signed in."""
        if not isinstance(request.user, User):
            raise TypeError("nobody is signed in")
        agent = request.headers.get("User-Agent", "")[:300]
        proved = proof_of(request) if via == AuditEntry.Via.WEB else None
        proof = proved.factor if proved else ""
        return cls(request.user.label, via, request.user, client_address(request), agent, proof=proof)

    @classmethod
    def desk(cls, label: str = "AgentDesk") -> Self:
        """The desk itself: a worker, a sweep."""
        return cls(label, AuditEntry.Via.WORKER)


def record(
    action: str,
    *,
    actor: Actor,
    object_type: str,
    object_id: object,
    object_label: str = "",
    team_id: UUID | None = None,
    run_id: UUID | None = None,
    before: Any = None,
    after: Any = None,
    policy_version: int | None = None,
    content: Any = None,
) -> None:
    """Write one entry, in the transaction of the change that it tells of.

    ``before`` and ``after`` hold states, ids and digests. What may have to be erased one day (arguments, messages, results)
    goes into ``content``, which the entry holds by commitment only. Raises ValueError for an action that is not listed.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown audit action {action!r}")
    entry = AuditEntry(
        at=timezone.now(), act=actor.act, actor_id=actor.user.pk if actor.user else None, actor_label=actor.label[:200],
        via=actor.via, action=action, object_type=object_type, object_id=str(object_id), object_label=object_label[:300],
        run_id=run_id, team_id=team_id, before=encode(before), after=encode(after), policy_version=policy_version,
        address=actor.address, user_agent=actor.user_agent,
    )  # fmt: skip
    if content is not None:
        body = encode(content)
        salt = secrets.token_bytes(16)
        entry.content = AuditContent.objects.create(salt=salt, body=body)
        entry.commitment = commitment(salt, body)
    entry.save(force_insert=True)
