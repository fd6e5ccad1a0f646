"""What a change of the rules would have done to the calls of the last days. Reads evaluations on record, changes nothing.

Every recorded call is judged twice, under the rules in force and under the rules as they would be, so that only the change
shows, and not what other changes did since the call. Where people decided about the call, their word is put beside it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from agentdesk.digests import decode, digest
from approvals.models import Decision, Evaluation
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, ReadyRule, RuleSnapshot, concerns, evaluate
from approvals.states import Verdict

DAYS = 30
MOST = 5_000  # calls that one replay looks at, the newest first

AGREED = frozenset({Verdict.APPROVE, Verdict.MODIFY})


@dataclass(frozen=True, slots=True)
class Past:
    """A call on record. ``decided`` is the verdict of people about it, or empty; ``approval`` where they gave it."""

    evaluation: UUID
    at: datetime
    facts: Facts
    has_input: bool
    approval: UUID | None = None
    decided: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One call whose verdict, or whose requirements for a decision, would have been another."""

    past: Past
    before: Effect
    after: Effect


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls that would have changed in the same way, newest first."""

    before: Effect
    after: Effect
    changes: list[Change]

    @property
    def count(self) -> int:
        return len(self.changes)

    @property
    def approved(self) -> int:
        """How many of them people approved, modified ones too."""
        return sum(change.past.decided in AGREED for change in self.changes)

    @property
    def rejected(self) -> int:
        return sum(change.past.decided == Verdict.REJECT for change in self.changes)


@dataclass(frozen=True, slots=True)
class Replay:
    """``looked_at`` calls, of which ``concerned`` are ones the changed rule speaks about; ``without_input`` of these could not
    be judged by what the run was started with, because it was not on record. ``cut``: older calls were left out."""

    looked_at: int
    concerned: int
    without_input: int
    cut: bool
    kinds: list[Kind] = field(default_factory=list)


def replay(calls: Iterable[Past], now: Sequence[RuleSnapshot], then: Sequence[RuleSnapshot], *, cut: bool = False) -> Replay:
    """Judge ``calls`` under the rules ``now`` and under those of ``then``. Pure."""
    changed = [ReadyRule.of(rule) for rule in changed_rules(now, then)]
    reads_input = any(condition.path.startswith("@input") for one in changed for condition in one.conditions)
    ready_now, ready_then = ([ReadyRule.of(rule) for rule in rules] for rules in (now, then))
    found: dict[tuple[Effect, Effect], list[Change]] = defaultdict(list)
    looked_at = concerned = without_input = 0
    for past in calls:
        looked_at += 1
        if not any(concerns(one, past.facts, str(past.facts.team_id)) for one in changed):
            continue
        concerned += 1
        without_input += reads_input and not past.has_input
        before, after = evaluate(past.facts, ready_now), evaluate(past.facts, ready_then)
        if before.effect != after.effect or before.requirements != after.requirements:
            found[before.effect, after.effect].append(Change(past, before.effect, after.effect))
    kinds = [Kind(before, after, changes) for (before, after), changes in found.items()]
    return Replay(looked_at, concerned, without_input, cut, sorted(kinds, key=_by_danger))


def changed_rules(now: Sequence[RuleSnapshot], then: Sequence[RuleSnapshot]) -> list[RuleSnapshot]:
    """The rules that are not in both, in each of their forms."""
    before, after = ({digest(rule): rule for rule in rules} for rules in (now, then))
    gone, new = ([rules[key] for key in rules if key not in others] for rules, others in ((before, after), (after, before)))
    return gone + new


def with_rule(rules: Sequence[RuleSnapshot], rule: RuleSnapshot) -> list[RuleSnapshot]:
    """``rules`` with ``rule`` in place of its older form, or added."""
    return [*(other for other in rules if other["id"] != rule["id"]), rule]


def past_calls(teams: "set[UUID] | None", days: float = DAYS, most: int = MOST) -> tuple[list[Past], bool]:
    """The calls of the last ``days`` at agents of these teams (None: all), newest first, and whether older ones were cut."""
    rows = Evaluation.objects.filter(at__gte=timezone.now() - timedelta(days=days), occasion=Occasion.PROPOSED)
    if teams is not None:
        rows = rows.filter(facts__team__v__in=[str(team) for team in teams])
    found = list(rows.order_by("-at").values("pk", "at", "facts")[: most + 1])
    decided = _decisions([row["pk"] for row in found[:most]])
    return [_past(row, decided.get(row["pk"])) for row in found[:most]], len(found) > most


def facts_of(recorded: Any) -> Facts:
    """The facts of an evaluation as they were recorded. Raises KeyError and TypeError for what is no such record."""
    plain = decode(recorded)
    return Facts(
        agent=plain["agent"], team_id=plain["team"], action=plain["action"], args=plain["args"], effect=plain["effect"],
        egress=plain["egress"], risk=plain["risk"], tool_known=plain["tool_known"], schema_changed=plain["schema_changed"],
        run_input=plain.get("input"),
    )  # fmt: skip


def _past(row: Mapping[str, Any], decision: "tuple[UUID, str] | None") -> Past:
    approval, verdict = decision or (None, "")
    return Past(row["pk"], row["at"], facts_of(row["facts"]), "input" in row["facts"], approval, verdict)


def _decisions(evaluations: Sequence[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Approval and verdict by evaluation, where people have decided."""
    rows = Decision.objects.filter(approval__evaluation__in=evaluations, voided_at__isnull=True)
    return {
        evaluation: (approval, verdict)
        for evaluation, approval, verdict in rows.values_list("approval__evaluation", "approval", "verdict")
    }


def _by_danger(kind: Kind) -> int:
    """What would be let through comes first."""
    order = (Effect.ALLOW, Effect.ASK, Effect.DENY)
    return order.index(kind.after) * 3 - order.index(kind.before)
