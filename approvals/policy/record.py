"""Evaluations on record: the policy's word on one action, with the facts it saw."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Max
from django.utils import timezone

from agentdesk.digests import action_digest, encode
from agentdesk.people.models import User
from approvals.models import Decision, Evaluation
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, Verdict, evaluate, tallies_for
from approvals.policy.fences import Bounds
from approvals.policy.measure import hold, measure
from approvals.policy.requirements import normal
from approvals.policy.tallies import Tally
from approvals.policy.versions import current_ready

logger = logging.getLogger(__name__)

LONGEST_ACTUAL = 200


def evaluate_action(
    facts: Facts,
    source: str,
    source_ref: str,
    occasion: Occasion = Occasion.PROPOSED,
    *,
    counted: bool = True,
    in_turn: bool = True,
    of: Evaluation | None = None,
) -> Evaluation:
    """Evaluate ``facts`` under the newest policy version and write that down. ``counted``: False for a rehearsal, and for what
    is asked once more at the gate. ``in_turn``: False where one transaction evaluates several actions, which people are asked
    about anyway: waiting for others with a lock in hand, two such could wait for each other. ``of``: what was said when the
    call was proposed, where this is not the first time.

    Fails closed: whatever goes wrong in the rules, the verdict is ask, and ``error`` says why. A database that cannot be
    asked raises; then nothing is recorded and nothing may run.
    """
    with transaction.atomic(savepoint=False):  # a lock on what is counted lasts until the evaluation is there for others
        begun = replace(facts, zone=settings.DESK_TIME_ZONE)
        in_turn = in_turn and counted and occasion != Occasion.EXECUTING
        return _evaluate(begun, source, source_ref, occasion, counted=counted, in_turn=in_turn, of=of)


def would_be(facts: Facts, source: str, source_ref: str, *, of: Evaluation | None) -> Verdict:
    """The policy's word on ``facts``, changed by a person, as :func:`evaluate_action` would record it now. Nothing is written,
    so nobody is waited for."""
    begun = replace(facts, zone=settings.DESK_TIME_ZONE)
    return _judge(begun, source, source_ref, Occasion.MODIFIED, in_turn=False, of=of).verdict


def _evaluate(
    facts: Facts, source: str, source_ref: str, occasion: Occasion, *, counted: bool, in_turn: bool, of: Evaluation | None
) -> Evaluation:
    judged = _judge(facts, source, source_ref, occasion, in_turn=in_turn, of=of)
    facts, verdict = judged.facts, judged.verdict
    return Evaluation.objects.create(
        source=source,
        source_ref=source_ref,
        agent=facts.agent,
        action=facts.action,
        digest=action_digest(facts.agent, facts.action, facts.schema_version, dict(facts.args)),
        facts=_facts_json(facts, with_input=judged.reads_input),
        verdict=verdict.effect,
        rules=[_shortened(rule.as_json()) for rule in verdict.rules],
        requirements=verdict.requirements if verdict.effect == Effect.ASK else {},
        policy_version=judged.version,
        error=_plain(judged.error),
        occasion=occasion,
        counted=counted and occasion == Occasion.PROPOSED,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict with all that it rests on. ``error`` says what went wrong in the rules; then they ask."""

    facts: Facts
    verdict: Verdict
    version: int | None
    reads_input: bool
    error: str = ""


def _judge(facts: Facts, source: str, source_ref: str, occasion: Occasion, *, in_turn: bool, of: Evaluation | None) -> _Judged:
    version: int | None = None
    reads_input = False
    try:
        version, rules = current_ready()
        reads_input = any(one.reads_input for one in rules)
        if facts.reporter is None and facts.requester is not None and any(one.reads_reporter for one in rules):
            facts = replace(facts, reporter=_reporter(facts.requester))
        if (tallies := tallies_for(facts, rules)) and in_turn:
            hold(facts)
        facts = replace(facts, at=timezone.now())  # after the wait
        if tallies:
            facts = _counted(facts, tallies, source, source_ref, occasion, of)
        return _Judged(facts, evaluate(facts, rules), version, reads_input)
    except DatabaseError:
        raise
    except Exception as problem:
        logger.exception("policy evaluation failed; asking", extra={"agent": facts.agent, "action": facts.action})
        error = f"{type(problem).__name__}: {problem}"
        return _Judged(facts, Verdict(Effect.ASK, normal({})), version, reads_input, error)


def _counted(
    facts: Facts, tallies: Collection[Tally], source: str, source_ref: str, occasion: Occasion, of: Evaluation | None
) -> Facts:
    """The facts with what rules count. A call that is about to run is counted as of its leave, so that calls that came after it
    take nothing from it; one that a person changed is counted anew."""
    then = _leave(of) if of is not None and occasion == Occasion.EXECUTING else None
    found = measure(
        facts, tallies, source=source, source_ref=source_ref, at=then or facts.at or timezone.now(), before=then,
        own=of.pk if of else None,
    )  # fmt: skip
    return replace(facts, tallies=found)


def _reporter(requester: UUID) -> dict[str, str] | None:
    """What rules may know of whoever started the run; None where they are gone."""
    user = User.objects.filter(pk=requester).first()
    return {"username": user.username, "email": user.email, "name": user.label} if user else None


def _leave(of: Evaluation) -> datetime:
    """When a call was let through: by rules when it was proposed, by people when they decided. Until then its question may have
    been closed, and counted for nobody."""
    by_people = Decision.objects.filter(approval__evaluation=of, voided_at__isnull=True)
    return by_people.aggregate(latest=Max("decided_at"))["latest"] or of.at


def _plain(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:2000]


def _facts_json(facts: Facts, *, with_input: bool) -> Any:
    return encode(
        {
            "agent": facts.agent,
            "team": facts.team_id,
            "action": facts.action,
            "args": dict(facts.args),
            "effect": facts.effect,
            "egress": facts.egress,
            "risk": facts.risk,
            "tool_known": facts.tool_known,
            "schema_changed": facts.schema_changed,
            "at": facts.at and facts.at.isoformat(),
            "zone": facts.zone,
            **({} if facts.confidence is None else {"confidence": facts.confidence}),
            **({"tallies": dict(facts.tallies)} if facts.tallies else {}),
            **({"origins": facts.origins.as_json()} if facts.origins is not None else {}),
            **({"bounds": bounds} if (bounds := facts.bounds.as_json()) != Bounds().as_json() else {}),
            **({"reporter": dict(facts.reporter)} if facts.reporter is not None else {}),
            **({"input": facts.run_input} if with_input else {}),
        }
    )


def _shortened(rule: dict[str, Any]) -> Any:
    """The explanation as JSON; the facts hold long values whole."""
    for told in rule["conditions"]:
        text = str(told["actual"])
        if len(text) > LONGEST_ACTUAL:
            told["actual"] = text[:LONGEST_ACTUAL] + "…"
    return encode(rule)
