"""Facts in, verdict and explanation out. Pure: no database, no clock, no settings.

Deny before ask before allow; nothing matches: ask. Only active rules count; shadow rules are explained, without effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from approvals.models.rules import Effect, Rule
from approvals.policy import fences
from approvals.policy.clock import Moment
from approvals.policy.conditions import GIVEN, TALLY, Condition, Told, ready, tell_expression
from approvals.policy.expressions import Expression, Given
from approvals.policy.expressions import ready as ready_expression
from approvals.policy.fences import Bounds, Crossed
from approvals.policy.origins import ORIGINS, Origins
from approvals.policy.requirements import Requirements, normal, unite
from approvals.policy.tallies import Tally

MOST_KINDS = 1000  # of calls that one set of rules remembers

type RuleSnapshot = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an action when it is proposed. ``args`` are plain. ``tool_known``: an admin or the agent's code has
    labelled it; ``schema_changed``: it is not the one the rules were made for. Either doubt turns "allow" into "ask". ``at`` is
    the moment, ``zone`` the desk's time zone (an IANA name), ``confidence`` what the agent says of itself (0 to 1), ``tallies``
    the counts and sums that rules look at, by their paths, ``origins`` where the arguments came from (None: not traced),
    ``bounds`` the fences around the call, which no rule lets it pass, ``requester`` who started the run, and ``reporter``
    what rules may know of them, once they ask."""

    agent: str
    team_id: UUID | None
    action: str
    args: Mapping[str, Any]
    effect: str = "write"
    egress: bool = True
    risk: str = "medium"
    tool_known: bool = True
    schema_changed: bool = False
    run_input: Any = None
    schema_version: str = ""
    at: datetime | None = None
    zone: str = "UTC"
    confidence: float | None = None
    tallies: Mapping[str, Any] = field(default_factory=dict)
    origins: Origins | None = None
    bounds: Bounds = field(default_factory=Bounds)
    requester: UUID | None = None
    reporter: Mapping[str, str] | None = None

    def crossed(self) -> tuple[Crossed, ...]:
        """The fences that the call goes beyond."""
        return tuple(fences.crossed(self.bounds, self.action, self.args, egress=self.egress))

    def doubts(self) -> tuple[str, ...]:
        unknown = () if self.tool_known else ("tool_unknown",)
        return (*unknown, "schema_changed") if self.schema_changed else unknown

    def scope(self) -> dict[str, Any]:
        """Where the paths of conditions lead."""
        facts = {
            "@effect": self.effect, "@egress": self.egress, "@risk": self.risk, "@input": self.run_input,
            "@time": Moment(self.at, self.zone, "time"), "@weekday": Moment(self.at, self.zone, "weekday"),
            "@confidence": self.confidence, TALLY: self.tallies, GIVEN: self._given(), ORIGINS: self.origins,
            "@reporter": self.reporter,
        }  # fmt: skip
        return {**self.args, **facts}

    def _given(self) -> Given:
        facts = {
            "agent": self.agent, "tool": self.action, "effect": self.effect, "egress": self.egress, "risk": self.risk,
            "confidence": self.confidence, "time": Moment(self.at, self.zone, "time").get(""),
            "weekday": Moment(self.at, self.zone, "weekday").get(""),
        }  # fmt: skip
        return Given(self.args, self.run_input, facts, self.tallies)


