"""One vote of a reviewer: what the post says, whether it may be cast, and what it binds. Reads, never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict, Unpack
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, decode
from agentdesk.digests import digest as digest_of
from agentdesk.english import later
from agentdesk.people.models import User
from agentdesk.people.proofs import SECOND
from approvals import access, answers
from approvals.errors import AlreadyDecided, Expired, InvalidAnswer, NotAllowed, NotCurrent, NotProved
from approvals.models import Approval, Review
from approvals.models.rules import Effect, Rule
from approvals.policy.evaluate import Facts
from approvals.policy.fences import Bounds
from approvals.policy.replay import facts_of
from approvals.policy.requirements import Requirements, freeze, progress, unite
from approvals.requests import check_size
from approvals.states import PEOPLES_VERDICTS, Risk, Status, Verdict
from approvals.texts import storable


class _Unset:
    """No answer at all, which is not the same as the answer null."""


UNSET = _Unset()


class Post(TypedDict, total=False):
    """What a sender says. ``digest`` and ``version`` are those on their screen; ``args`` and ``answer`` are plain values, none
    where the answer is UNSET; ``decision_id`` is the one that the decision is to have, where it was shown before (see
    ``web.panel``). ``opened``: the evidence that was open, as the page says; on record, and no proof of anything."""

    verdict: Required[str]
    digest: Required[str]
    version: Required[int]
    args: Mapping[str, Any] | None
    answer: Any
    message: str
    view_digest: str
    seconds_open: float | None
    decision_id: UUID | None
    opened: Sequence[str]


@dataclass(frozen=True, slots=True)
class Vote:
    """One post, as its sender meant it."""

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
    opened: Sequence[str] | None


def vote_of(actor: Actor, **post: Unpack[Post]) -> Vote:
    """The post as a vote. Raises NotAllowed where no person sends it, InvalidAnswer and TooLarge."""
    verdict, args, answer, message = post["verdict"], post.get("args"), post.get("answer", UNSET), post.get("message", "")
    if actor.user is None:
        raise NotAllowed(_("Only people decide."))
    if verdict not in PEOPLES_VERDICTS:
        raise InvalidAnswer({"verdict": [_("Choose one of: %(verdicts)s.") % {"verdicts": ", ".join(PEOPLES_VERDICTS)}]})
    check_size(args, None if answer is UNSET else answer, message)
    return Vote(
        actor.user, actor, Verdict(verdict), post["digest"], post["version"], args, answer, storable(message).strip(),
        post.get("view_digest", ""), post.get("seconds_open"), post.get("decision_id"), post.get("opened"),
    )  # fmt: skip


def check_person(approval: Approval, vote: Vote) -> None:
    """Raises NotAllowed where this person may not decide, or not this way."""
    reason = access.why_not(vote.user, approval)
    if reason is None and approval.requirements.get("second_factor") and vote.actor.via != AuditEntry.Via.WEB:
        reason = later(lambda: _("This needs a second factor, so it is decided in the browser."))
    if reason is not None:
        raise NotAllowed(reason)


def check_current(approval: Approval, vote: Vote) -> None:
    """Raises Expired, AlreadyDecided or NotCurrent where the question is not the one on the sender's screen any more."""
    if approval.status == Status.EXPIRED or (approval.is_pending and _is_overdue(approval)):
        raise Expired
    if not approval.is_pending:
        standing = approval.standing
        raise NotCurrent(approval) if standing is None else AlreadyDecided(approval, standing)
    if (vote.digest, vote.version) != (approval.digest, approval.version):
        raise NotCurrent(approval)


def check_verdict(approval: Approval, vote: Vote) -> None:
    """Raises InvalidAnswer where the question cannot be answered like this."""
    if vote.verdict not in approval.allowed:
        raise InvalidAnswer({"verdict": [_("This cannot be answered with %(verdict)s.") % {"verdict": vote.verdict.label}]})
    if vote.verdict == Verdict.RESPOND:
        _check_answer(approval, vote)
    if vote.verdict == Verdict.ASK and not vote.message:
        raise InvalidAnswer({"message": [_("Write what you want to know.")]})
    if vote.verdict == Verdict.REJECT and approval.requirements.get("message_required") and not vote.message:
        raise InvalidAnswer({"message": [_("Say why.")]})


def check_proof(approval: Approval, vote: Vote) -> None:
    """Raises NotProved where something would happen that wants more than an open session: a second factor where a rule says
    so, the password or a second factor for critical risk, each given within the last minutes."""
    if side(vote.verdict) != Verdict.APPROVE:
        return
    needed = proof_needed(approval)
    if needed == "second" and vote.actor.proof not in SECOND:
        told = later(lambda: _("Confirm with your second factor first, then decide again. What you typed is kept."))
        raise NotProved(told)
    if needed == "any" and vote.actor.via == AuditEntry.Via.WEB and not vote.actor.proof:
        raise NotProved


def proof_needed(approval: Approval) -> str:
    """What approving it wants of a person beside an open session: second, any, or nothing."""
    if approval.requirements.get("second_factor"):
        return "second"
    return "any" if approval.risk == Risk.CRITICAL else ""


def changed_args(approval: Approval, vote: Vote) -> dict[str, Any]:
    """The arguments as the sender changed them, in the types of those asked. Raises InvalidAnswer."""
    if not isinstance(vote.args, Mapping):
        raise InvalidAnswer({"args": [_("The changed arguments are needed.")]})
    return args_from(approval, vote.args)


