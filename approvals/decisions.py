"""The reviewers' verb, ``decide``, and what becomes of a decision: handed over, carried out, expired."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk import faults
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import Json, action_digest, decode, encode
from agentdesk.digests import digest as digest_of
from agentdesk.ids import new_id
from agentdesk.people.models import User
from approvals import access, answers, moves
from approvals.errors import AlreadyDecided, ApprovalError, Expired, InvalidAnswer, NotAllowed, NotCurrent, NotFound, Released
from approvals.models import Approval, Decision, Review
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action, would_be
from approvals.policy.replay import facts_of
from approvals.policy.requirements import Requirements, freeze, progress, unite
from approvals.requests import check_size, reopen, touch
from approvals.signals import decided, tell
from approvals.states import PEOPLES_VERDICTS, Status, Verdict
from approvals.texts import storable


class _Unset:
    """No answer at all, which is not the same as the answer null."""


UNSET = _Unset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a post brought. ``decision`` is None while votes are missing: ``have`` of ``need``."""

    approval: Approval
    decision: Decision | None
    have: int
    need: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Vote:
    """One post, as its sender meant it. ``digest`` and ``version`` are those on their screen."""

    user: User
    actor: Actor
    verdict: Verdict
    digest: str
    version: int
    args: Mapping[str, Any] | None
    answer: Any
    message: str
    view_digest: str
    seconds_open: float | None
    decision_id: UUID | None


def decide(
    approval_id: UUID | str,
    *,
    actor: Actor,
    verdict: str,
    digest: str,
    version: int,
    args: Mapping[str, Any] | None = None,
    answer: Any = UNSET,
    message: str = "",
    view_digest: str = "",
    seconds_open: float | None = None,
    decision_id: UUID | None = None,
) -> Outcome:
    """Cast the actor's vote, and decide when it is the last one needed. ``args`` and ``answer`` are plain values;
    ``decision_id`` is the one that the decision is to have, where it was shown before (see ``web.panel``).

    The same post of the same person again brings the standing outcome (``repeated``). Raises NotFound, NotAllowed, Expired,
    AlreadyDecided, NotCurrent, InvalidAnswer and TooLarge; after any of them the approval is as it was (or expired).
    """
    if actor.user is None:
        raise NotAllowed(_("Only people decide."))
    if verdict not in PEOPLES_VERDICTS:
        raise InvalidAnswer({"verdict": [_("Choose one of: %(verdicts)s.") % {"verdicts": ", ".join(PEOPLES_VERDICTS)}]})
    check_size(args, None if answer is UNSET else answer, message)
    refusal: ApprovalError | None = None
    faults.at("decision.begin")
    with transaction.atomic():
        # Read anew: the caller's object may be older than the loss of a role.
        user = User.objects.get(pk=actor.user.pk)
        vote = _Vote(
            user, actor, Verdict(verdict), digest, version, args, answer, storable(message).strip(), view_digest, seconds_open,
            decision_id,
        )  # fmt: skip
        approval = _lock(approval_id, user)
        try:
            outcome = _cast(approval, vote)
        except NotAllowed as error:
            moves.enter(approval, "approval.refused", actor=actor, after={"verdict": verdict, "because": str(error)})
            refusal = error
        except Expired as error:
            _expire(approval)
            refusal = error
    if refusal is not None:
        raise refusal
    faults.at("decision.commit.after")
    return outcome


