"""People, teams and approvals for these tests: plain functions."""

from typing import Any

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User
from approvals import requests
from approvals.decisions import Outcome, decide
from approvals.models import Approval, Rule
from approvals.policy.versions import publish

REFUND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "title": "Order"},
        "amount": {"type": "string", "pattern": r"^\d+\.\d{2}$"},
        "notify": {"type": "boolean"},
    },
    "required": ["order_id", "amount"],
    "additionalProperties": False,
}
ARGS = {"order_id": "A-1", "amount": "240.00"}
ALL = ("approve", "modify", "reject", "respond")


def make_team(name: str = "Support") -> Team:
    slug = f"{name.lower()}-{str(new_id())[-8:]}"
    return Team.objects.create(slug=slug, name=name)


def make_user(*teams: Team, role: str = Role.REVIEWER, name: str = "someone", **facts: Any) -> User:
    user = User.objects.create(username=f"{name}-{str(new_id())[-8:]}", **facts)
    for team in teams:
        Membership.objects.create(user=user, team=team, role=role)
    return user


def make_ask(team: Team, **facts: Any) -> requests.Ask:
    given: dict[str, Any] = {
        "source": "runs",
        "source_ref": str(new_id()),
        "request_key": f"call:{new_id()}",
        "kind": "tool_call",
        "agent": "support",
        "team_id": team.pk,
        "action": "issue_refund",
        "args": ARGS,
        "args_schema": REFUND,
        "allowed": ALL,
        "effect": "write",
    }
    return requests.Ask(**{**given, **facts})


def make_approval(team: Team, **facts: Any) -> Approval:
    approval, _made = requests.request_approval(make_ask(team, **facts), actor=Actor.desk())
    return approval


def post(approval: Approval, user: User, verdict: str = "approve", **facts: Any) -> Outcome:
    """Decide what ``approval`` (as the caller read it) shows."""
    shown = {"digest": approval.digest, "version": approval.version}
    proved = Actor.of(user, "web", proof="password")
    return decide(approval.pk, actor=facts.pop("actor", proved), verdict=verdict, **{**shown, **facts})


def make_rule(verdict: str, *, publish_it: bool = True, teams: tuple[Team, ...] = (), **facts: Any) -> Rule:
    rule = Rule.objects.create(**{"name": f"{verdict} rule", "verdict": verdict, **facts})
    rule.reviewer_teams.set(teams)
    if publish_it:
        publish(None, "test")
    return rule


def entries(approval: Approval, *actions: str) -> list[AuditEntry]:
    found = AuditEntry.objects.filter(object_type="approval", object_id=str(approval.pk)).order_by("id")
    return list(found.filter(action__in=actions) if actions else found)
