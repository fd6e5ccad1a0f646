"""What a decision needs: how many reviewers of which teams, how soon, and how sure.

Requirements are stored on rules' evaluations and frozen on approvals as plain JSON::

    {"count": 3, "teams": ["…", "…"], "groups": [{"teams": ["…"], "count": 2}, {"teams": ["…"], "count": 1}],
     "expires_after": 3600.0, "self_approval": false, "second_factor": false, "message_required": false}

Each group wants ``count`` distinct reviewers of one of its ``teams`` (none named: the agent's own team). Somebody who is in
two groups counts in both. ``count`` is the sum over the groups, ``teams`` their union; ``expires_after`` is in seconds.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict
from uuid import UUID


class Group(TypedDict):
    teams: list[str]
    count: int


class Requirements(TypedDict):
    count: int
    teams: list[str]
    groups: list[Group]
    expires_after: float | None
    self_approval: bool
    second_factor: bool
    message_required: bool


def normal(raw: Mapping[str, Any]) -> Requirements:
    """``raw`` with every part present. ``{}`` means one reviewer of the agent's own team. Raises ValueError for a count
    below one."""
    groups = raw.get("groups") or [{"teams": raw.get("teams", []), "count": raw.get("count", 1)}]
    clean: list[Group] = [{"teams": sorted({str(team) for team in g["teams"]}), "count": int(g["count"])} for g in groups]
    if any(group["count"] < 1 for group in clean):
        raise ValueError("a requirement needs at least one reviewer")
    expires = raw.get("expires_after")
    return {
        "count": sum(group["count"] for group in clean),
        "teams": sorted({team for group in clean for team in group["teams"]}),
        "groups": clean,
        "expires_after": None if expires is None else float(expires),
        "self_approval": bool(raw.get("self_approval", False)),
        "second_factor": bool(raw.get("second_factor", False)),
        "message_required": bool(raw.get("message_required", False)),
    }


def unite(several: Iterable[Mapping[str, Any]]) -> Requirements:
    """The requirements that meet all of ``several``: every group, the shortest expiry, the strictest switches."""
    parts = [normal(raw) for raw in several]
    if not parts:
        return normal({})
    counts: dict[tuple[str, ...], int] = {}
    for part in parts:
        for group in part["groups"]:
            key = tuple(group["teams"])
            counts[key] = max(counts.get(key, 0), group["count"])
    expiries = [part["expires_after"] for part in parts if part["expires_after"] is not None]
    return normal(
        {
            "groups": [{"teams": list(teams), "count": count} for teams, count in sorted(counts.items())],
            "expires_after": min(expiries) if expiries else None,
            "self_approval": all(part["self_approval"] for part in parts),
            "second_factor": any(part["second_factor"] for part in parts),
            "message_required": any(part["message_required"] for part in parts),
        }
    )


def freeze(raw: Mapping[str, Any], team_id: UUID) -> Requirements:
    """``raw`` with "the agent's own team" spelled out as ``team_id``."""
    plain = normal(raw)
    own = [str(team_id)]
    groups = [{"teams": group["teams"] or own, "count": group["count"]} for group in plain["groups"]]
    return unite([{**plain, "groups": groups}])


def progress(requirements: Mapping[str, Any], voters: Mapping[UUID, set[UUID]]) -> tuple[int, int]:
    """``(have, need)`` in votes: ``voters`` maps each agreeing reviewer to the teams they review for. Met when equal."""
    groups = normal(requirements)["groups"]
    need = sum(group["count"] for group in groups)
    missing = 0
    for group in groups:
        teams = {UUID(team) for team in group["teams"]}
        agreeing = sum(1 for reviews_for in voters.values() if teams & reviews_for)
        missing += max(0, group["count"] - agreeing)
    return need - missing, need