def draft(
    approval: Approval,
    *,
    actor: Actor,
    verdict: str,
    digest: str,
    version: int,
    args: Mapping[str, Any] | None = None,
    answer: Any = UNSET,
    message: str = "",
    view_digest: str = "",
    seconds_open: float | None = None,
    decision_id: UUID | None = None,
) -> Outcome:
    """What :func:`decide` would make of this post now. Nothing is written, and ``decision`` is not saved; it is there before
    the last vote too (``have`` of ``need`` with this one). Raises what :func:`decide` raises."""
    if actor.user is None:
        raise NotAllowed(_("Only people decide."))
    check_size(args, None if answer is UNSET else answer, message)
    vote = _Vote(
        actor.user, actor, Verdict(verdict), digest, version, args, answer, storable(message).strip(), view_digest,
        seconds_open, decision_id,
    )  # fmt: skip
    _check_person(approval, vote)
    _check_current(approval, vote)
    _check_verdict(approval, vote)
    final = _changed_args(approval, vote) if vote.verdict == Verdict.MODIFY else decode(approval.args)
    bound = _digest_with(approval, final)
    requirements = freeze(approval.requirements, approval.team_id)
    if bound != approval.digest:
        judged = would_be(_facts_with(approval, final), approval.source, approval.source_ref, of=approval.evaluation)
        requirements = _united(approval, judged.effect, judged.requirements, [rule.as_json() for rule in judged.rules])
    voters = {vote.user.pk}
    if bound == approval.digest and requirements["count"] > 1:
        mine = Review(version=approval.version, verdict=vote.verdict, digest=_digest_of_vote(approval, vote))
        voters |= set(_votes_like(approval, mine).values_list("reviewer", flat=True))
    teams = {UUID(team) for team in requirements["teams"]}
    have, need = progress(requirements, access.teams_reviewed_by(voters, teams))
    decision = Decision(
        id=decision_id, approval=approval, version=approval.version + (bound != approval.digest),
        verdict=_final_verdict(approval, vote.verdict, bound), args=_as_stored(encode(final)), digest=bound,
        answer=_as_stored(encode(answer)) if vote.verdict == Verdict.RESPOND else None, message=vote.message,
        decided_by_label=actor.label[:200], decided_at=timezone.now(),
    )  # fmt: skip
    return Outcome(approval, decision, need if vote.verdict == Verdict.REJECT else have, need)


