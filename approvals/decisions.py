"""The reviewers' verb, ``decide``: votes are counted until there is a decision, which may be recalled, or time is over."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Unpack
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor
from agentdesk.digests import encode
from agentdesk.english import in_english
from agentdesk.ids import new_id
from agentdesk.people.models import User
from approvals import access, holding, moves
from approvals.errors import ApprovalError, Expired, NotAllowed, NotCurrent, NotFound, Released
from approvals.models import Approval, Decision, Review
from approvals.models.evaluations import Occasion
from approvals.policy.record import evaluate_action
from approvals.policy.requirements import Requirements, escalated
from approvals.requests import expiry, reopen
from approvals.signals import decided, reminded, requested, tell
from approvals.states import REFUSING, Status, Verdict
from approvals.votes import (
    Post,
    Vote,
    changed_args,
    check_current,
    check_person,
    check_proof,
    check_verdict,
    digest_of_vote,
    digest_with,
    facts_with,
    final_verdict,
    is_same_post,
    progress_of,
    proof_needed,
    side,
    united,
    vote_of,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a post brought. ``decision`` is None while votes are missing: ``have`` of ``need``."""

    approval: Approval
    decision: Decision | None
    have: int
    need: int
    repeated: bool = False


def decide(approval_id: UUID | str, *, actor: Actor, **post: Unpack[Post]) -> Outcome:
    """Cast the actor's vote, and decide when it is the last one needed.

    The same post of the same person again brings the standing outcome (``repeated``). Raises NotFound, NotAllowed, Expired,
    AlreadyDecided, NotCurrent, InvalidAnswer and TooLarge; after any of them the approval is as it was (or expired).
    """
    sent = vote_of(actor, **post)
    refusal: ApprovalError | None = None
    faults.at("decision.begin")
    with transaction.atomic():
        # Read anew: the caller's object may be older than the loss of a role.
        vote = replace(sent, user=User.objects.get(pk=sent.user.pk))
        approval = _lock(approval_id, vote.user)
        try:
            outcome = _cast(approval, vote)
        except NotAllowed as error:
            with in_english():
                because = str(error)
            moves.enter(approval, "approval.refused", actor=actor, after={"verdict": vote.verdict, "because": because})
            refusal = error
        except Expired as error:
            _expire(approval)
            refusal = NotCurrent(approval) if approval.is_pending else error  # another team was asked: look again
    if refusal is not None:
        raise refusal
    faults.at("decision.commit.after")
    return outcome


def expire_due(limit: int = 100) -> int:
    """Expire or escalate pending approvals whose time is over, at most ``limit``; those that others hold are left for later."""
    with transaction.atomic():
        due = Approval.objects.filter(status=Status.PENDING, expires_at__lte=timezone.now()).order_by("expires_at")
        return sum(_expire(approval) for approval in due.select_for_update(skip_locked=True)[:limit])


def remind_due(limit: int = 100) -> int:
    """Remind the reviewers of pending approvals, once each, at most ``limit``; those that others hold are left for later."""
    with transaction.atomic():
        now = timezone.now()
        due = Approval.objects.filter(status=Status.PENDING, remind_at__lte=now).order_by("remind_at")
        return sum(_remind(approval, now) for approval in due.select_for_update(skip_locked=True)[:limit])


def _remind(approval: Approval, now: datetime) -> bool:
    if not moves.move(approval, Status.PENDING, remind_at=None, reminded_at=now):
        return False
    moves.enter(approval, "approval.reminded", actor=Actor.desk(), after={"expires_at": approval.expires_at})
    tell(reminded, approval)
    return True


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
    return reopen(approval.pk, f"{actor.label} took the decision back.", actor, action="approval.recalled")


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


def _cast(approval: Approval, vote: Vote) -> Outcome:
    check_person(approval, vote)
    earlier = Review.objects.filter(approval=approval, version=approval.version, reviewer=vote.user).first()
    repeated = _repeated(approval, vote, earlier)
    if repeated is not None:
        return repeated
    check_current(approval, vote)
    check_verdict(approval, vote)
    check_proof(approval, vote)
    if vote.verdict == Verdict.MODIFY:
        return _modify(approval, vote, earlier)
    return _count(approval, vote, _write_review(approval, vote, vote.verdict, earlier))


def _repeated(approval: Approval, vote: Vote, mine: Review | None) -> Outcome | None:
    """The standing outcome, if this very post was counted before."""
    if mine is None or not is_same_post(approval, vote, mine):
        return None
    standing = approval.standing
    if standing is None and not approval.is_pending:
        return None
    if standing is not None and side(standing.verdict) != side(mine.verdict):
        return None
    have, need = progress_of(approval, mine)
    return Outcome(approval, standing, need if standing else have, need, repeated=True)


def _modify(approval: Approval, vote: Vote, earlier: Review | None) -> Outcome:
    """Make version n+1 of the arguments, if there is a change; the editor's vote counts for it."""
    args = changed_args(approval, vote)
    changed = digest_with(approval, args)
    if changed == approval.digest:
        verdict = Verdict.APPROVE if Verdict.APPROVE in approval.allowed else Verdict.MODIFY
        return _count(approval, vote, _write_review(approval, vote, verdict, earlier))
    requirements, policy_version = _required_for(approval, args)
    approval.requirements = requirements  # the vote is for these arguments, so it is cast under what they need
    check_person(approval, vote)
    check_proof(approval, vote)
    before = {"version": approval.version, "digest": approval.digest}
    moved = moves.move(
        approval, Status.PENDING, args=encode(args), digest=changed, version=approval.version + 1, requirements=requirements,
        reviewer_teams=[UUID(team) for team in requirements["teams"]], policy_version=policy_version,
        expires_at=_sooner(approval, requirements),
    )  # fmt: skip
    if not moved:
        raise NotCurrent(approval)
    return _count(approval, vote, _write_review(approval, vote, Verdict.MODIFY, None), before)


