"""Kill switches at the gate: what is off starts nothing, whoever approved it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Approval, Decision, Evaluation, Halt, Rule, Tool
from approvals.policy.versions import publish
from approvals.web import fragments
from runs import lifecycle
from runs.models import Agent, ToolCall
from runs.states import CallStatus, RunStatus
from runs.tools import ledger
from runs.tools.endings import context_of
from runs.tools.entries import Pause, Proposal
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "10.00"}}

WORDS = {"tool": "The tool pay is switched off.", "agent": "This agent is switched off.", "desk": "The desk is switched off"}


def switch_off(engine: Engine, what: str) -> None:
    actor = Actor.of(engine.operator)
    acts: dict[str, Callable[[], bool]] = {
        "tool": lambda: switches.switch(Tool.objects.get(agent="teller", name="pay"), on=False, actor=actor),
        "agent": lambda: switches.switch(Agent.objects.get(slug="teller"), on=False, actor=actor),
        "desk": lambda: switches.halt(actor),
    }
    assert acts[what]()


def said(run: Any) -> dict[str, Any]:
    content = next(m["content"] for m in run.output["messages"] if m["type"] == "tool")
    error: dict[str, Any] = json.loads(content)["error"]
    return error


@pytest.mark.parametrize("what", WORDS)
def test_an_approved_call_that_has_not_started_is_denied_and_its_decision_void(engine: Engine, what: str):
    run = engine.script("teller", [PAY])
    (approval,) = engine.pending(run)
    engine.decide(approval)
    switch_off(engine, what)
    run = engine.advance(run)
    assert (run.status, engine.effects("pay")) == (RunStatus.SUCCEEDED, [])
    error = said(run)
    assert (error["kind"], error["retryable"]) == ("denied", False)
    assert error["message"].startswith(WORDS[what])
    call = ToolCall.objects.get()
    assert call.status == CallStatus.DENIED
    decision = Decision.objects.get()
    assert (decision.verdict, call.decision_id, decision.void_reason) == ("approve", decision.pk, error["message"])
    assert decision.voided_at is not None
    for action in ("call.denied", "decision.voided"):
        assert AuditEntry.objects.filter(action=action, run_id=run.pk).count() == 1
    shown = fragments.load(approval.pk)
    assert shown is not None
    card = fragments.render_card(shown)
    assert "did not count" in card
    assert WORDS[what] in card


@pytest.mark.parametrize("what", WORDS)
def test_neither_rules_nor_people_are_asked_about_what_is_off(engine: Engine, what: str):
    Rule.objects.create(name="all", verdict="allow")
    publish(None, "test")
    waiting = engine.script("teller", [{"name": "look_up", "args": {"name": "ada"}}, PAY, PAY])
    assert waiting.status == RunStatus.SUCCEEDED
    engine.effects_file.unlink()
    before = Evaluation.objects.count()
    run = lifecycle.start("teller", {"messages": [{"role": "user", "content": json.dumps({"turns": [[PAY]]})}]},
                          actor=Actor.of(engine.operator))  # fmt: skip
    switch_off(engine, what)
    run = engine.advance(run)
    assert (engine.effects("pay"), Approval.objects.count(), Evaluation.objects.count()) == ([], 0, before)
    assert said(run)["message"].startswith(WORDS[what])
    assert ToolCall.objects.get(run=run).status == CallStatus.DENIED


def test_what_was_denied_stays_denied_and_the_next_call_runs_when_it_is_on_again(engine: Engine):
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    switch_off(engine, "desk")
    engine.advance(run)
    assert switches.end_halt(Halt.standing().get().pk, Actor.of(engine.operator))
    assert ToolCall.objects.get().status == CallStatus.DENIED
    again = engine.script("teller", [PAY])
    engine.decide(engine.pending(again)[0])
    assert engine.advance(again).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1


def test_a_call_that_may_have_taken_effect_is_in_doubt_and_not_denied(engine: Engine):
    Rule.objects.create(name="all", verdict="allow")
    publish(None, "test")
    run = engine.script("teller", [{"name": "look_up", "args": {"name": "ada"}}])
    # As a worker that died in the middle of an idempotent tool left it.
    ToolCall.objects.update(status=CallStatus.EXECUTING, result=None)
    row = ToolCall.objects.select_related("run__agent").get()
    ctx = context_of(row.run)
    tool = Tool.objects.get(agent="teller", name="look_up")
    proposal = Proposal(row.namespace, row.message_id, row.call_id, row.tool, {"name": "ada"}, "", {}, {}, "")
    now = ledger.Now("The tool look_up is switched off.", dry=False, has_preview=False)
    assert isinstance(ledger._next(ctx, row, tool, proposal, now), Pause)
    row.refresh_from_db()
    assert (row.status, run.status) == (CallStatus.IN_DOUBT, RunStatus.SUCCEEDED)