def _as_stored(value: Json) -> Any:
    """``value`` as ``jsonb`` gives it back: names in its order, numbers in its form."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", [json.dumps(value)])
        return json.loads(cursor.fetchone()[0])


def mark_delivered(decision_ids: Collection[UUID], *, unused: str = "") -> int:
    """These were handed over to their asker, or never will be, for the reason ``unused``. Returns how many that was news of."""
    faults.at("delivered.before")
    with transaction.atomic():
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


def expire_due(limit: int = 100) -> int:
    """Expire pending approvals whose time is over, at most ``limit``; approvals that others hold are left for later."""
    with transaction.atomic():
        due = Approval.objects.filter(status=Status.PENDING, expires_at__lte=timezone.now()).order_by("expires_at")
        return sum(_expire(approval) for approval in due.select_for_update(skip_locked=True)[:limit])


@transaction.atomic
def recall(approval_id: UUID | str, *, actor: Actor) -> Approval:
    """Take a decision back while it is held: the question stands again, as version n+1. Whoever may decide may.

    Raises NotFound, NotAllowed, and Released when it is not held (any more).
    """
    if actor.user is None:
        raise NotAllowed
    approval = _lock(approval_id, actor.user)
    if (reason := access.why_not(actor.user, approval)) is not None:
        raise NotAllowed(reason)
    decision = approval.standing
    if (
        approval.status != Status.HELD
        or decision is None
        or decision.release_at is None
        or decision.release_at <= timezone.now()
    ):
        raise Released
    because = _("{who} took the decision back.").format(who=actor.label)
    return reopen(approval.pk, because, actor, action="approval.recalled")


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
                    approval, "approval.decided", actor=Actor.desk(), after={"status": Status.DECIDED, "released": True}
                )
                tell(decided, approval)
                released += 1
        return released


def _lock(approval_id: UUID | str, user: User) -> Approval:
    # The lock makes votes for one approval come one after the other: each counts all votes before it.
    try:
        key = UUID(str(approval_id))
    except ValueError:
        raise NotFound from None
    approval = Approval.objects.visible_to(user).select_for_update().filter(pk=key).first()
    if approval is None:
        raise NotFound
    return approval


def _cast(approval: Approval, vote: _Vote) -> Outcome:
    _check_person(approval, vote)
    earlier = Review.objects.filter(approval=approval, version=approval.version, reviewer=vote.user).first()
    repeated = _repeated(approval, vote, earlier)
    if repeated is not None:
        return repeated
    _check_current(approval, vote)
    _check_verdict(approval, vote)
    if vote.verdict == Verdict.MODIFY:
        return _modify(approval, vote, earlier)
    return _count(approval, vote, _write_review(approval, vote, vote.verdict, earlier))


def _check_person(approval: Approval, vote: _Vote) -> None:
    reason = access.why_not(vote.user, approval)
    if reason is None and approval.requirements.get("second_factor") and vote.actor.via != AuditEntry.Via.WEB:
        reason = _("This needs a second factor, so it is decided in the browser.")
    if reason is not None:
        raise NotAllowed(reason)


def _check_current(approval: Approval, vote: _Vote) -> None:
    if approval.status == Status.EXPIRED or (approval.is_pending and _is_overdue(approval)):
        raise Expired
    if not approval.is_pending:
        standing = approval.standing
        raise NotCurrent(approval) if standing is None else AlreadyDecided(approval, standing)
    if (vote.digest, vote.version) != (approval.digest, approval.version):
        raise NotCurrent(approval)


def _check_verdict(approval: Approval, vote: _Vote) -> None:
    if vote.verdict not in approval.allowed:
        raise InvalidAnswer({"verdict": [_("This cannot be answered with %(verdict)s.") % {"verdict": vote.verdict.label}]})
    if vote.verdict == Verdict.RESPOND:
        _check_answer(approval, vote)
    if vote.verdict == Verdict.REJECT and approval.requirements.get("message_required") and not vote.message:
        raise InvalidAnswer({"message": [_("Say why.")]})


def _is_overdue(approval: Approval) -> bool:
    return approval.expires_at is not None and approval.expires_at <= timezone.now()


def _check_answer(approval: Approval, vote: _Vote) -> None:
    if vote.answer is UNSET:
        raise InvalidAnswer({"answer": [_("An answer is needed.")]})
    errors = answers.problems(approval.answer_schema, vote.answer)
    if errors:
        raise InvalidAnswer({path or "answer": texts for path, texts in errors.items()})


def _repeated(approval: Approval, vote: _Vote, mine: Review | None) -> Outcome | None:
    """The standing outcome, if this very post was counted before."""
    if mine is None or not _is_same_post(approval, vote, mine):
        return None
    standing = approval.standing
    if standing is None and not approval.is_pending:
        return None
    if standing is not None and _side(standing.verdict) != _side(mine.verdict):
        return None
    have, need = _progress(approval, mine)
    return Outcome(approval, standing, need if standing else have, need, repeated=True)


def _is_same_post(approval: Approval, vote: _Vote, mine: Review) -> bool:
    if vote.message != mine.message:
        return False
    if vote.verdict == Verdict.MODIFY and vote.args is not None:
        made_now = vote.version + 1 == mine.version  # the first post made this version
        unchanged = vote.version == mine.version and mine.digest == vote.digest
        return (made_now or unchanged) and _digest_with(approval, vote.args) == mine.digest
    if (vote.verdict, vote.version) != (mine.verdict, mine.version) or vote.digest != approval.digest:
        return False
    return vote.verdict != Verdict.RESPOND or _answer_digest(approval, vote.answer) == mine.digest


def _side(verdict: str) -> str:
    """Approving and modifying agree on one version's arguments."""
    return Verdict.APPROVE if verdict == Verdict.MODIFY else verdict


