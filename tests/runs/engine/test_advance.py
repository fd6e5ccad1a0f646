import asyncio
from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals.models import Decision
from runs import lifecycle
from runs.engine.checkpoints import FencedSaver
from runs.engine.claims import POISON
from runs.errors import AgentUnavailable
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus
from runs.tools.context import DeskUnavailable
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def test_it_pauses_for_a_person_and_goes_on_with_exactly_that_decision(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert engine.effects("pay") == []
    (approval,) = engine.pending(run)
    assert (approval.action, approval.args) == ("pay", PAY["args"])

    engine.decide(approval)
    run = engine.advance(run)

    assert run.status == RunStatus.SUCCEEDED
    (call,) = ToolCall.objects.filter(run=run)
    assert (call.status, call.executed_args) == (CallStatus.SUCCEEDED, PAY["args"])
    assert call.executed_digest == call.approved_digest == approval.digest
    assert engine.effects("pay") == [{"effect": "pay", "to": "ada", "amount": "12.50", "key": str(call.pk)}]
    assert Decision.objects.get(approval=approval).delivered_at is not None
    actions = set(AuditEntry.objects.filter(run_id=run.pk).values_list("action", flat=True))
    assert {"run.started", "call.asked", "run.waiting", "call.executing", "call.succeeded", "run.succeeded"} <= actions
    kinds = list(Step.objects.filter(run=run).values_list("kind", flat=True))
    assert {"node", "model", "tool", "pause", "decision"} <= set(kinds)
    assert not Step.objects.filter(run=run, status="open").exists()


def test_it_asks_with_the_graphs_own_words_and_hands_over_the_answer(engine: Engine) -> None:
    run = engine.start("asks", {"question": "How many?"})
    (approval,) = engine.pending(run)
    assert approval.action == "interrupt:ask"
    engine.decide(approval, "respond", answer="three")
    run = engine.advance(run)
    assert (run.status, engine.output(run)["answer"]) == (RunStatus.SUCCEEDED, "three")


def test_it_answers_an_approval_required_payload_in_its_form(engine: Engine) -> None:
    payload = {"type": "approval_required", "action": "ship", "details": {"boxes": 3}, "risk_level": "high"}
    run = engine.start("approval-required", {"question": payload})
    (approval,) = engine.pending(run)
    assert (approval.action, approval.args, approval.risk) == ("ship", {"boxes": 3}, "high")
    engine.decide(approval, "modify", args={"boxes": 2}, message="one is missing")
    run = engine.advance(run)
    answer = engine.output(run)["answer"]
    assert (answer["decision"], answer["approved"], answer["details"]) == ("modify", True, {"boxes": 2})
    assert (answer["decided_by"], answer["message"]) == ("rita", "one is missing")


def test_it_passes_no_static_breakpoint_without_a_decision(engine: Engine) -> None:
    run = engine.start("stops", {"question": "?"})
    assert (run.status, len(engine.pending(run))) == (RunStatus.WAITING, 1)
    assert engine.advance(run).status == RunStatus.WAITING
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, engine.output(run)["answer"]) == (RunStatus.SUCCEEDED, "acted")


def test_it_stops_at_a_refused_breakpoint(engine: Engine) -> None:
    run = engine.start("stops", {"question": "?"})
    engine.decide(engine.pending(run)[0], "reject", message="no")
    assert engine.advance(run).status == RunStatus.STOPPED


def test_it_ends_a_run_whose_agent_raises_with_a_reason_and_a_traceback_apart(engine: Engine) -> None:
    run = engine.start("raises", {"question": "?"})
    assert run.status == RunStatus.FAILED
    assert run.error is not None
    assert run.error["kind"] == "RuntimeError"
    assert "hunter2" not in str(run.error)
    assert "raise_it" in run.traceback


def test_it_stops_a_loop_at_its_limit(engine: Engine) -> None:
    run = engine.start("loops", {"question": "?"})
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:supersteps")


def test_it_stops_a_model_that_never_ends(engine: Engine) -> None:
    engine.advance(run := engine.script("teller", *[[{"name": "look_up", "args": {"name": str(n)}}] for n in range(3)]))
    assert run.status == RunStatus.WAITING


def test_it_does_nothing_when_told_again(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    before = (run.attempt, run.revision, AuditEntry.objects.count())
    for _ in range(3):
        run = engine.advance(run)
    assert (run.attempt, run.revision, AuditEntry.objects.count()) == before
    assert len(engine.effects("pay")) == 1


def test_it_cancels_a_waiting_run_and_withdraws_its_questions(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    (approval,) = engine.pending(run)
    lifecycle.cancel(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    approval.refresh_from_db()
    assert (run.status, approval.status) == (RunStatus.CANCELLED, "withdrawn")


def test_it_continues_a_failed_run_from_its_last_checkpoint(engine: Engine) -> None:
    run = engine.start("raises", {"question": "?"})
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, run.attempt) == (RunStatus.FAILED, 2)


def test_it_names_the_reason_of_an_agent_that_does_not_load(engine: Engine) -> None:
    agent = Agent.objects.get(slug="broken")
    assert "this agent does not load" in agent.load_error
    with pytest.raises(AgentUnavailable, match="does not load"):
        engine.start("broken", {})


def test_it_counts_model_calls_over_all_attempts_and_stops_at_the_limit(engine: Engine) -> None:
    Agent.objects.filter(slug="teller").update(limits={"model_calls": 2})
    run = engine.script("teller", [PAY], [PAY | {"args": {"to": "bob", "amount": "1.00"}}])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, run.counters["model_calls"]) == (RunStatus.WAITING, 2)
    assert run.counters["input_tokens"] == 30
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:model_calls")


def test_it_goes_on_after_dying_between_the_last_task_of_a_step_and_its_checkpoint(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.script("teller", [PAY])
    put = FencedSaver.aput
    failures: list[Any] = []

    async def fail_once(self: FencedSaver, *args: Any) -> Any:
        if not failures:
            failures.append(args)
            await asyncio.sleep(0.3)  # the task's own writes are stored meanwhile
            raise DeskUnavailable("the process is as good as dead")
        return await put(self, *args)

    monkeypatch.setattr(FencedSaver, "aput", fail_once)
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert failures
    assert run.status == RunStatus.SUCCEEDED
    assert engine.output(run)["messages"][-1]["content"].strip() == "Done."
    assert len(engine.effects("pay")) == 1


def test_it_counts_only_deaths_in_a_row(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    Run.objects.filter(pk=run.pk).update(counters={**run.counters, "deaths": POISON - 2}, status="running", claimed_by=None)
    run = engine.advance(run)
    assert run.status == RunStatus.WAITING
    assert run.counters["deaths"] == 0


def test_it_tells_of_one_pause_for_what_is_asked_at_once(engine: Engine) -> None:
    run = engine.script("teller", [PAY, PAY | {"args": {"to": "bob", "amount": "1.00"}}])
    for approval in engine.pending(run):
        engine.decide(approval)
        run = engine.advance(run)
    (pause,) = Step.objects.filter(run=run, kind="pause")
    assert (pause.status, len(pause.data["approvals"])) == ("done", 2)
