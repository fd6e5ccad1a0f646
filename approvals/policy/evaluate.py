"""Facts in, verdict and explanation out. Pure: no database, no clock, no settings.

Deny before ask before allow; nothing matches: ask. Only active rules count; shadow rules are explained, without effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from approvals.models.rules import Effect, Rule
from approvals.policy.conditions import Told, tell
from approvals.policy.requirements import Requirements, normal, unite

type RuleSnapshot = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an action when it is proposed. ``args`` are plain. ``tool_known``: an admin or the agent's code has
    labelled it; ``schema_changed``: it is not the one the rules were made for. Either doubt turns "allow" into "ask"."""

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

    def doubts(self) -> tuple[str, ...]:
        unknown = () if self.tool_known else ("tool_unknown",)
        return (*unknown, "schema_changed") if self.schema_changed else unknown

    def scope(self) -> dict[str, Any]:
        """Where the paths of conditions lead."""
        facts = {"@effect": self.effect, "@egress": self.egress, "@risk": self.risk, "@input": self.run_input}
        return {**self.args, **facts}


@dataclass(frozen=True, slots=True)
class Explained:
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
        return {**asdict(self), "conditions": [asdict(told) for told in self.conditions]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says, what a decision then needs, and every rule that had a say, those with effect first."""

    effect: Effect
    requirements: Requirements = field(default_factory=lambda: normal({}))
    rules: tuple[Explained, ...] = ()
    doubts: tuple[str, ...] = ()


def evaluate(facts: Facts, rules: Sequence[RuleSnapshot]) -> Verdict:
    """The verdict of ``rules`` on ``facts``. Raises for a rule without the parts of a snapshot; the caller must then ask."""
    scope = facts.scope()
    mine = [rule for rule in rules if concerns(rule, facts)]
    explained = {id(rule): explain(rule, scope) for rule in mine}
    matching = [rule for rule in mine if explained[id(rule)].matched and rule["mode"] == Rule.Mode.ACTIVE]
    ordered = sorted(explained.values(), key=lambda rule: (not rule.matched, -rule.priority, rule.name))
    effects = {rule["verdict"] for rule in matching}
    asking = [required_by(rule) for rule in matching if rule["verdict"] == Effect.ASK]
    doubts = tuple(
        name for name, doubt in (("tool_unknown", not facts.tool_known), ("schema_changed", facts.schema_changed)) if doubt
    )
    if Effect.DENY in effects:
        return Verdict(Effect.DENY, rules=tuple(ordered), doubts=doubts)
    if effects == {Effect.ALLOW} and not doubts:
        return Verdict(Effect.ALLOW, rules=tuple(ordered))
    return Verdict(Effect.ASK, unite(asking), tuple(ordered), doubts)


def concerns(rule: RuleSnapshot, facts: Facts) -> bool:
    """Whether the rule speaks about this agent, action and effect at all."""
    if rule["mode"] not in (Rule.Mode.ACTIVE, Rule.Mode.SHADOW):
        return False
    if rule["team"] is not None and str(rule["team"]) != str(facts.team_id):
        return False
    if not fnmatchcase(facts.agent, rule["agent"]) or not fnmatchcase(facts.action, rule["action"]):
        return False
    return not rule["effects"] or facts.effect in rule["effects"] or _is_doubtful_effect(rule, facts)


def explain(rule: RuleSnapshot, scope: Mapping[str, Any]) -> Explained:
    """Each condition with what was found; doubts count against letting through."""
    allows = rule["verdict"] == Effect.ALLOW
    told = tuple(tell(condition, scope, every=allows) for condition in rule["conditions"])
    matched = all(one.holds is True or (one.holds is None and not allows) for one in told)
    return Explained(
        str(rule["id"]),
        rule["name"],
        rule["verdict"],
        rule["mode"],
        rule.get("priority", 0),
        matched,
        rule.get("note", ""),
        told,
    )


def required_by(rule: RuleSnapshot) -> dict[str, Any]:
    return {
        "teams": rule["reviewer_teams"],
        "count": rule["count"],
        "expires_after": rule["expires_after"],
        "self_approval": rule["self_approval"],
        "second_factor": rule["second_factor"],
    }


def _is_doubtful_effect(rule: RuleSnapshot, facts: Facts) -> bool:
    # Nobody has said what this tool does: what rules require for any effect is required.
    return rule["verdict"] == Effect.ASK and not (facts.tool_known and facts.effect)
