"""The askers' verbs: ask, withdraw, supersede, ask again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk import faults
from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, canonical, decode, encode
from approvals import critical, evidence, moves
from approvals.errors import Consumed, InvalidAsk, KeyReused, NotCurrent, NotFound, TooLarge
from approvals.models import Approval, Decision, Evaluation
from approvals.models.approvals import ASKED_BACK
from approvals.signals import requested, tell
from approvals.states import PEOPLES_VERDICTS, Kind, Risk, Status, Verdict
from approvals.texts import is_deep, is_storable, storable


@dataclass(frozen=True, slots=True)
class Ask:
    """One question for people. ``args``, ``payload`` and ``response_schema`` are plain values; ``requirements`` come from an
    evaluation."""

    source: str
    source_ref: str
    request_key: str
    kind: str
    agent: str
    team_id: UUID
    action: str
    args: Mapping[str, Any]
    allowed: Collection[str]
    agent_version: str = ""
    args_schema: dict[str, Any] | None = None
    schema_version: str = ""
    description: str = ""
    reason: str = ""
    subject: str = ""
    evidence: Sequence[Mapping[str, str]] = ()
    alternatives: Sequence[str] = ()
    payload: Any = None
    adapter: str = ""
    answer_schema: dict[str, Any] | None = None
    response_schema: dict[str, Any] | None = None
    risk: str = Risk.MEDIUM
    effect: str = ""
    egress: bool = False
    requirements: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    policy_version: int | None = None
    requester_id: UUID | None = None
    owner_id: UUID | None = None
    follows_id: UUID | None = None

    @property
    def digest(self) -> str:
        return action_digest(self.agent, self.action, self.schema_version, dict(self.args))


@transaction.atomic
def request_approval(ask: Ask, *, actor: Actor) -> tuple[Approval, bool]:
    """The approval of ``ask.request_key``, and whether it was made now: the same question is never asked twice.

    Raises InvalidAsk, TooLarge, and KeyReused when the key belongs to another action.
    """
    _check(ask)
    known = Approval.objects.filter(request_key=ask.request_key).first()
    if known is None:
        try:
            with transaction.atomic():
                return _make(ask, actor), True
        except IntegrityError:
            known = Approval.objects.filter(request_key=ask.request_key).first()
            if known is None:
                raise
    if (known.source, known.source_ref, _asked_digest(known)) != (ask.source, ask.source_ref, ask.digest):
        raise KeyReused
    return known, False


def request_new(ask: Ask, *, actor: Actor) -> tuple[Approval, bool]:
    """The same for a key that nobody can have used, such as one made of an id that is new; in the caller's transaction. Raises
    InvalidAsk, TooLarge."""
    _check(ask)
    return _make(ask, actor), True


def followed_by(source: str, source_ref: str, action: str) -> UUID | None:
    """The approval that the asker's next call of ``action`` follows: the last one that a person answered by asking back."""
    asked = Approval.objects.filter(ASKED_BACK, source=source, source_ref=source_ref, action=action)
    return asked.order_by("-requested_at").values_list("pk", flat=True).first() if source_ref else None


@transaction.atomic
def withdraw(approval_id: UUID | str, actor: Actor, reason: str = "") -> bool:
    """The asker takes its question back. False: it was not open any more. Nothing is handed over: the asker knows."""
    approval = _lock(approval_id)
    before = approval.status
    if before not in (Status.PENDING, Status.HELD):
        return False
    _void(approval, reason or "Withdrawn by its asker.", actor)
    if not moves.move(approval, Status.WITHDRAWN):
        return False
    moves.conclude(approval, Verdict.WITHDRAW, actor=actor, handed_over=True, message=reason)
    moves.enter(
        approval, "approval.withdrawn", actor=actor, before={"status": before}, after={"status": Status.WITHDRAWN},
        content={"reason": reason},
    )  # fmt: skip
    return True


@transaction.atomic
def supersede(approval_id: UUID | str, actor: Actor, reason: str = "") -> bool:
    """Another question has taken its place: a decision on this one would reach nobody. False: it was closed otherwise."""
    approval = _lock(approval_id)
    before = approval.status
    _refuse_if_consumed(approval)
    if not moves.move(approval, Status.SUPERSEDED):
        return False
    _void(approval, reason or "Superseded.", actor)
    moves.enter(
        approval, "approval.superseded", actor=actor, before={"status": before}, after={"status": Status.SUPERSEDED},
        content={"reason": reason},
    )  # fmt: skip
    return True


