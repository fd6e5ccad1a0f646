"""What a change of the rules would have done to the calls of the last days. Reads evaluations on record, changes nothing.

Every recorded call is judged twice, under the rules in force and under the rules as they would be, so that only the change
shows, and not what other changes did since the call. Where people decided about the call, their word is put beside it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import FilteredRelation, Q
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.digests import decode, digest
from approvals.models import Approval, Evaluation
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, ReadyRule, ReadyRules, RuleSnapshot, concerns, evaluate, tallies_for
from approvals.policy.fences import Bounds
from approvals.policy.measure import number_at
from approvals.policy.origins import Origins
from approvals.policy.tallies import Counted, Series, Tally, with_this
from approvals.states import OPEN, Status, Verdict

DAYS = 30
MOST = 5_000  # calls that one replay looks at, the newest first

AGREED = frozenset({Verdict.APPROVE, Verdict.MODIFY})


@dataclass(frozen=True, slots=True)
class Past:
    """A call on record. ``decided`` is the verdict of people about it, or empty; ``approval`` where they gave it. ``run``: who
    asked, and for which run; ``counted``: it counts for later ones, with ``final_args`` where people were asked."""

    evaluation: UUID
    at: datetime
    facts: Facts
    has_input: bool
    approval: UUID | None = None
    decided: str = ""
    run: tuple[str, str] = ("", "")
    counted: bool = False
    final_args: Mapping[str, Any] | None = None


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
    reads_input = any(one.reads_input for one in changed)
    ready_now, ready_then = (ReadyRules.of(rules) for rules in (now, then))
    calls = list(calls)
    series = _series(calls)
    found: dict[tuple[Effect, Effect], list[Change]] = defaultdict(list)
    looked_at = concerned = without_input = 0
    for past in calls:
        looked_at += 1
        if not any(concerns(one, past.facts, str(past.facts.team_id)) for one in changed):
            continue
        concerned += 1
        without_input += reads_input and not past.has_input
        facts = _counted_anew(past, series, tallies_for(past.facts, [*ready_now, *ready_then]))
        before, after = evaluate(facts, ready_now), evaluate(facts, ready_then)
        if before.effect != after.effect or before.requirements != after.requirements:
            found[before.effect, after.effect].append(Change(past, before.effect, after.effect))
    kinds = [Kind(before, after, changes) for (before, after), changes in found.items()]
    return Replay(looked_at, concerned, without_input, cut, sorted(kinds, key=_by_danger))


def _series(calls: Sequence[Past]) -> dict[tuple[str, str], Series]:
    """The calls that count, by agent and tool."""
    by_tool: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for past in calls:
        if past.counted:
            args = past.facts.args if past.final_args is None else past.final_args
            by_tool[past.facts.agent, past.facts.action].append(Counted(past.at, past.run, args))
    return {tool: Series(those, number_at) for tool, those in by_tool.items()}


def _counted_anew(past: Past, series: Mapping[tuple[str, str], Series], tallies: Collection[Tally]) -> Facts:
    """The facts of a past call with what rules count, from the calls that are looked at."""
    if not tallies:
        return past.facts
    mine = series.get((past.facts.agent, past.facts.action), Series([], number_at))
    found = {}
    for tally in tallies:
        others = None if tally.window is None and not past.run[1] else mine.before(tally, past.at, past.run)
        found[tally.path] = with_this(tally, others, number_at(past.facts.args, tally.argument))
    return replace(past.facts, tallies=found)


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
    rows = rows.exclude(facts={})  # erased
    if teams is not None:
        rows = rows.filter(facts__team__v__in=[str(team) for team in teams])
    wanted = ("pk", "at", "facts", "source", "source_ref", "counted", "verdict")
    found = list(rows.order_by("-at").values(*wanted)[: most + 1])
    asked = _asked([row["pk"] for row in found[:most]])
    return [_past(row, asked.get(row["pk"])) for row in found[:most]], len(found) > most


def facts_of(recorded: Any) -> Facts:
    """The facts of an evaluation as they were recorded. Raises KeyError and TypeError for what is no such record."""
    plain = decode(recorded)
    return Facts(
        agent=plain["agent"], team_id=plain["team"], action=plain["action"], args=plain["args"], effect=plain["effect"],
        egress=plain["egress"], risk=plain["risk"], tool_known=plain["tool_known"], schema_changed=plain["schema_changed"],
        run_input=plain.get("input"), at=datetime.fromisoformat(plain["at"]) if plain.get("at") else None,
        zone=plain.get("zone", "UTC"), confidence=plain.get("confidence"), tallies=plain.get("tallies", {}),
        origins=Origins.of_json(plain["origins"]) if "origins" in plain else None,
        bounds=Bounds.of_json(plain.get("bounds", {})), reporter=plain.get("reporter"),
    )  # fmt: skip


def _past(row: Mapping[str, Any], asked: "_Asked | None") -> Past:
    facts = facts_of(row["facts"])
    if facts.at is None:  # recorded before rules could look at the clock
        facts = replace(facts, at=row["at"])
    counts = row["counted"] and row["verdict"] != Effect.DENY
    run = (row["source"], row["source_ref"])
    if asked is None:
        return Past(row["pk"], row["at"], facts, "input" in row["facts"], run=run, counted=counts)
    approval, decided, stands, args = asked
    return Past(row["pk"], row["at"], facts, "input" in row["facts"], approval if decided else None, decided, run,
                counts and stands, args)  # fmt: skip


type _Asked = tuple[UUID, str, bool, Mapping[str, Any]]


def _asked(evaluations: Sequence[UUID]) -> dict[UUID, _Asked]:
    """By evaluation: its approval, what people decided or empty, whether it still counts, and the arguments as they are now."""
    rows = Approval.objects.filter(evaluation__in=evaluations).annotate(
        decided=FilteredRelation("decisions", condition=Q(decisions__voided_at__isnull=True))
    )
    found = {}  # what was approved in advance is no word of people about this very call
    rows = rows.order_by("requested_at")  # one whose run ended and went on was asked twice: the newer question tells
    parts = ("pk", "evaluation", "status", "args", "decided__verdict", "decided__via")
    for pk, evaluation, status, args, said, via in rows.values_list(*parts):
        stands = status in OPEN or (status == Status.DECIDED and said in AGREED)
        found[evaluation] = (pk, "" if via == AuditEntry.Via.STANDING else said or "", stands, decode(args))
    return found


def _by_danger(kind: Kind) -> int:
    """What would be let through comes first."""
    order = (Effect.ALLOW, Effect.ASK, Effect.DENY)
    return order.index(kind.after) * 3 - order.index(kind.before)
