"""Critical risk is approved by more than one person, whatever the rules say (``CRITICAL_APPROVERS``)."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from approvals.policy.requirements import Requirements, freeze, of_people
from approvals.states import Kind, Risk, Verdict

_LETS_HAPPEN = frozenset({Verdict.APPROVE, Verdict.MODIFY})


def required(raw: Mapping[str, Any], team_id: UUID, risk: str, kind: str, allowed: Collection[str]) -> Requirements:
    """What the rules require, frozen for the agent's team, and what the risk requires beside that. Where nothing can be let
    happen, as by saying what became of a call in doubt, the rules alone count."""
    wanted = freeze(raw, team_id)
    is_grave = risk == Risk.CRITICAL and kind != Kind.IN_DOUBT and not _LETS_HAPPEN.isdisjoint(allowed)
    return of_people(wanted, settings.CRITICAL_APPROVERS) if is_grave else wanted
