"""Roles by single sign-on: which memberships the groups of an identity provider stand for, as ``OIDC_ROLES`` says."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.db import transaction

from agentdesk.audit.record import Actor, record
from agentdesk.people.leaving import leave
from agentdesk.people.models import Membership, Role, Team, User
from agentdesk.people.team_admins import admins_now

log = logging.getLogger(__name__)

type Grant = tuple[str, str]  # a team's slug, a role


class MalformedRoles(ValueError):
    """``OIDC_ROLES`` is not what the desk understands; the message says where."""


@dataclass(frozen=True, slots=True)
class RoleMap:
    """The groups that count, with what each of them gives. Without groups the map is empty and governs nothing."""

    claim: str = ""
    groups: Mapping[str, frozenset[Grant]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.groups)

    @property
    def governed(self) -> frozenset[Grant]:
        """All that the map can give, and so all that it can take away."""
        return self.granted(self.groups)

    def granted(self, groups: Collection[str]) -> frozenset[Grant]:
        return frozenset(grant for group in groups for grant in self.groups.get(group, ()))


def role_map() -> RoleMap:
    """The map of this desk. Raises MalformedRoles; a system check refuses to serve with such a one."""
    return parse_roles(settings.OIDC_ROLES)


def parse_roles(text: str) -> RoleMap:
    """Read ``{"claim": name, "map": {group: {"team": slug, "role": role}, …}}``, where a group may also have a list of
    these. Empty text is an empty map. Raises MalformedRoles."""
    if not text.strip():
        return RoleMap()
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles)
    except ValueError as error:
        raise MalformedRoles(f"no JSON: {error}") from error
    claim, groups = _members(value, ("claim", "map"), "the whole")
    if not isinstance(claim, str) or not claim:
        raise MalformedRoles("'claim' is the name of a claim")
    if not isinstance(groups, dict):
        raise MalformedRoles("'map' is an object with the names of groups as its keys")
    return RoleMap(claim, {group: _grants(group, given) for group, given in groups.items()})


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON would let the last of two equal keys win, and a group lose half of its roles silently."""
    names = [name for name, _ in pairs]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{doubled[0]!r} is there twice")
    return dict(pairs)


def _members(value: object, names: tuple[str, str], where: str) -> list[Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise MalformedRoles(f"{where} is an object with {names[0]!r} and {names[1]!r}, and nothing else")
    return [value[name] for name in names]


def _grants(group: str, given: object) -> frozenset[Grant]:
    grants = given if isinstance(given, list) else [given]
    if not group or not grants:
        raise MalformedRoles(f"group {group!r}: each has a name and at least one role")
    return frozenset(_grant(group, each) for each in grants)


def _grant(group: str, given: object) -> Grant:
    team, role = _members(given, ("team", "role"), f"what group {group!r} gives")
    if not isinstance(team, str) or not team:
        raise MalformedRoles(f"group {group!r}: 'team' is the slug of a team")
    if role not in Role.values:
        raise MalformedRoles(f"group {group!r}: 'role' is one of {', '.join(Role.values)}")
    return team, role


def unknown_teams(roles: RoleMap, using: str = "default") -> list[str]:
    """Slugs in the map that are of no team. One query."""
    slugs = {team for team, _ in roles.governed}
    return sorted(slugs - set(Team.objects.using(using).filter(slug__in=slugs).values_list("slug", flat=True)))


def groups_of(login: SocialLogin, claim: str) -> frozenset[str]:
    """The groups that the provider names in this sign-in; none when the claim is missing or of another shape.

    Some providers put groups into the user info, some into the ID token only. Either counts only where it speaks of the
    person who signs in: an answer about another subject gives nothing.
    """
    answers = (login.account.extra_data.get(part) for part in ("userinfo", "id_token"))
    for answer in answers:
        if isinstance(answer, dict) and str(answer.get("sub")) == login.account.uid and claim in answer:
            value = answer[claim]
            names = [value] if isinstance(value, str) else value
            if isinstance(names, list):
                return frozenset(name for name in names if isinstance(name, str))
            log.warning("the claim %r of the identity provider is neither a list nor a text", claim)
            return frozenset()
    log.warning("the identity provider sent no claim %r", claim)
    return frozenset()


def may_come(login: SocialLogin) -> bool:
    """Whether somebody without an account gets one: the map is empty, or gives them a role in a team that exists."""
    roles = role_map()
    return not roles or bool(_memberships(roles.granted(groups_of(login, roles.claim))))


def bring_in_line(user: User, login: SocialLogin, *, actor: Actor) -> None:
    """Give ``user`` what the map gives for the groups of this sign-in, and take what it does not. Memberships that the map
    does not name stay as they are."""
    roles = role_map()
    if not roles:
        return
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one sign-in of a person after the other
        governed = _memberships(roles.governed)
        due = _memberships(roles.granted(groups_of(login, roles.claim)))
        held = {(each.team_id, each.role): each for each in user.memberships.select_related("team", "user")}
        for team_id, role in sorted(held.keys() & governed - due):
            label = str(held[team_id, role])
            if Membership.objects.filter(user=user, team=team_id, role=role).delete()[0]:
                _record(user, team_id, label, actor, before=role, after=None)
                if role == Role.ADMIN and not admins_now(team_id).exists():
                    # The identity provider has the last word: a right that it took must not stay. Superusers can mend it.
                    log.warning("single sign-on took the last admin of a team away: %s", label)
        for team_id, role in sorted(due - held.keys()):
            membership, is_new = Membership.objects.get_or_create(user=user, team_id=team_id, role=role)
            if is_new:
                _record(user, team_id, str(membership), actor, before=None, after=role)
        if held.keys() & governed - due:
            leave(user, to=None, actor=actor)


def _memberships(grants: Collection[Grant]) -> set[tuple[UUID, str]]:
    """Team ids and roles of those grants whose team exists; the others are logged."""
    slugs = {team for team, _ in grants}
    teams = dict(Team.objects.filter(slug__in=slugs).values_list("slug", "pk"))
    for slug in sorted(slugs - teams.keys()):
        log.error("OIDC_ROLES names the team %r, which does not exist", slug)
    return {(teams[team], role) for team, role in grants if team in teams}


def _record(user: User, team_id: UUID, label: str, actor: Actor, *, before: str | None, after: str | None) -> None:
    record(
        "membership.changed", actor=actor, object_type="user", object_id=user.pk, object_label=label, team_id=team_id,
        before={"role": before}, after={"role": after},
    )  # fmt: skip
