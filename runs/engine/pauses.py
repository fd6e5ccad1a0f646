"""A pause: what a waiting graph asks, as approvals; and what people decided, as the input that lets it go on.

Reads a snapshot of the graph and the database, writes approvals, never touches the graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from langgraph.types import Command, Interrupt, StateSnapshot

from agentdesk.audit.record import Actor
from agentdesk.digests import digest
from approvals import requests
from approvals.models import Approval, Decision, Tool
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from approvals.states import Kind, Verdict
from runs.engine.claims import Claim
from runs.interrupts.adapters import adapter_for
from runs.interrupts.base import Payload, Question
from runs.lifecycle import SOURCE
from runs.models import ToolCall
from runs.states import CallStatus


@dataclass(frozen=True, slots=True)
class Waiting:
    """People have to decide these first."""

    approvals: list[UUID]


@dataclass(frozen=True, slots=True)
class Ready:
    """The graph goes on with ``input``; these decisions are thereby handed over."""

    input: Any
    decisions: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """Nobody decided in time, and the payload knows no way to say so."""

    why: str


type Next = Waiting | Ready | Unanswerable


@transaction.atomic
def look(claim: Claim, snapshot: StateSnapshot, breakpoints: Sequence[str] = ()) -> Next:
    """What the run needs to go on from ``snapshot``. Makes the approvals that are missing; never one twice."""
    asked = [_Asked(claim, snapshot, payload) for payload in _payloads(snapshot)]
    held = [_at_breakpoint(claim, snapshot, node) for node in snapshot.next if node in breakpoints]
    approvals = [approval for each in asked for approval in each.approvals] + held + _of_calls(claim)
    standing = _standing(approvals)
    open_ = [a.pk for a in approvals if a.pk not in standing]
    if open_:
        return Waiting(open_)
    if any(standing[a.pk].verdict in _REFUSING for a in held):
        return Unanswerable("breakpoint refused")
    answers: dict[str, Any] = {}
    for each in asked:
        decisions = [standing[a.pk] for a in each.approvals]
        if not each.adapter.refusable and any(d.verdict in _REFUSING for d in decisions):
            return Unanswerable("expired")
        answers[each.payload.id] = each.answer(decisions)
    return Ready(Command(resume=answers) if answers else None, list(standing.values()))


_REFUSING = (Verdict.REJECT, Verdict.EXPIRE, Verdict.WITHDRAW)


class _Asked:
    """One interrupt of the agent's own with its approvals. One that the gate's approval already covers has none."""

    def __init__(self, claim: Claim, snapshot: StateSnapshot, payload: Payload) -> None:
        self.payload = payload
        self.adapter = adapter_for(payload)
        questions = self.adapter.questions(payload)
        self.covered = [_covering(claim, question) for question in questions]
        self.approvals = [
            _approval(claim, snapshot, payload, self.adapter.name, n, question)
            for n, question in enumerate(questions)
            if self.covered[n] is None
        ]

    def answer(self, decisions: Sequence[Decision]) -> Any:
        rest = iter(decisions)
        return self.adapter.answer(self.payload, [covering or next(rest) for covering in self.covered])


def _payloads(snapshot: StateSnapshot) -> list[Payload]:
    """The agent's own interrupts that still wait; those of the gate are in the ledger."""
    nodes = {interrupt.id: task.name for task in snapshot.tasks for interrupt in task.interrupts}
    own = (i for i in snapshot.interrupts if not (isinstance(i.value, dict) and "desk_call" in i.value))
    return [Payload(i.id, i.value, nodes.get(i.id, ""), _schema(i)) for i in own]


def _schema(interrupt: Interrupt) -> dict[str, Any] | None:
    schema = getattr(interrupt, "response_schema", None)
    if isinstance(schema, dict):
        return schema
    describe = getattr(schema, "model_json_schema", None)
    return describe() if callable(describe) else None


def _covering(claim: Claim, question: Question) -> Decision | None:
    """The decision people made at the gate on the call that the agent's own middleware, behind it, asks about once more."""
    if not question.call_id:
        return None
    call = ToolCall.objects.filter(
        run=claim.run, call_id=question.call_id, tool=question.action, status=CallStatus.PAUSED, decision__isnull=False
    ).first()  # fmt: skip
    if call is None or call.decision is None or digest(call.executed_args) != digest(question.args):
        return None
    return Decision(verdict=Verdict.APPROVE, args=call.executed_args, decided_by_label=call.decision.decided_by_label)


