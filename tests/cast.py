"""Who and what the tests are about: people of two teams, a program, an agent, questions. Plain functions, no factories."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.test import Client

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User
from agentdesk.people.tokens import create_token
from approvals.models import Approval
from approvals.requests import Ask, request_approval
from runs.models import Agent

REFUND_SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "amount": {"type": "number", "minimum": 0}},
    "required": ["order_id", "amount"],
    "additionalProperties": False,
}


@dataclass
class Cast:
    """Support with its people and its program; the stranger reviews and operates another team."""

    support: Team
    warehouse: Team
    reviewer: User
    second: User
    operator: User
    admin: User
    program: User
    stranger: User
    agent: Agent


def make_cast() -> Cast:
    support = Team.objects.create(slug="support", name="Support")
    warehouse = Team.objects.create(slug="warehouse", name="Warehouse")
    return Cast(
        support=support,
        warehouse=warehouse,
        reviewer=make_user("reviewer", {support: [Role.REVIEWER]}),
        second=make_user("second", {support: [Role.REVIEWER]}),
        operator=make_user("operator", {support: [Role.OPERATOR]}),
        admin=make_user("admin", {support: [Role.ADMIN]}),
        program=make_user("program", {support: [Role.OPERATOR]}, kind=User.Kind.SERVICE),
        stranger=make_user("stranger", {warehouse: [Role.REVIEWER, Role.OPERATOR, Role.ADMIN]}),
        agent=make_agent("support", support),
    )


def make_user(username: str, roles: dict[Team, list[Role]], **facts: Any) -> User:
    user = User.objects.create(username=username, first_name=username.capitalize(), **facts)
    Membership.objects.bulk_create(Membership(user=user, team=team, role=role) for team in roles for role in roles[team])
    return user


def make_agent(slug: str, team: Team, **facts: Any) -> Agent:
    return Agent.objects.create(slug=slug, name=slug.capitalize(), team=team, graph=f"{slug}.py:graph", **facts)


def make_approval(team: Team, *, source_ref: str = "", requirements: dict[str, Any] | None = None, **facts: Any) -> Approval:
    """A pending refund of 80 for order A-1."""
    whole: dict[str, Any] = {
        "source": "tests", "source_ref": source_ref or str(new_id()), "request_key": str(new_id()), "kind": "tool_call",
        "agent": "support", "team_id": team.pk, "action": "issue_refund", "args": {"order_id": "A-1", "amount": 80},
        "args_schema": REFUND_SCHEMA, "allowed": ["approve", "modify", "reject", "respond"],
        "requirements": requirements or {}, "effect": "write", **facts,
    }  # fmt: skip
    return request_approval(Ask(**whole), actor=Actor.desk())[0]


def make_checkpoint(thread_id: str, checkpoint_id: str) -> None:
    """A checkpoint of the outermost graph, as LangGraph's saver leaves it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)"
            """ VALUES (%s, '', %s, '{"v": 4, "ts": "2026-11-22T10:00:00+00:00"}', '{"step": 1, "source": "loop"}')""",
            (thread_id, checkpoint_id),
        )


@dataclass
class Api:
    """A program with one token."""

    token: str | None
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    @classmethod
    def of(cls, user: User) -> "Api":
        return cls(create_token(user, "tests", actor=Actor.of(user))[1])

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", query, headers=self._headers())

    def post(self, path: str, body: Any = None) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(f"/api/v1/{path}", text, content_type="application/json", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
