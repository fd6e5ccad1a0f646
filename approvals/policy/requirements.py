"""What a decision needs: how many reviewers of which teams, how soon, and how sure.

Requirements are stored on rules' evaluations and frozen on approvals as plain JSON::

    {"count": 3, "teams": ["…", "…"], "groups": [{"teams": ["…"], "count": 2}, {"teams": ["…"], "count": 1,
      "from_teams": 1}],
     "expires_after": 3600.0, "self_approval": false, "second_factor": false, "message_required": false,
     "escalate_to": [], "remind_after": null, "people": 2}

Each group wants ``count`` distinct reviewers of one of its ``teams`` (none named: the agent's own team). Somebody who is in
two groups counts in both. With ``from_teams``, they must be of so many different teams, each of them counting for one.
``count`` is the sum over the groups, ``teams`` their union; ``expires_after`` and ``remind_after`` are in seconds.
``escalate_to`` of a group: teams whose reviewers count in it too, once nobody has decided by then; beside the groups their
union, and none means that it is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict
from uuid import UUID


class Group(TypedDict):
    teams: list[str]
    count: int
    from_teams: int
    escalate_to: NotRequired[list[str]]


class Requirements(TypedDict):
    count: int
    teams: list[str]
    groups: list[Group]
    expires_after: float | None
    self_approval: bool
    second_factor: bool
    message_required: bool
    escalate_to: list[str]
    remind_after: float | None
    people: NotRequired[int]


def normal(raw: Mapping[str, Any]) -> Requirements:
    """``raw`` with every part present. ``{}`` means one reviewer of the agent's own team. Raises ValueError for a count
    below one."""
    groups = raw.get("groups") or [
        {"teams": raw.get("teams", []), "count": raw.get("count", 1), "from_teams": raw.get("from_teams", 1)}
    ]
    # Said beside the groups only, it is of each of them; otherwise each says its own.
    further = [] if any("escalate_to" in group for group in groups) else raw.get("escalate_to", [])
    clean = [
        _group(group["teams"], int(group["count"]), int(group.get("from_teams", 1)), group.get("escalate_to", further))
        for group in groups
    ]
    if any(group["count"] < 1 or group["from_teams"] < 1 for group in clean):
        raise ValueError("a requirement needs at least one reviewer")
    expires, remind = raw.get("expires_after"), raw.get("remind_after")
    people = int(raw.get("people", 1))
    requirements: Requirements = {
        "count": max(people, sum(group["count"] for group in clean)),
        "teams": sorted({team for group in clean for team in group["teams"]}),
        "groups": clean,
        "expires_after": None if expires is None else float(expires),
        "self_approval": bool(raw.get("self_approval", False)),
        "second_factor": bool(raw.get("second_factor", False)),
        "message_required": bool(raw.get("message_required", False)),
        "escalate_to": sorted({team for group in clean for team in group.get("escalate_to", [])}),
        "remind_after": None if remind is None else float(remind),
    }
    if people > 1:
        requirements["people"] = people
    return requirements


def _group(teams: Iterable[Any], count: int, from_teams: int, escalate_to: Iterable[Any]) -> Group:
    wanted = max(count, from_teams) if count >= 1 else count  # one person counts for one team
    group: Group = {"teams": sorted({str(team) for team in teams}), "count": wanted, "from_teams": from_teams}
    if further := sorted({str(team) for team in escalate_to}):
        group["escalate_to"] = further
    return group


def unite(several: Iterable[Mapping[str, Any]]) -> Requirements:
    """The requirements that meet all of ``several``: every group, the shortest expiry, the strictest switches."""
    parts = [normal(raw) for raw in several]
    if not parts:
        return normal({})
    expires = min((part["expires_after"] for part in parts if part["expires_after"] is not None), default=None)
    groups: dict[tuple[str, ...], Group] = {}
    further: dict[tuple[str, ...], set[str]] = {}
    for part in parts:
        for group in part["groups"]:
            key = tuple(group["teams"])
            if part["expires_after"] == expires:
                # What happens at the end is for those to say whose end comes first, each for the people it wants itself.
                further.setdefault(key, set()).update(group.get("escalate_to", []))
            had = groups.get(key, group)
            most = max(had["count"], group["count"]), max(had["from_teams"], group["from_teams"])
            groups[key] = _group(key, *most, further.get(key, ()))
    reminders = [part["remind_after"] for part in parts if part["remind_after"] is not None]
    return normal(
        {
            "groups": [group for _teams, group in sorted(groups.items())],
            "expires_after": expires,
            "self_approval": all(part["self_approval"] for part in parts),
            "second_factor": any(part["second_factor"] for part in parts),
            "message_required": any(part["message_required"] for part in parts),
            "remind_after": min(reminders) if reminders else None,
            "people": max(part.get("people", 1) for part in parts),
        }
    )


def freeze(raw: Mapping[str, Any], team_id: UUID) -> Requirements:
    """``raw`` with "the agent's own team" spelled out as ``team_id``."""
    plain = normal(raw)
    own = [str(team_id)]
    return unite([{**plain, "groups": [{**group, "teams": group["teams"] or own} for group in plain["groups"]]}])


def of_people(raw: Mapping[str, Any], people: int) -> Requirements:
    """``raw``, and that at least so many different people agree."""
    plain = normal(raw)
    return normal({**plain, "people": max(people, plain.get("people", 1))})


def escalated(requirements: Mapping[str, Any]) -> Requirements:
    """``requirements`` once the teams of ``escalate_to`` were asked too: their reviewers count in the groups that name them,
    and in no other."""
    plain = normal(requirements)
    groups = [
        {**group, "teams": [*group["teams"], *group.get("escalate_to", [])], "escalate_to": []} for group in plain["groups"]
    ]
    return unite([{**plain, "groups": groups}])


def progress(requirements: Mapping[str, Any], voters: Mapping[UUID, set[UUID]]) -> tuple[int, int]:
    """``(have, need)`` in votes: ``voters`` maps each agreeing reviewer to the teams they review for. Met when equal."""
    wanted = normal(requirements)
    asked = {UUID(team) for group in wanted["groups"] for team in group["teams"]}
    need, missing = wanted["count"], 0
    for group in wanted["groups"]:
        teams = {UUID(team) for team in group["teams"]}
        agreeing = [teams & reviews_for for reviews_for in voters.values() if teams & reviews_for]
        covered = _different(agreeing) if group["from_teams"] > 1 else 1
        missing += max(0, group["count"] - len(agreeing), group["from_teams"] - covered)
    too_few = wanted.get("people", 1) - sum(bool(asked & reviews_for) for reviews_for in voters.values())
    return need - max(missing, too_few), need


def _different(people: list[set[UUID]]) -> int:
    """Of how many teams ``people`` (the teams each reviews for) can be, when each counts for one: a largest matching."""
    speaks: dict[UUID, int] = {}  # team: who counts for it

    def place(person: int, seen: set[UUID]) -> bool:
        for team in people[person] - seen:
            seen.add(team)
            if team not in speaks or place(speaks[team], seen):
                speaks[team] = person
                return True
        return False

    return sum(place(person, set()) for person in range(len(people)))