def _approval(claim: Claim, snapshot: StateSnapshot, payload: Payload, adapter: str, n: int, question: Question) -> Approval:
    run = claim.run
    tool = Tool.objects.filter(agent=run.agent.slug, name=question.action).first()
    evaluation = evaluate_action(
        Facts(
            agent=run.agent.slug, team_id=run.team_id, action=question.action, args=question.args,
            effect=tool.effect if tool else "", egress=tool.egress if tool else False,
            risk=question.risk or (tool.risk if tool else "medium"), tool_known=tool is not None, schema_changed=False,
            run_input=run.input,
        ),
        source=SOURCE, source_ref=str(run.pk),
    )  # fmt: skip
    checkpoint = snapshot.config["configurable"].get("checkpoint_id", "")
    ask = requests.Ask(
        source=SOURCE, source_ref=str(run.pk), request_key=f"interrupt:{run.pk}:{checkpoint}:{payload.id}:{n}",
        kind=Kind.INTERRUPT, agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id,
        action=question.action, args=question.args, args_schema=question.args_schema or (tool.schema if tool else None),
        schema_version=tool.schema_version if tool else "", description=question.description, subject=subject_of(run.input),
        payload=payload.value, adapter=adapter, allowed=list(question.allowed), answer_schema=question.answer_schema,
        risk=question.risk or (tool.risk if tool else "medium"), effect=tool.effect if tool else "",
        egress=tool.egress if tool else False, requirements=evaluation.requirements, evaluation=evaluation,
        policy_version=evaluation.policy_version, requester_id=run.requester_id,
    )  # fmt: skip
    return requests.request_approval(ask, actor=Actor.desk(run.agent.slug))[0]


def _at_breakpoint(claim: Claim, snapshot: StateSnapshot, node: str) -> Approval:
    """A static breakpoint is a pause like any other: nobody passes it without a decision."""
    run = claim.run
    checkpoint = snapshot.config["configurable"].get("checkpoint_id", "")
    ask = requests.Ask(
        source=SOURCE, source_ref=str(run.pk), request_key=f"breakpoint:{run.pk}:{checkpoint}:{node}", kind=Kind.INTERRUPT,
        agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id, action=f"interrupt:{node}",
        args={"node": node}, allowed=[Verdict.APPROVE, Verdict.REJECT], adapter="breakpoint", subject=subject_of(run.input),
        requester_id=run.requester_id,
    )  # fmt: skip
    return requests.request_approval(ask, actor=Actor.desk(run.agent.slug))[0]


def _of_calls(claim: Claim) -> list[Approval]:
    """Approvals of the calls that the gate holds back."""
    calls = ToolCall.objects.filter(run=claim.run, status__in=(CallStatus.WAITING, CallStatus.IN_DOUBT)).select_related(
        "approval", "doubt"
    )
    held = (call.doubt if call.status == CallStatus.IN_DOUBT else call.approval for call in calls)
    return [approval for approval in held if approval is not None]


def _standing(approvals: Sequence[Approval]) -> dict[UUID, Decision]:
    """The decisions that count and are released, by approval."""
    released = Q(release_at__isnull=True) | Q(release_at__lte=timezone.now())
    rows = Decision.objects.filter(released, approval__in=[a.pk for a in approvals], voided_at__isnull=True)
    return {decision.approval_id: decision for decision in rows}


def subject_of(run_input: Any) -> str:
    """What the run is about, in the words of whoever asked for it: the first message of its input, or all of it."""
    if isinstance(run_input, dict):
        messages = run_input.get("messages")
        if isinstance(messages, list) and messages:
            first = messages[0]
            content = first.get("content") if isinstance(first, dict) else first[-1] if isinstance(first, list) else first
            if isinstance(content, str):
                return content[:20_000]
        if len(run_input) == 1 and isinstance(only := next(iter(run_input.values())), str):
            return only[:20_000]
    return run_input[:20_000] if isinstance(run_input, str) else ""