def args_from(approval: Approval, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that ``sent`` means: what is masked in it is what it was, and types are kept. Raises InvalidAnswer."""
    exact = decode(approval.args)
    args: dict[str, Any] = answers.keep_types(exact, masking.restored(exact, dict(sent)))
    errors = answers.problems(approval.args_schema, args)
    told = _("A secret in this is masked. Reveal it before you change the text around it.")
    if errors := errors | {path: [told] for path in masking.left_masked(exact, args)}:
        raise InvalidAnswer(errors)
    return args


def facts_with(approval: Approval, args: dict[str, Any]) -> Facts:
    """What the policy is asked about when the arguments are these."""
    recorded = approval.evaluation.facts if approval.evaluation else {}
    asked = facts_of(recorded) if recorded else None  # none where they were erased
    return Facts(
        agent=approval.agent, team_id=approval.team_id, action=approval.action, args=args, effect=approval.effect,
        egress=approval.egress, risk=approval.risk, schema_version=approval.schema_version,
        run_input=asked.run_input if asked else None, confidence=asked.confidence if asked else None,
        origins=asked.origins.changed(asked.args, args) if asked and asked.origins else None,
        bounds=asked.bounds if asked else Bounds(), requester=approval.requester_id,
        reporter=asked.reporter if asked else None,
    )  # fmt: skip


def united(approval: Approval, verdict: str, wanted: Mapping[str, Any], rules: list[dict[str, Any]]) -> Requirements:
    """What was required, and what the policy wants for changed arguments on top. Raises NotAllowed where a rule denies them."""
    if verdict == Effect.DENY:
        in_force = [rule for rule in rules if rule["matched"] and rule["mode"] == Rule.Mode.ACTIVE]
        names = ", ".join(rule["name"] for rule in in_force if rule["verdict"] == Effect.DENY)
        if not names:
            beyond = later(lambda: _("With the changed arguments the call goes beyond what its run or its tool may reach."))
            raise NotAllowed(beyond)
        raise NotAllowed(later(lambda: _("Rule “%(rule)s” denies this with the changed arguments.") % {"rule": names}))
    if verdict == Effect.ALLOW:
        return unite([approval.requirements])
    return unite([approval.requirements, freeze(wanted, approval.team_id)])


def final_verdict(approval: Approval, verdict: Verdict, bound: str) -> Verdict:
    """What a decision is that ``verdict`` brings about. Approving or modifying, what counts is whether the final arguments,
    those with the digest ``bound``, are the ones that were asked for, not who voted last."""
    if side(verdict) != Verdict.APPROVE:
        return verdict
    is_as_asked = bound == digest_with(approval, decode(approval.asked_args))
    return Verdict.APPROVE if is_as_asked and Verdict.APPROVE in approval.allowed else Verdict.MODIFY


def side(verdict: str) -> str:
    """Approving and modifying agree on one version's arguments."""
    return Verdict.APPROVE if verdict == Verdict.MODIFY else verdict


def progress_of(approval: Approval, mine: Review) -> tuple[int, int]:
    """Votes for the current version that agree with ``mine``, of people who review now, and how many are needed."""
    requirements = freeze(approval.requirements, approval.team_id)
    if requirements["count"] == 1:
        return 1, 1  # whoever cast ``mine`` reviews for the one group: that was checked first
    voters = access.teams_reviewed_by(votes_like(approval, mine).values("reviewer"), approval.reviewing_teams())
    return progress(requirements, voters)


def votes_like(approval: Approval, mine: Review) -> QuerySet[Review]:
    """The votes for the current version that are on the side of ``mine``."""
    same = [Verdict.APPROVE, Verdict.MODIFY] if side(mine.verdict) == Verdict.APPROVE else [mine.verdict]
    return Review.objects.filter(approval=approval, version=approval.version, verdict__in=same, digest=mine.digest)


def is_same_post(approval: Approval, vote: Vote, mine: Review) -> bool:
    """Whether this very post brought the vote ``mine``."""
    if vote.message != mine.message:
        return False
    if vote.verdict == Verdict.MODIFY and vote.args is not None:
        made_now = vote.version + 1 == mine.version  # the first post made this version
        unchanged = vote.version == mine.version and mine.digest == vote.digest
        args = masking.restored(decode(approval.args), dict(vote.args))
        return (made_now or unchanged) and digest_with(approval, args) == mine.digest
    if (vote.verdict, vote.version) != (mine.verdict, mine.version) or vote.digest != approval.digest:
        return False
    return vote.verdict != Verdict.RESPOND or _answer_digest(approval, vote.answer) == mine.digest


def digest_with(approval: Approval, args: Mapping[str, Any]) -> str:
    """The action's digest with these arguments."""
    return action_digest(approval.agent, approval.action, approval.schema_version, dict(args))


def digest_of_vote(approval: Approval, vote: Vote) -> str:
    """What a vote is bound to: the action, and the answer where it is one."""
    return _answer_digest(approval, vote.answer) if vote.verdict == Verdict.RESPOND else approval.digest


def _answer_digest(approval: Approval, answer: Any) -> str:
    return digest_of({"action": approval.digest, "answer": None if answer is UNSET else answer})


def _check_answer(approval: Approval, vote: Vote) -> None:
    if vote.answer is UNSET:
        raise InvalidAnswer({"answer": [_("An answer is needed.")]})
    errors = answers.problems(approval.answer_schema, vote.answer)
    if errors:
        raise InvalidAnswer({path or "answer": texts for path, texts in errors.items()})


def _is_overdue(approval: Approval) -> bool:
    return approval.expires_at is not None and approval.expires_at <= timezone.now()
