"""What looks wrong in a set of rules: findings in words, never an error. Pure.

Only what is certain from the rules and the known tools is said: a rule may match nothing (its tool is not known, its
conditions contradict each other), have no effect (a stricter rule always matches too), repeat another, name an argument that
no tool has, or let writes through without any condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from django.utils.translation import gettext as _

from approvals.models.rules import Effect, Rule
from approvals.policy.bounds import contradiction, implies
from approvals.policy.conditions import CLOCK, number_or_none
from approvals.policy.evaluate import RuleSnapshot
from approvals.policy.expressions import ready as ready_expression
from approvals.policy.origins import kinds_in
from approvals.policy.tallies import tally_of

STRICTNESS = {Effect.ALLOW: 0, Effect.ASK: 1, Effect.DENY: 2}


@dataclass(frozen=True, slots=True)
class Known:
    """A tool as rules see it."""

    agent: str
    name: str
    team: str
    effect: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    results: str = ""  # of what kind its results are


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` is one of never, shadowed, redundant, unknown_tool, unknown_argument, broad."""

    rule: str
    name: str
    kind: str
    text: str


def lint(rules: Sequence[RuleSnapshot], tools: Sequence[Known]) -> list[Finding]:
    """Everything that is to be said about ``rules``, in their order."""
    live = [rule for rule in rules if rule["mode"] != Rule.Mode.OFF]
    return [finding for rule in live for finding in lint_rule(rule, live, tools)]


def lint_rule(rule: RuleSnapshot, rules: Sequence[RuleSnapshot], tools: Sequence[Known]) -> list[Finding]:
    """What is to be said about one rule, given the others."""
    mine = [tool for tool in tools if _covers_tool(rule, tool)]
    said = [
        *_unknown_tool(rule, mine, tools),
        *_never(rule),
        *_no_such_origin(rule, tools),
        *_unknown_arguments(rule, mine),
        *_beside_others(rule, rules),
        *_broad(rule, mine),
    ]
    return [Finding(str(rule["id"]), rule["name"], kind, text) for kind, text in said]


type Said = list[tuple[str, str]]


def _unknown_tool(rule: RuleSnapshot, mine: Sequence[Known], tools: Sequence[Known]) -> Said:
    if mine or not tools or rule["action"].startswith("interrupt:"):
        return []
    named = {"action": rule["action"], "agent": rule["agent"]}
    named_alike = any(_names(rule, tool) for tool in tools)
    if named_alike:
        return [("unknown_tool", _("No known tool of that name has one of these effects, or belongs to this team."))]
    return [("unknown_tool", _("No known tool is called “%(action)s” at an agent “%(agent)s”.") % named)]


def _never(rule: RuleSnapshot) -> Said:
    if any(_counts_below_one(condition, rule["verdict"]) for condition in rule["conditions"]):
        return [("never", _("It never matches: a count includes the call itself, so it is never less than one."))]
    path = contradiction(rule["conditions"])
    if not path:
        return []
    told = _("It never matches: its conditions on “%(path)s” contradict each other.")
    if rule["verdict"] != Effect.ALLOW:  # a doubt counts as matched there
        told = _("Its conditions on “%(path)s” contradict each other: it matches only where that is missing or no such value.")
    return [("never", told % {"path": path})]


def _no_such_origin(rule: RuleSnapshot, tools: Sequence[Known]) -> Said:
    """A rule that allows what comes from trusted records only, where no tool's results are labelled as such."""
    wanted = [c["value"] for c in rule["conditions"] if c.get("op") == "from" and isinstance(c.get("value"), str)]
    only_records = any(kinds_in(value) == ["record"] for value in wanted)
    if rule["verdict"] != Effect.ALLOW or not only_records or not tools:
        return []
    agents = [tool for tool in tools if fnmatchcase(tool.agent, rule["agent"])]
    if any(tool.results == "record" for tool in agents):
        return []
    return [("never", _("It never matches: no tool of its agents is labelled as returning trusted records."))]


def _counts_below_one(condition: Mapping[str, Any], verdict: str) -> bool:
    value, path = number_or_none(condition.get("value")), str(condition.get("path", ""))
    if not path.startswith("@count.") or value is None:
        return False
    if path == "@count.run" and verdict != Effect.ALLOW:  # a program that names no run leaves a doubt, which matches there
        return False
    return value <= 1 if condition.get("op") == "<" else value < 1 if condition.get("op") in ("<=", "=") else False