def _required_for(approval: Approval, args: dict[str, Any]) -> tuple[Requirements, int | None]:
    """What the policy wants for changed arguments, on top of what was frozen. Raises NotAllowed where a rule denies them."""
    evaluation = evaluate_action(
        facts_with(approval, args), source=approval.source, source_ref=approval.source_ref, occasion=Occasion.MODIFIED,
        of=approval.evaluation,
    )  # fmt: skip
    return united(approval, evaluation.verdict, evaluation.requirements, evaluation.rules), evaluation.policy_version


def _sooner(approval: Approval, requirements: Requirements) -> Any:
    if requirements["expires_after"] is None or approval.expires_at is None:
        return approval.expires_at
    return min(approval.expires_at, timezone.now() + timedelta(seconds=requirements["expires_after"]))


def _write_review(approval: Approval, vote: Vote, verdict: Verdict, earlier: Review | None) -> Review:
    """Store the vote. A reviewer has one for each version; a later one takes the place of the earlier."""
    digest = digest_of_vote(approval, vote)
    facts = {"verdict": verdict, "message": vote.message, "digest": digest}
    if earlier is None:
        return Review.objects.create(approval=approval, version=approval.version, reviewer=vote.user, **facts)
    for name, value in facts.items():
        setattr(earlier, name, value)
    earlier.save(update_fields=list(facts))
    return earlier


def _count(approval: Approval, vote: Vote, mine: Review, before: dict[str, Any] | None = None) -> Outcome:
    """Decide, if this was the last vote needed. One rejection, or one question to the agent, is enough."""
    have, need = progress_of(approval, mine)
    content = {"args": approval.args, "message": vote.message}
    if vote.opened is not None:
        content["opened"] = list(vote.opened)
    if mine.verdict == Verdict.RESPOND:
        content["answer"] = encode(vote.answer)
    after = {"verdict": mine.verdict, "version": approval.version, "digest": approval.digest, "have": have, "need": need}
    if vote.actor.proof and proof_needed(approval):
        after["proof"] = vote.actor.proof
    if have < need and mine.verdict not in REFUSING:
        if before is None and not moves.move(approval, Status.PENDING):
            raise NotCurrent(approval)
        action = "approval.reviewed" if before is None else "approval.modified"
        moves.enter(approval, action, actor=vote.actor, before=before, after=after, content=content)
        return Outcome(approval, None, have, need)
    release_at = holding.until(approval, mine.verdict)
    status = Status.DECIDED if release_at is None else Status.HELD
    if not moves.move(approval, status):
        raise NotCurrent(approval)
    faults.at("decision.write.before")
    decision = _conclude(approval, vote, mine, release_at)
    faults.at("decision.write.after")
    moves.enter(
        approval, "approval.decided", actor=vote.actor, before={**(before or {}), "status": Status.PENDING},
        after={**after, "verdict": decision.verdict, "status": status, "decision": decision.pk,
               **({"release_at": release_at} if release_at else {})}, content=content,
    )  # fmt: skip
    if release_at is None:
        tell(decided, approval)
    return Outcome(approval, decision, have, need)


def _conclude(approval: Approval, vote: Vote, mine: Review, release_at: datetime | None) -> Decision:
    verdict = final_verdict(approval, Verdict(mine.verdict), approval.digest)
    return moves.conclude(
        approval, verdict, actor=vote.actor, message=vote.message, view_digest=vote.view_digest[:71],
        answer=encode(vote.answer) if verdict == Verdict.RESPOND else None, seconds_open=vote.seconds_open,
        id=vote.decision_id or new_id(), release_at=release_at,
    )  # fmt: skip


def _escalate(approval: Approval) -> bool:
    """Ask another team too, once, and give it as long as the first had. Votes so far stay."""
    before = {"teams": sorted(map(str, approval.reviewing_teams())), "expires_at": approval.expires_at}
    wanted = escalated(approval.requirements)
    moved = moves.move(
        approval, Status.PENDING, requirements=wanted, reviewer_teams=[UUID(team) for team in wanted["teams"]],
        escalated_at=timezone.now(), expires_at=expiry(approval.kind, wanted),
    )  # fmt: skip
    if moved:
        after = {"teams": wanted["teams"], "expires_at": approval.expires_at}
        moves.enter(approval, "approval.escalated", actor=Actor.desk(), before=before, after=after)
        tell(requested, approval)
    return moved


def _expire(approval: Approval) -> bool:
    if approval.requirements.get("escalate_to") and approval.escalated_at is None:
        return _escalate(approval)
    if not moves.move(approval, Status.EXPIRED):
        return False
    moves.conclude(approval, Verdict.EXPIRE, actor=Actor.desk())
    moves.enter(
        approval, "approval.expired", actor=Actor.desk(), before={"status": Status.PENDING}, after={"status": Status.EXPIRED}
    )
    tell(decided, approval)
    return True