@transaction.atomic
def reopen(approval_id: UUID | str, because: str, actor: Actor, *, action: str = "approval.reopened") -> Approval:
    """Ask again, as version n+1, with the reason for everybody to read; the decision so far is void. ``action`` is the word
    for it in the record.

    Raises NotFound, Consumed when the decision was already carried out, NotCurrent when there is nothing to ask again.
    """
    approval = _lock(approval_id)
    before = {"status": approval.status, "version": approval.version}
    if approval.status == Status.PENDING:
        raise NotCurrent(approval, _("This is being asked already."))
    _refuse_if_consumed(approval)
    _void(approval, because, actor)
    moved = moves.move(
        approval, Status.PENDING, version=approval.version + 1, reopened_because=because,
        expires_at=expiry(approval.kind, approval.requirements), remind_at=reminder(approval.requirements),
    )  # fmt: skip
    if not moved:
        raise NotCurrent(approval)
    moves.enter(
        approval, action, actor=actor, before=before,
        after={"status": approval.status, "version": approval.version}, content={"because": because},
    )  # fmt: skip
    tell(requested, approval)
    return approval


@transaction.atomic
def caution(approval_id: UUID | str, because: str, actor: Actor) -> bool:
    """Ask an open question anew, as version n+1, with something that people have to know first; votes so far do not count.
    False: it is not open any more."""
    approval = _lock(approval_id)
    before = {"status": approval.status, "version": approval.version}
    if approval.status != Status.PENDING:
        return False
    moved = moves.move(approval, Status.PENDING, version=approval.version + 1, reopened_because=because)
    if moved:
        moves.enter(
            approval, "approval.reopened", actor=actor, before=before,
            after={"status": approval.status, "version": approval.version}, content={"because": because},
        )  # fmt: skip
    return moved