class Explained(NamedTuple):
    """One rule for this agent and action, and why it matched or did not."""

    id: str
    name: str
    verdict: str
    mode: str
    priority: int
    matched: bool
    note: str = ""
    conditions: tuple[Told, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "conditions": [told._asdict() for told in self.conditions]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says, what a decision then needs, and every rule that had a say, those with effect first."""

    effect: Effect
    requirements: Requirements = field(default_factory=lambda: normal({}))
    rules: tuple[Explained, ...] = ()
    doubts: tuple[str, ...] = ()
    crossed: tuple[Crossed, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """A rule made ready once for many calls: its conditions parsed, what it requires laid out."""

    rule: RuleSnapshot
    conditions: tuple[Condition, ...]
    team: str | None
    requires: dict[str, Any]
    tallies: tuple[Tally, ...] = ()
    expression: Expression | None = None
    reads_input: bool = False
    reads_reporter: bool = False
    allows: bool = False
    head: tuple[str, str, str, str, int] = ("", "", "", "", 0)
    note: str = ""

    @classmethod
    def of(cls, rule: RuleSnapshot) -> "ReadyRule":
        """Raises KeyError for a rule without the parts of a snapshot."""
        team = None if rule["team"] is None else str(rule["team"])
        allows = rule["verdict"] == Effect.ALLOW
        conditions = tuple(ready(condition, allows=allows) for condition in rule["conditions"])
        tallies = tuple(condition.tally for condition in conditions if condition.tally is not None)
        written = rule.get("expression", "")  # versions from before there were expressions have none
        expression = ready_expression(written, allows=allows) if written else None
        read = [condition.path for condition in conditions] + [".".join(condition.refers) for condition in conditions]
        reads_input = any(path.startswith("@input") for path in read)
        reads_reporter = any(path.startswith("@reporter") for path in read)
        if expression is not None:
            tallies += expression.tallies
            reads_input = reads_input or "input" in expression.names
        head = (str(rule["id"]), rule["name"], rule["verdict"], rule["mode"], rule.get("priority", 0))
        return cls(
            rule, conditions, team, required_by(rule), tallies, expression, reads_input, reads_reporter, allows, head,
            rule.get("note", ""),
        )  # fmt: skip


class ReadyRules(tuple[ReadyRule, ...]):
    """Rules made ready, such as those of one policy version, with what was found out about them for one kind of call."""

    _about: dict[tuple[Any, ...], tuple[ReadyRule, ...]]

    @classmethod
    def of(cls, rules: "Sequence[RuleSnapshot | ReadyRule]") -> "ReadyRules":
        """Raises KeyError for a rule without the parts of a snapshot."""
        made = cls(rule if isinstance(rule, ReadyRule) else ReadyRule.of(rule) for rule in rules)
        made._about = {}
        return made

    def about(self, facts: Facts) -> tuple[ReadyRule, ...]:
        """The rules that speak about this agent, action and effect, in the order in which people read them."""
        key = (facts.agent, facts.team_id, facts.action, facts.effect, facts.tool_known)
        found = self._about.get(key)
        if found is None:
            team = str(facts.team_id)
            mine = [one for one in self if concerns(one, facts, team)]
            found = tuple(sorted(mine, key=lambda one: (-one.rule.get("priority", 0), one.rule["name"])))
            if len(self._about) < MOST_KINDS:
                self._about[key] = found
        return found


def evaluate(facts: Facts, rules: "Sequence[RuleSnapshot | ReadyRule]") -> Verdict:
    """The verdict of ``rules`` on ``facts``. Raises for a rule without the parts of a snapshot; the caller must then ask."""
    scope = facts.scope()
    prepared = rules if isinstance(rules, ReadyRules) else ReadyRules.of(rules)
    matching, matched, others = [], [], []
    for one in prepared.about(facts):
        told = explain(one, scope)
        if not told.matched:
            others.append(told)
            continue
        matched.append(told)
        if told.mode == Rule.Mode.ACTIVE:
            matching.append(one)
    ordered = matched + others
    effects = {one.rule["verdict"] for one in matching}
    doubts, crossed = facts.doubts(), facts.crossed()
    if Effect.DENY in effects or any(fence.verdict == Effect.DENY for fence in crossed):
        return Verdict(Effect.DENY, rules=tuple(ordered), doubts=doubts, crossed=crossed)
    if effects == {Effect.ALLOW} and not doubts and not crossed:
        return Verdict(Effect.ALLOW, rules=tuple(ordered))
    asking = [one.requires for one in matching if one.rule["verdict"] == Effect.ASK]
    return Verdict(Effect.ASK, unite(asking), tuple(ordered), doubts, crossed)


def tallies_for(facts: Facts, rules: Sequence[ReadyRule]) -> set[Tally]:
    """The counts and sums that rules about this action look at."""
    team = str(facts.team_id)
    return {tally for one in rules if one.tallies and concerns(one, facts, team) for tally in one.tallies}


def explain(ready_rule: ReadyRule, scope: Mapping[str, Any]) -> Explained:
    """Each condition with what was found; doubts count against letting through."""
    allows = ready_rule.allows
    told = [condition.tell(scope, every=allows) for condition in ready_rule.conditions]
    if ready_rule.expression is not None:
        told.append(tell_expression(ready_rule.expression, scope))
    matched = True
    for one in told:
        if one.holds is False or (allows and one.holds is None):
            matched = False
    return Explained(*ready_rule.head, matched, ready_rule.note, tuple(told))


def required_by(rule: RuleSnapshot) -> dict[str, Any]:
    return {
        "teams": rule["reviewer_teams"],
        "count": rule["count"],
        "from_teams": rule.get("from_teams", 1),  # versions from before have none of these
        "escalate_to": [rule["escalate_to"]] if rule.get("escalate_to") else [],
        "remind_after": rule.get("remind_after"),
        "expires_after": rule["expires_after"],
        "self_approval": rule["self_approval"],
        "second_factor": rule["second_factor"],
    }


def concerns(one: ReadyRule, facts: Facts, team: str) -> bool:
    """Whether the rule speaks about this agent, action and effect at all. ``team``: the facts' team as text."""
    rule = one.rule
    if rule["mode"] not in (Rule.Mode.ACTIVE, Rule.Mode.SHADOW):
        return False
    if one.team is not None and one.team != team:
        return False
    if not _fits(facts.agent, rule["agent"]) or not _fits(facts.action, rule["action"]):
        return False
    return not rule["effects"] or facts.effect in rule["effects"] or _is_doubtful_effect(rule, facts)


@lru_cache(maxsize=4096)  # few names, few patterns, asked for every rule
def _fits(name: str, pattern: str) -> bool:
    return pattern in ("*", name) or fnmatchcase(name, pattern)


def _is_doubtful_effect(rule: RuleSnapshot, facts: Facts) -> bool:
    # Nobody has said what this tool does: what rules require for any effect is required.
    return rule["verdict"] == Effect.ASK and not (facts.tool_known and facts.effect)
