"""Policy versions: all rules in force, as one immutable snapshot after each change."""

from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from agentdesk.digests import digest
from agentdesk.people.models import User
from approvals.models import PolicyVersion, Rule

LOCK = 0x41445031  # any fixed number: one publisher at a time


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


def snapshot(rule: Rule) -> dict[str, Any]:
    """The rule as plain JSON, as evaluations read it."""
    return {
        "id": str(rule.pk),
        "name": rule.name,
        "team": str(rule.team_id) if rule.team_id else None,
        "agent": rule.agent,
        "action": rule.action,
        "effects": list(rule.effects),
        "conditions": list(rule.conditions),
        "verdict": rule.verdict,
        "mode": rule.mode,
        "reviewer_teams": sorted(str(team.pk) for team in rule.reviewer_teams.all()),
        "count": rule.count,
        "expires_after": rule.expires_after.total_seconds() if rule.expires_after else None,
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


@lru_cache(maxsize=8)
def _rules_of(version: int, seal: str) -> tuple[dict[str, Any], ...]:
    # Versions never change, so what was read once holds; the digest tells tables made anew (in tests) apart.
    rules = tuple(PolicyVersion.objects.values_list("rules", flat=True).get(pk=version))
    if digest(list(rules)) != seal:
        raise ValueError(f"policy version {version} was changed after it was published")
    return rules