def _modify(approval: Approval, vote: _Vote, earlier: Review | None) -> Outcome:
    """Make version n+1 of the arguments, if there is a change; the editor's vote counts for it."""
    args = _changed_args(approval, vote)
    changed = _digest_with(approval, args)
    if changed == approval.digest:
        verdict = Verdict.APPROVE if Verdict.APPROVE in approval.allowed else Verdict.MODIFY
        return _count(approval, vote, _write_review(approval, vote, verdict, earlier))
    requirements, policy_version = _required_for(approval, args)
    before = {"version": approval.version, "digest": approval.digest}
    moved = moves.move(
        approval, Status.PENDING, args=encode(args), digest=changed, version=approval.version + 1, requirements=requirements,
        reviewer_teams=[UUID(team) for team in requirements["teams"]], policy_version=policy_version,
        expires_at=_sooner(approval, requirements),
    )  # fmt: skip
    if not moved:
        raise NotCurrent(approval)
    return _count(approval, vote, _write_review(approval, vote, Verdict.MODIFY, None), before)


def _changed_args(approval: Approval, vote: _Vote) -> dict[str, Any]:
    if not isinstance(vote.args, Mapping):
        raise InvalidAnswer({"args": [_("The changed arguments are needed.")]})
    args: dict[str, Any] = answers.keep_types(decode(approval.args), dict(vote.args))
    errors = answers.problems(approval.args_schema, args)
    if errors:
        raise InvalidAnswer(errors)
    return args


def _required_for(approval: Approval, args: dict[str, Any]) -> tuple[Requirements, int | None]:
    """What the policy wants for changed arguments, on top of what was frozen. Raises NotAllowed where a rule denies them."""
    evaluation = evaluate_action(
        _facts_with(approval, args), source=approval.source, source_ref=approval.source_ref, occasion=Occasion.MODIFIED,
        of=approval.evaluation,
    )  # fmt: skip
    return _united(approval, evaluation.verdict, evaluation.requirements, evaluation.rules), evaluation.policy_version


def _facts_with(approval: Approval, args: dict[str, Any]) -> Facts:
    recorded = approval.evaluation.facts if approval.evaluation else {}
    asked = facts_of(recorded) if recorded else None  # none where they were erased
    return Facts(
        agent=approval.agent, team_id=approval.team_id, action=approval.action, args=args, effect=approval.effect,
        egress=approval.egress, risk=approval.risk, schema_version=approval.schema_version,
        run_input=asked.run_input if asked else None, confidence=asked.confidence if asked else None,
    )  # fmt: skip


def _united(approval: Approval, verdict: str, wanted: Mapping[str, Any], rules: list[dict[str, Any]]) -> Requirements:
    if verdict == Effect.DENY:
        names = ", ".join(rule["name"] for rule in rules if rule["matched"] and rule["verdict"] == Effect.DENY)
        raise NotAllowed(_("Rule “%(rule)s” denies this with the changed arguments.") % {"rule": names})
    if verdict == Effect.ALLOW:
        return unite([approval.requirements])
    return unite([approval.requirements, freeze(wanted, approval.team_id)])


def _sooner(approval: Approval, requirements: Requirements) -> Any:
    if requirements["expires_after"] is None or approval.expires_at is None:
        return approval.expires_at
    return min(approval.expires_at, timezone.now() + timedelta(seconds=requirements["expires_after"]))


def _write_review(approval: Approval, vote: _Vote, verdict: Verdict, earlier: Review | None) -> Review:
    """Store the vote. A reviewer has one for each version; a later one takes the place of the earlier."""
    digest = _digest_of_vote(approval, vote)
    facts = {"verdict": verdict, "message": vote.message, "digest": digest}
    if earlier is None:
        return Review.objects.create(approval=approval, version=approval.version, reviewer=vote.user, **facts)
    for name, value in facts.items():
        setattr(earlier, name, value)
    earlier.save(update_fields=list(facts))
    return earlier


