"""What a post would bring, without casting it."""

import json
from typing import Any, Unpack
from uuid import UUID

from django.db import connection
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.digests import Json, decode, encode
from approvals import access
from approvals.decisions import Outcome
from approvals.models import Approval, Decision, Review
from approvals.policy.record import would_be
from approvals.policy.requirements import Requirements, freeze, progress
from approvals.states import REFUSING, Verdict
from approvals.votes import (
    Post,
    changed_args,
    check_current,
    check_person,
    check_verdict,
    digest_of_vote,
    digest_with,
    facts_with,
    final_verdict,
    united,
    vote_of,
    votes_like,
)


def draft(approval: Approval, *, actor: Actor, **post: Unpack[Post]) -> Outcome:
    """What ``decide`` would make of this post now. Nothing is written, and ``decision`` is not saved; it is there before the
    last vote too (``have`` of ``need`` with this one). Raises what ``decide`` raises, but for who has to confirm that it is
    them first."""
    vote = vote_of(actor, **post)
    check_person(approval, vote)
    check_current(approval, vote)
    check_verdict(approval, vote)
    final = changed_args(approval, vote) if vote.verdict == Verdict.MODIFY else decode(approval.args)
    bound = digest_with(approval, final)
    requirements = required_for(approval, final)
    voters = {vote.user.pk}
    if bound == approval.digest and requirements["count"] > 1:
        mine = Review(version=approval.version, verdict=vote.verdict, digest=digest_of_vote(approval, vote))
        voters |= set(votes_like(approval, mine).values_list("reviewer", flat=True))
    teams = {UUID(team) for team in requirements["teams"]}
    have, need = progress(requirements, access.teams_reviewed_by(voters, teams))
    decision = Decision(
        id=vote.decision_id, approval=approval, version=approval.version + (bound != approval.digest),
        verdict=final_verdict(approval, vote.verdict, bound), args=_as_stored(encode(final)), digest=bound,
        answer=_as_stored(encode(vote.answer)) if vote.verdict == Verdict.RESPOND else None, message=vote.message,
        decided_by_label=actor.label[:200], decided_at=timezone.now(),
    )  # fmt: skip
    return Outcome(approval, decision, need if vote.verdict in REFUSING else have, need)


def required_for(approval: Approval, args: dict[str, Any]) -> Requirements:
    """What approving with these arguments would need. Nothing is written. Raises NotAllowed where a rule denies them."""
    if digest_with(approval, args) == approval.digest:
        return freeze(approval.requirements, approval.team_id)
    judged = would_be(facts_with(approval, args), approval.source, approval.source_ref, of=approval.evaluation)
    return united(approval, judged.effect, judged.requirements, [rule.as_json() for rule in judged.rules])


def _as_stored(value: Json) -> Any:
    """``value`` as ``jsonb`` gives it back: names in its order, numbers in its form."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", [json.dumps(value)])
        return json.loads(cursor.fetchone()[0])
