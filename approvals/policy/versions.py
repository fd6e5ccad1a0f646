"""Policy versions: all rules in force, as one immutable snapshot after each change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext

from agentdesk.audit.record import Actor, record
from agentdesk.digests import digest
from agentdesk.people.models import Team, User
from approvals.models import PolicyVersion, Rule
from approvals.policy.evaluate import ReadyRules, RuleSnapshot

LOCK = 0x41445031  # any fixed number: one publisher at a time


class CannotRollBack(Exception):
    """The rules of that version cannot be in force again; the message says why."""


@transaction.atomic
def publish(author: User | None, reason: str = "") -> PolicyVersion:
    """Snapshot the rules in force as the newest version; the newest one again when nothing changed.

    Call it in the transaction that changed the rules. It then waits for others who publish: a snapshot taken beside theirs
    would miss their change.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    rules = [
        snapshot(rule) for rule in Rule.objects.exclude(mode=Rule.Mode.OFF).prefetch_related("reviewer_teams").order_by("pk")
    ]
    seal = digest(rules)
    newest = PolicyVersion.objects.order_by("-pk").first()
    if newest is not None and newest.digest == seal:
        return newest
    return PolicyVersion.objects.create(digest=seal, rules=rules, author=author, reason=reason[:300])


def snapshot(rule: Rule, reviewers: "Iterable[Team] | None" = None) -> dict[str, Any]:
    """The rule as plain JSON, as evaluations read it. ``reviewers``: in place of the stored ones, for one not saved yet."""
    teams = rule.reviewer_teams.all() if reviewers is None else reviewers
    return {
        "id": str(rule.pk),
        "name": rule.name,
        "team": str(rule.team_id) if rule.team_id else None,
        "agent": rule.agent,
        "action": rule.action,
        "effects": list(rule.effects),
        "conditions": list(rule.conditions),
        "expression": rule.expression,
        "verdict": rule.verdict,
        "mode": rule.mode,
        "reviewer_teams": sorted(str(team.pk) for team in teams),
        "count": rule.count,
        "expires_after": rule.expires_after.total_seconds() if rule.expires_after else None,
        "from_teams": rule.from_teams,
        "on_expiry": rule.on_expiry,
        "escalate_to": str(rule.escalate_to_id) if rule.escalates else None,
        "remind_after": rule.remind_after.total_seconds() if rule.remind_after else None,
        "self_approval": rule.self_approval,
        "second_factor": rule.second_factor,
        "priority": rule.priority,
        "note": rule.note,
    }


def current() -> tuple[int | None, tuple[dict[str, Any], ...]]:
    """The newest version's number and rules; ``(None, ())`` before the first was published: then everything is asked."""
    newest = PolicyVersion.objects.order_by("-pk").values_list("pk", "digest").first()
    if newest is None:
        return None, ()
    return newest[0], _rules_of(*newest)


def current_ready() -> tuple[int | None, ReadyRules]:
    """The same, made ready for evaluating many calls. Raises KeyError for a rule without the parts of a snapshot."""
    newest = PolicyVersion.objects.order_by("-pk").values_list("pk", "digest").first()
    return (None, ReadyRules.of(())) if newest is None else (newest[0], _ready_rules_of(*newest))


@lru_cache(maxsize=8)
def _ready_rules_of(version: int, seal: str) -> ReadyRules:
    return ReadyRules.of(_rules_of(version, seal))


@lru_cache(maxsize=8)
def _rules_of(version: int, seal: str) -> tuple[dict[str, Any], ...]:
    # Versions never change, so what was read once holds; the digest tells tables made anew (in tests) apart.
    rules = tuple(PolicyVersion.objects.values_list("rules", flat=True).get(pk=version))
    if digest(list(rules)) != seal:
        raise ValueError(f"policy version {version} was changed after it was published")
    return rules


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one rule between two versions. ``parts``: name of a part, its value before and after."""

    rule: str
    name: str
    kind: Literal["added", "removed", "changed"]
    parts: tuple[tuple[str, Any, Any], ...] = ()


def _same(one: Any, other: Any) -> bool:
    return digest(one) == digest(other)  # to Python, 1 and True are equal


def differences(before: Sequence[RuleSnapshot], after: Sequence[RuleSnapshot]) -> list[Difference]:
    """What ``after`` has that ``before`` had not, in the order of ``after``; what was taken away comes last."""
    old, new = ({str(rule["id"]): rule for rule in rules} for rules in (before, after))
    found = []
    for key, rule in new.items():
        was = old.get(key, {})
        parts = tuple(
            (part, was.get(part), rule[part]) for part in rule if part != "id" and not _same(was.get(part), rule[part])
        )
        if parts:
            found.append(Difference(key, rule["name"], "changed" if was else "added", parts))
    gone = [Difference(key, rule["name"], "removed") for key, rule in old.items() if key not in new]
    return found + gone


@transaction.atomic
def roll_back(to: PolicyVersion, actor: Actor, reason: str) -> PolicyVersion:
    """Make the rules what they were in version ``to``, and publish that as a new version. Rules that came since are switched
    off, not deleted. Raises CannotRollBack when a team that a rule named is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    wanted = {str(rule["id"]): rule for rule in to.rules}
    named = {team for rule in to.rules for team in [rule["team"], rule.get("escalate_to"), *rule["reviewer_teams"]] if team}
    teams = {str(team.pk): team for team in Team.objects.filter(pk__in=named)}
    if named - set(teams):
        raise CannotRollBack(gettext("A team that version %(number)d names does not exist any more.") % {"number": to.pk})
    Rule.objects.exclude(pk__in=wanted).exclude(mode=Rule.Mode.OFF).update(mode=Rule.Mode.OFF, updated_at=timezone.now())
    for key, rule in wanted.items():
        fields: dict[str, Any] = {**_WITHOUT, **{part: rule[part] for part in _COPIED if part in rule or part not in _WITHOUT}}
        for part in ("expires_after", "remind_after"):
            fields[part] = None if rule.get(part) is None else timedelta(seconds=rule[part])
        fields |= {"team": teams.get(str(rule["team"])), "escalate_to": teams.get(str(rule.get("escalate_to")))}
        row, _created = Rule.objects.update_or_create(pk=key, defaults=fields)
        row.reviewer_teams.set([teams[team] for team in rule["reviewer_teams"]])
    newest = PolicyVersion.objects.order_by("-pk").first()
    version = publish(actor.user, reason)
    record(
        "policy.rolled_back", actor=actor, object_type="policy_version", object_id=version.pk, object_label=str(version),
        before={"version": newest.pk if newest else None}, after={"as_in": to.pk, "reason": reason},
        policy_version=version.pk,
    )  # fmt: skip
    return version


# Parts that rules did not have when older versions were published, as they were then.
_WITHOUT: dict[str, Any] = {"expression": "", "from_teams": 1, "on_expiry": Rule.OnExpiry.REJECT}
_COPIED = (
    *_WITHOUT, "name", "agent", "action", "effects", "conditions", "verdict", "mode", "count", "self_approval", "second_factor",
    "priority", "note",
)  # fmt: skip