def _count(approval: Approval, vote: _Vote, mine: Review, before: dict[str, Any] | None = None) -> Outcome:
    """Decide, if this was the last vote needed. One rejection is enough."""
    have, need = _progress(approval, mine)
    content = {"args": approval.args, "message": vote.message}
    if mine.verdict == Verdict.RESPOND:
        content["answer"] = encode(vote.answer)
    after = {"verdict": mine.verdict, "version": approval.version, "digest": approval.digest, "have": have, "need": need}
    if have < need and mine.verdict != Verdict.REJECT:
        if before is None and not moves.move(approval, Status.PENDING):
            raise NotCurrent(approval)
        action = "approval.reviewed" if before is None else "approval.modified"
        moves.enter(approval, action, actor=vote.actor, before=before, after=after, content=content)
        return Outcome(approval, None, have, need)
    if not moves.move(approval, Status.DECIDED):
        raise NotCurrent(approval)
    faults.at("decision.write.before")
    decision = _conclude(approval, vote, mine)
    faults.at("decision.write.after")
    moves.enter(
        approval, "approval.decided", actor=vote.actor, before={**(before or {}), "status": Status.PENDING},
        after={**after, "verdict": decision.verdict, "status": Status.DECIDED, "decision": decision.pk}, content=content,
    )  # fmt: skip
    tell(decided, approval)
    return Outcome(approval, decision, have, need)


def _conclude(approval: Approval, vote: _Vote, mine: Review) -> Decision:
    verdict = _final_verdict(approval, Verdict(mine.verdict), approval.digest)
    return moves.conclude(
        approval, verdict, actor=vote.actor, message=vote.message, view_digest=vote.view_digest[:71],
        answer=encode(vote.answer) if verdict == Verdict.RESPOND else None, seconds_open=vote.seconds_open,
        id=vote.decision_id or new_id(),
    )  # fmt: skip


def _final_verdict(approval: Approval, verdict: Verdict, bound: str) -> Verdict:
    """What a decision is that ``verdict`` brings about. Approving or modifying, what counts is whether the final arguments,
    those with the digest ``bound``, are the ones that were asked for, not who voted last."""
    if _side(verdict) != Verdict.APPROVE:
        return verdict
    is_as_asked = bound == _digest_with(approval, decode(approval.asked_args))
    return Verdict.APPROVE if is_as_asked and Verdict.APPROVE in approval.allowed else Verdict.MODIFY


def _progress(approval: Approval, mine: Review) -> tuple[int, int]:
    """Votes for the current version that agree with ``mine``, of people who review now, and how many are needed."""
    requirements = freeze(approval.requirements, approval.team_id)
    if requirements["count"] == 1:
        return 1, 1  # whoever cast ``mine`` reviews for the one group: that was checked first
    voters = access.teams_reviewed_by(_votes_like(approval, mine).values("reviewer"), approval.reviewing_teams())
    return progress(requirements, voters)


def _votes_like(approval: Approval, mine: Review) -> QuerySet[Review]:
    same = [Verdict.APPROVE, Verdict.MODIFY] if _side(mine.verdict) == Verdict.APPROVE else [mine.verdict]
    return Review.objects.filter(approval=approval, version=approval.version, verdict__in=same, digest=mine.digest)


def _expire(approval: Approval) -> bool:
    if not moves.move(approval, Status.EXPIRED):
        return False
    moves.conclude(approval, Verdict.EXPIRE, actor=Actor.desk())
    moves.enter(
        approval, "approval.expired", actor=Actor.desk(), before={"status": Status.PENDING}, after={"status": Status.EXPIRED}
    )
    tell(decided, approval)
    return True


def _digest_with(approval: Approval, args: Mapping[str, Any]) -> str:
    return action_digest(approval.agent, approval.action, approval.schema_version, dict(args))


def _digest_of_vote(approval: Approval, vote: _Vote) -> str:
    return _answer_digest(approval, vote.answer) if vote.verdict == Verdict.RESPOND else approval.digest


def _answer_digest(approval: Approval, answer: Any) -> str:
    return digest_of({"action": approval.digest, "answer": None if answer is UNSET else answer})
