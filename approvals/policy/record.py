"""Evaluations on record: the policy's word on one action, with the facts it saw."""

import logging
from typing import Any

from django.db import DatabaseError

from agentdesk.digests import action_digest, encode
from approvals.models import Evaluation
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, ReadyRule, Verdict, evaluate
from approvals.policy.requirements import normal
from approvals.policy.versions import current_ready

logger = logging.getLogger(__name__)

LONGEST_ACTUAL = 200


def evaluate_action(facts: Facts, source: str, source_ref: str, occasion: Occasion = Occasion.PROPOSED) -> Evaluation:
    """Evaluate ``facts`` under the newest policy version and write that down.

    Fails closed: whatever goes wrong in the rules, the verdict is ask, and ``error`` says why. A database that cannot be
    asked raises; then nothing is recorded and nothing may run.
    """
    version: int | None = None
    error, reads_input = "", False
    try:
        version, rules = current_ready()
        reads_input = any(_reads_input(one) for one in rules)
        verdict = evaluate(facts, rules)
    except DatabaseError:
        raise
    except Exception as problem:
        logger.exception("policy evaluation failed; asking", extra={"agent": facts.agent, "action": facts.action})
        verdict, error = Verdict(Effect.ASK, normal({})), f"{type(problem).__name__}: {problem}"
    return Evaluation.objects.create(
        source=source,
        source_ref=source_ref,
        agent=facts.agent,
        action=facts.action,
        digest=action_digest(facts.agent, facts.action, facts.schema_version, dict(facts.args)),
        facts=_facts_json(facts, with_input=reads_input),
        verdict=verdict.effect,
        rules=[_shortened(rule.as_json()) for rule in verdict.rules],
        requirements=verdict.requirements if verdict.effect == Effect.ASK else {},
        policy_version=version,
        error=_plain(error),
        occasion=occasion,
    )


def would_be(facts: Facts) -> Verdict:
    """The policy's word on ``facts`` as :func:`evaluate_action` would record it, without recording it."""
    try:
        return evaluate(facts, current_ready()[1])
    except DatabaseError:
        raise
    except Exception:
        logger.exception("policy evaluation failed; asking", extra={"agent": facts.agent, "action": facts.action})
        return Verdict(Effect.ASK, normal({}))


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
            **({"input": facts.run_input} if with_input else {}),
        }
    )


def _reads_input(one: ReadyRule) -> bool:
    return any(condition.path.startswith("@input") for condition in one.conditions)


def _shortened(rule: dict[str, Any]) -> Any:
    """The explanation as JSON; the facts hold long values whole."""
    for told in rule["conditions"]:
        text = str(told["actual"])
        if len(text) > LONGEST_ACTUAL:
            told["actual"] = text[:LONGEST_ACTUAL] + "…"
    return encode(rule)
