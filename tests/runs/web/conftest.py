"""A cast for the pages of runs, and rows as the engine leaves them."""

import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client

from agentdesk.digests import action_digest, encode
from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User
from approvals.models import Approval, Decision, Evaluation, Tool
from approvals.states import Status, Verdict
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus
from tests.desk import Desk

START = datetime(2026, 11, 24, 13, 41, 2, tzinfo=UTC)
ASKED = {"order_id": "47986", "amount": "240.00", "currency": "EUR"}
FINAL = {**ASKED, "amount": "212.50"}


def user_of(team, role, name):
    first, _, last = name.partition(" ")
    user = User.objects.create_user(first.lower(), password="demo", first_name=first, last_name=last)
    Membership.objects.create(user=user, team=team, role=role)
    return user


@pytest.fixture
def cast(db):
    return make_cast()


def make_cast():
    team = Team.objects.create(slug="care", name="Customer care")
    other = Team.objects.create(slug="bank", name="Bank")
    schema = {"type": "object", "properties": {"messages": {"type": "array"}}, "required": ["messages"]}
    agent = Agent.objects.create(
        slug="support", name="Support agent", team=team, code_version="2.3.1", input_schema=schema, loaded_at=START,
        description="Answers tickets.",
    )  # fmt: skip
    Tool.objects.create(agent="support", team=team, name="issue_refund", description="Pay money back.", risk="high")
    return SimpleNamespace(
        team=team, other=other, agent=agent, reviewer=user_of(team, Role.REVIEWER, "Robin Vale"),
        operator=user_of(team, Role.OPERATOR, "Olive Park"), stranger=user_of(other, Role.OPERATOR, "Sam Stone"),
    )  # fmt: skip


def make_run(cast, **fields):
    values = {
        "title": "Ticket T5533: stove arrived dented", "status": RunStatus.RUNNING, "input": {"messages": []},
        "agent_version": "2.3.1", "requester": cast.operator, "requester_label": cast.operator.label, "attempt": 1,
        "started_at": START, "thread_id": str(new_id()),
    }  # fmt: skip
    return Run.objects.create(agent=cast.agent, team=cast.agent.team, **(values | fields))


def make_step(run, kind, *, at=0.0, took=None, name="", status=None, key=None, **data):
    """A step that starts ``at`` seconds into the run and took ``took``; open without."""
    ended = None if took is None else START + timedelta(seconds=at + took)
    state = status or (StepStatus.OPEN if took is None else StepStatus.DONE)
    return Step.objects.create(
        run=run, key=key or new_id(), attempt=1, kind=kind, name=name or kind, status=state,
        started_at=START + timedelta(seconds=at), ended_at=ended, data=encode(data),
    )  # fmt: skip


def make_approval(run, args=None, **fields):
    args = ASKED if args is None else args
    values = {
        "agent": "support", "action": "issue_refund", "asked_args": encode(args), "args": encode(args),
        "digest": action_digest("support", "issue_refund", "", args), "allowed": ["approve", "modify", "reject"],
    }  # fmt: skip
    return Approval.objects.create(
        source="runs", source_ref=str(run.pk), request_key=str(new_id()), team=run.team, **(values | fields)
    )


def make_decision(approval, person, verdict=Verdict.APPROVE, args=None, at=60.0, **fields):
    args = ASKED if args is None else args
    Approval.objects.filter(pk=approval.pk).update(status=Status.DECIDED, closed_at=START + timedelta(seconds=at))
    return Decision.objects.create(
        approval=approval, version=1, verdict=verdict, args=encode(args),
        digest=action_digest("support", "issue_refund", "", args), decided_by=person, decided_by_label=person.label,
        via="web", decided_at=START + timedelta(seconds=at), **fields,
    )  # fmt: skip