def _unknown_arguments(rule: RuleSnapshot, mine: Sequence[Known]) -> Said:
    paths = [str(condition.get("path", "")) for condition in rule["conditions"]]
    names = {path.split(".")[0] for path in paths if not path.startswith("@")}
    names |= {tally.argument[0] for path in paths if (tally := tally_of(path)) is not None and tally.argument}
    if rule.get("expression"):
        named = ready_expression(rule["expression"], allows=rule["verdict"] == Effect.ALLOW)
        names |= named.arguments | {tally.argument[0] for tally in named.tallies if tally.argument}
    open_ended = any(tool.schema.get("additionalProperties") is True or "properties" not in tool.schema for tool in mine)
    if not mine or open_ended:
        return []
    known = {name for tool in mine for name in tool.schema["properties"]}
    told = _("No tool that this rule speaks about has an argument “%(name)s”.")
    return [("unknown_argument", told % {"name": name}) for name in sorted(names - known - {"*"})]


def _beside_others(rule: RuleSnapshot, rules: Sequence[RuleSnapshot]) -> Said:
    for other in rules:
        if other["id"] == rule["id"] or other["mode"] != Rule.Mode.ACTIVE or not covers(other, rule):
            continue
        named = {"name": other["name"]}
        more = STRICTNESS[Effect(other["verdict"])] - STRICTNESS[Effect(rule["verdict"])]
        if more > 0:
            return [("shadowed", _("It has no effect: “%(name)s” is stricter and always matches too.") % named)]
        if more == 0 and rule["verdict"] != Effect.ASK and not (covers(rule, other) and str(rule["id"]) < str(other["id"])):
            return [("redundant", _("“%(name)s” says the same already.") % named)]
    return []


def _broad(rule: RuleSnapshot, mine: Sequence[Known]) -> Said:
    narrowing = [c for c in rule["conditions"] if str(c.get("path", "")).split(".")[0] not in CLOCK]
    if rule["verdict"] != Effect.ALLOW or narrowing or rule.get("expression"):
        return []
    writing = sorted({tool.name for tool in mine if tool.effect != "read"})
    if not writing:
        return []
    shown = ", ".join(writing[:5]) + (", …" if len(writing) > 5 else "")
    told = _("It lets through whatever is asked of tools that change something, without any condition: %(tools)s.")
    if rule["conditions"]:
        told = _("At its hours it lets through whatever is asked of tools that change something: %(tools)s.")
    return [("broad", told % {"tools": shown})]


def covers(wide: RuleSnapshot, narrow: RuleSnapshot) -> bool:
    """Whether ``wide`` certainly matches wherever ``narrow`` does."""
    return (
        wide["team"] in (None, narrow["team"])
        and _pattern_covers(wide["agent"], narrow["agent"])
        and _pattern_covers(wide["action"], narrow["action"])
        and _effects_cover(wide, narrow)
        and wide.get("expression", "") in ("", narrow.get("expression", ""))
        and all(any(implies(told, wanted) for told in narrow["conditions"]) for wanted in wide["conditions"])
    )


def _effects_cover(wide: RuleSnapshot, narrow: RuleSnapshot) -> bool:
    if not wide["effects"]:
        return True
    if not narrow["effects"] or (narrow["verdict"] == Effect.ASK and wide["verdict"] != Effect.ASK):
        return False  # a rule that asks matches a tool that nobody has labelled, too
    return set(narrow["effects"]) <= set(wide["effects"])


def _pattern_covers(wide: str, narrow: str) -> bool:
    if wide in ("*", narrow):
        return True
    return not any(sign in narrow for sign in "*?[") and fnmatchcase(narrow, wide)


def _names(rule: RuleSnapshot, tool: Known) -> bool:
    return fnmatchcase(tool.agent, rule["agent"]) and fnmatchcase(tool.name, rule["action"])


def _covers_tool(rule: RuleSnapshot, tool: Known) -> bool:
    fits = not rule["effects"] or tool.effect in rule["effects"]
    return _names(rule, tool) and fits and rule["team"] in (None, tool.team)