def touch(approval_id: UUID | str) -> None:
    """What the approval's page shows beside it has changed, such as the call's result: let open pages know."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE approvals_approval SET revision = revision + 1 WHERE id = %s RETURNING id, revision", [approval_id]
        )
        for id_, revision in cursor.fetchall():
            moves.show(Approval(pk=id_, revision=revision))


def void(decision: Decision, because: str) -> bool:
    """The decision was taken, and what it is about was stopped before it started: on record it did not count. False: it was
    void already."""
    if not Decision.objects.filter(pk=decision.pk, voided_at__isnull=True).update(
        voided_at=timezone.now(), void_reason=because
    ):
        return False
    moves.enter(
        decision.approval, "decision.voided", actor=Actor.desk(),
        before={"decision": decision.pk, "verdict": decision.verdict}, after={"voided": True}, content={"reason": because},
    )  # fmt: skip
    # Apart from this transaction: deciding locks the approval first and the decision then, the other way round.
    transaction.on_commit(partial(touch, decision.approval_id), robust=True)
    return True


def _check(ask: Ask) -> None:
    errors: dict[str, list[str]] = {}
    if not ask.allowed or set(ask.allowed) - set(PEOPLES_VERDICTS):
        errors["allowed"] = [_("Name one or more of: %(verdicts)s.") % {"verdicts": ", ".join(PEOPLES_VERDICTS)}]
    for name in ("source", "source_ref", "request_key", "agent", "agent_version", "action"):
        text, limit = getattr(ask, name), getattr(Approval._meta.get_field(name), "max_length", None)
        if not is_storable(text) or (limit and len(text) > limit):
            errors[name] = [_("At most %(limit)s characters, without control characters.") % {"limit": limit}]
    for name in ("args_schema", "answer_schema"):
        if encode(getattr(ask, name)) != getattr(ask, name):
            errors[name] = [_("The schema holds values that JSON does not have.")]
    if errors:
        raise InvalidAsk(errors)
    evidence.check(ask.evidence, ask.alternatives)
    check_size(
        ask.args, ask.payload, ask.args_schema, ask.answer_schema, ask.response_schema, ask.description, ask.reason,
        ask.subject, ask.evidence, ask.alternatives,
    )  # fmt: skip


def check_size(*parts: Any) -> None:
    """Raises TooLarge when ``parts`` together are more, or deeper, than the desk takes in one piece."""
    if is_deep(parts):
        raise TooLarge(_("This is nested too deeply."))
    size, limit = sum(len(canonical(part)) for part in parts), settings.INPUT_MAX_BYTES
    if size > limit:
        raise TooLarge(_("This is %(size)d bytes; %(limit)d are allowed.") % {"size": size, "limit": limit})


def _make(ask: Ask, actor: Actor) -> Approval:
    """A new approval, on record. Raises IntegrityError for a key that is known."""
    faults.at("approval.insert.before")
    approval = _create(ask)
    faults.at("approval.insert.after")
    moves.enter(
        approval,
        "approval.requested",
        actor=actor,
        after={"digest": approval.digest, "version": 1, "requirements": approval.requirements},
        content={"args": approval.args, "reason": ask.reason, "description": ask.description},
    )
    moves.show(approval)
    tell(requested, approval)
    if ask.follows_id is not None:
        transaction.on_commit(partial(touch, ask.follows_id), robust=True)
    return approval


def _create(ask: Ask) -> Approval:
    requirements = critical.required(ask.requirements, ask.team_id, ask.risk, ask.kind, ask.allowed)
    args = encode(dict(ask.args))
    return Approval.objects.create(
        source=ask.source, source_ref=ask.source_ref, request_key=ask.request_key, kind=ask.kind, agent=ask.agent,
        agent_version=ask.agent_version, team_id=ask.team_id, reviewer_teams=[UUID(team) for team in requirements["teams"]],
        action=ask.action, asked_args=args, args=args, args_schema=ask.args_schema, schema_version=ask.schema_version,
        digest=ask.digest, description=storable(ask.description), reason=storable(ask.reason),
        subject=storable(ask.subject), evidence=[_storable(one) for one in ask.evidence],
        alternatives=list(map(storable, ask.alternatives)), payload=encode(ask.payload), adapter=ask.adapter,
        allowed=[verdict for verdict in PEOPLES_VERDICTS if verdict in ask.allowed], answer_schema=ask.answer_schema,
        response_schema=encode(ask.response_schema), risk=ask.risk, effect=ask.effect, egress=ask.egress,
        requirements=requirements, evaluation=ask.evaluation,
        policy_version=ask.policy_version, requester_id=ask.requester_id, owner_id=ask.owner_id,
        follows_id=ask.follows_id,
        expires_at=expiry(ask.kind, requirements), remind_at=reminder(requirements),
    )  # fmt: skip


def _storable(one: Mapping[str, str]) -> dict[str, str]:
    return {key: storable(text) for key, text in one.items() if text}


def reminder(requirements: Mapping[str, Any]) -> "datetime | None":
    """When its reviewers are to be reminded, asked now; None: never."""
    seconds = requirements.get("remind_after")
    return None if seconds is None else timezone.now() + timedelta(seconds=seconds)


def expiry(kind: str, requirements: Mapping[str, Any]) -> "datetime | None":
    """When it expires, asked now. A call in doubt never does: nobody may guess what became of it."""
    if kind == Kind.IN_DOUBT:
        return None
    seconds = requirements.get("expires_after")
    after = timedelta(hours=settings.APPROVAL_EXPIRES_HOURS) if seconds is None else timedelta(seconds=seconds)
    return timezone.now() + after


def _asked_digest(approval: Approval) -> str:
    return action_digest(approval.agent, approval.action, approval.schema_version, decode(approval.asked_args))


def _lock(approval_id: UUID | str) -> Approval:
    approval = Approval.objects.select_for_update().filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    return approval


def _standing(approval: Approval) -> Decision | None:
    return Decision.objects.filter(approval=approval, voided_at__isnull=True).first()


def _refuse_if_consumed(approval: Approval) -> None:
    standing = _standing(approval)
    if standing is not None and standing.consumed_at is not None:
        raise Consumed


def _void(approval: Approval, reason: str, actor: Actor) -> None:
    standing = _standing(approval)
    if standing is None:
        return
    voided = Decision.objects.filter(pk=standing.pk, voided_at__isnull=True, consumed_at__isnull=True)
    if not voided.update(voided_at=timezone.now(), void_reason=reason):
        raise Consumed
    moves.enter(
        approval, "decision.voided", actor=actor, before={"decision": standing.pk, "verdict": standing.verdict},
        after={"voided": True}, content={"reason": reason},
    )  # fmt: skip