def make_call(run, args=None, **fields):
    args = ASKED if args is None else args
    values = {
        "message_id": str(new_id()), "call_id": "call_1", "tool": "issue_refund", "verdict": "ask",
        "digest": action_digest("support", "issue_refund", "", args), "asked_args": encode(args),
        "status": CallStatus.WAITING,
    }  # fmt: skip
    return ToolCall.objects.create(run=run, **(values | fields))


def make_evaluation(run, verdict, *names):
    rules = [
        {"id": str(n), "name": name, "verdict": verdict, "mode": "active", "matched": True} for n, name in enumerate(names)
    ]
    return Evaluation.objects.create(
        source="runs", source_ref=str(run.pk), agent="support", action="issue_refund", digest="sha256:0", facts={},
        verdict=verdict, rules=rules,
    )  # fmt: skip


@pytest.fixture
def refund(cast):
    """A whole run: looked up, wanted a voucher (denied), asked, waited, changed and approved, refunded, done."""
    return told(cast)


def told(cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED, active_seconds=30.4, finished_at=START + timedelta(seconds=790),
                   output={"messages": [{"type": "ai", "content": "We have refunded 212.50 EUR."}]})  # fmt: skip
    node = make_step(run, StepKind.NODE, at=0, took=2, name="model")
    make_step(
        run, StepKind.MODEL, at=0, took=2, name="planner", model="planner-1", text="I will refund the stove.",
        tool_calls=[{"name": "issue_refund", "args": ASKED}], input_tokens=1200, output_tokens=214,
    )  # fmt: skip
    denied = make_call(
        run, {"amount": "50.00"}, tool="issue_voucher", verdict="deny", status=CallStatus.DENIED,
        evaluation=make_evaluation(run, "deny", "One remedy per order"),
        error={"kind": "denied", "message": "issue_voucher is denied by a rule."},
    )  # fmt: skip
    make_step(
        run, StepKind.TOOL, at=8, took=0, name="issue_voucher", call=str(denied.pk), tool="issue_voucher", outcome="denied"
    )
    approval = make_approval(run)
    decision = make_decision(approval, cast.reviewer, Verdict.MODIFY, FINAL, at=745, message="Customer keeps the gas bottle.")
    digest = action_digest("support", "issue_refund", "", FINAL)
    call = make_call(
        run, approval=approval, decision=decision, status=CallStatus.SUCCEEDED, approved_args=encode(FINAL),
        approved_digest=digest, executed_args=encode(FINAL), executed_digest=digest, tries=1, attempt=1,
        result={"shown": {"receipt": "rf_88213"}, "exact": []}, started_at=START + timedelta(seconds=746),
        ended_at=START + timedelta(seconds=746.9),
    )  # fmt: skip
    tool = make_step(
        run, StepKind.TOOL, at=17, took=729.9, name="issue_refund", call=str(call.pk), tool="issue_refund", outcome="succeeded"
    )
    pause = make_step(run, StepKind.PAUSE, at=17, took=728, name="waiting for people", approvals=[str(approval.pk)])
    decided = make_step(
        run, StepKind.DECISION, at=745, took=0, key=decision.pk, name="modify", approval=str(approval.pk), verdict="modify",
        by=cast.reviewer.label,
    )  # fmt: skip
    return SimpleNamespace(
        run=run, node=node, denied=denied, approval=approval, decision=decision, call=call, tool=tool, pause=pause,
        decided=decided,
    )  # fmt: skip


@pytest.fixture
def web(committed, tmp_path):
    """A web process over this test's database; its pages hear what this process pushes."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    desk = Desk(tmp_path, os.environ | {"AGENTDESK_URL": url, "AGENTDESK_STATE_DIR": str(tmp_path)}, ports={"web": port})
    try:
        yield desk.start_web("web")
    finally:
        desk.stop()


@pytest.fixture
def signed_in(web, new_page):
    """Return a function that opens an address of the desk as a user."""

    def open_as(user, address, **options):
        client = Client()
        client.force_login(user)
        page = new_page(base_url=web, **options)
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value, "url": web}]
        )
        page.goto(address)
        return page

    return open_as
