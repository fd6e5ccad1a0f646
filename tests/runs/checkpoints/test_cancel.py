"""Cancelling at any moment: what becomes of questions, decisions and tools at work."""

import json
import threading
import time
from collections.abc import Callable

import pytest
from django.db import connections

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals.errors import ApprovalError
from approvals.models import Approval, Decision, Rule, Tool
from approvals.policy.versions import publish
from runs import lifecycle
from runs import sweep as sweeping
from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
SLOW = {"name": "slow", "args": {"seconds": 0.8}}


def cancel(engine: Engine, run: Run) -> Run:
    return lifecycle.cancel(run.pk, actor=Actor.of(engine.operator))


def allow(action: str) -> None:
    Rule.objects.create(name=f"allow {action}", action=action, verdict="allow")
    publish(None, "test")


def actions(run: Run) -> list[str]:
    return list(AuditEntry.objects.filter(run_id=run.pk).order_by("id").values_list("action", flat=True))


def in_the_background(engine: Engine, run: Run) -> threading.Thread:
    def work() -> None:
        try:
            engine.advance(run)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scripted(*turns: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": json.dumps({"turns": turns})}]}


def died_in(run: Run, status: str) -> None:
    """As if the worker had died while the run's call was in ``status``."""
    ToolCall.objects.filter(run=run).update(status=status, attempt=1, executed_args={"to": "ada"}, executed_digest="x")
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, claimed_by=12_345)


def test_a_queued_run_ends_at_once(engine: Engine) -> None:
    run = lifecycle.start("teller", {"messages": []}, actor=Actor.of(engine.operator))
    run = cancel(engine, run)
    assert (run.status, run.finished_at is not None, run.attempt) == (RunStatus.CANCELLED, True, 0)
    assert engine.advance(run).attempt == 0


def test_a_run_that_waits_ends_with_its_questions(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    (asked,) = engine.pending(run)
    cancel(engine, run)
    asked.refresh_from_db()
    assert (asked.status, ToolCall.objects.get(run=run).status) == ("withdrawn", CallStatus.WITHDRAWN)
    assert not Step.objects.filter(run=run, status=StepStatus.OPEN).exists()
    assert actions(run)[-3:] == ["run.cancel_requested", "run.cancelled", "approval.withdrawn"]
    with pytest.raises(ApprovalError):
        engine.decide(asked)
    assert engine.effects() == []


@pytest.mark.parametrize(("agent", "verdict"), [("teller", "approve"), ("asks", "respond")])
def test_a_decision_that_was_not_carried_out_is_void_and_not_called_delivered(engine: Engine, agent: str, verdict: str) -> None:
    run = engine.script(agent, [PAY]) if agent == "teller" else engine.start(agent, {"question": "Sure?"})
    (asked,) = engine.pending(run)
    engine.decide(asked, verdict, **({"answer": "yes"} if verdict == "respond" else {}))
    cancel(engine, run)
    asked.refresh_from_db()
    decision = Decision.objects.get(approval=asked)
    assert (asked.status, decision.voided_at is not None, decision.consumed_at) == ("superseded", True, None)
    assert "decision.delivered" not in actions(run)
    assert engine.advance(run).status == RunStatus.CANCELLED
    assert engine.effects() == []


def test_a_run_inside_a_tool_finishes_that_tool_and_starts_no_other(engine: Engine) -> None:
    allow("slow")
    allow("pay")
    run = lifecycle.start("teller", scripted([SLOW], [PAY]), actor=Actor.of(engine.operator))
    thread = in_the_background(engine, run)
    until(lambda: ToolCall.objects.filter(run=run, status=CallStatus.EXECUTING).exists())
    assert cancel(engine, run).status == RunStatus.RUNNING
    thread.join()
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert [call.status for call in ToolCall.objects.filter(run=run)] == [CallStatus.SUCCEEDED]
    assert (len(engine.effects("slow")), engine.effects("pay")) == (1, [])


def test_a_call_whose_worker_died_stays_a_question_after_the_run_was_cancelled(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    died_in(run, CallStatus.EXECUTING)
    cancel(engine, run)
    run = engine.advance(run)
    (doubt,) = engine.pending(run)
    call = ToolCall.objects.get(run=run)
    assert (run.status, doubt.kind, call.status) == (RunStatus.CANCELLED, "in_doubt", CallStatus.IN_DOUBT)
    engine.decide(doubt, "respond", answer="happened")
    sweep()
    call.refresh_from_db()
    assert (call.status, run.status) == (CallStatus.SUCCEEDED, RunStatus.CANCELLED)
    assert "call.resolved" in actions(run)
    assert engine.effects() == []


@pytest.mark.parametrize("answer", ["did_not_happen", "retry"])
def test_nothing_is_tried_again_for_a_run_that_was_cancelled(engine: Engine, answer: str) -> None:
    run = engine.script("teller", [PAY])
    died_in(run, CallStatus.EXECUTING)
    cancel(engine, run)
    run = engine.advance(run)
    engine.decide(engine.pending(run)[0], "respond", answer=answer)
    sweep()
    assert ToolCall.objects.get(run=run).status == CallStatus.FAILED
    assert engine.effects() == []
    assert not Decision.objects.filter(delivered_at__isnull=True, voided_at__isnull=True).exists()


def test_a_call_that_is_safe_to_repeat_asks_nobody(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    Tool.objects.filter(name="pay").update(idempotent=True)
    died_in(run, CallStatus.EXECUTING)
    cancel(engine, run)
    run = engine.advance(run)
    assert ToolCall.objects.get(run=run).status == CallStatus.FAILED
    assert not Approval.objects.filter(kind="in_doubt").exists()


def test_a_call_in_doubt_can_still_be_tried_again_when_its_run_is_continued(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    ToolCall.objects.filter(run=run).update(
        status=CallStatus.EXECUTING, attempt=1, approved_args=PAY["args"], executed_args=PAY["args"],
        approved_digest=ToolCall.objects.get(run=run).digest,
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, claimed_by=12_345, counters={"deaths": 10})
    run = engine.advance(run)
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "poison")
    engine.decide(engine.pending(run)[0], "respond", answer="retry")
    sweep()
    assert ToolCall.objects.get(run=run).status == CallStatus.IN_DOUBT
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED, run.error
    assert len(engine.effects("pay")) == 1


def test_a_decision_and_a_cancel_at_the_same_moment_end_clearly(engine: Engine) -> None:
    for _ in range(8):
        run = engine.script("teller", [PAY])
        (asked,) = engine.pending(run)
        gate = threading.Barrier(2)
        refused: list[object] = []

        def decide(asked: Approval = asked, gate: threading.Barrier = gate, refused: list[object] = refused) -> None:
            try:
                gate.wait()
                engine.decide(asked)
            except ApprovalError as error:
                refused.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=decide)
        thread.start()
        gate.wait()
        cancel(engine, run)
        thread.join()
        asked.refresh_from_db()
        assert engine.advance(run).status == RunStatus.CANCELLED
        assert asked.status == ("withdrawn" if refused else "superseded")
        assert not Decision.objects.filter(approval=asked, voided_at__isnull=True, verdict="approve").exists()
        assert ToolCall.objects.get(run=run).status == CallStatus.WITHDRAWN
    assert engine.effects() == []


def test_a_worker_and_a_cancel_at_the_same_moment_end_clearly(engine: Engine) -> None:
    for _ in range(6):
        run = engine.script("teller", [PAY])
        engine.decide(engine.pending(run)[0])
        thread = in_the_background(engine, run)
        cancel(engine, run)
        thread.join()
        run = engine.advance(run)
        call = ToolCall.objects.get(run=run)
        paid = [effect for effect in engine.effects("pay") if effect["key"] == str(call.pk)]
        assert run.status in (RunStatus.CANCELLED, RunStatus.SUCCEEDED)
        assert len(paid) == (call.status == CallStatus.SUCCEEDED)
        assert call.status in (CallStatus.SUCCEEDED, CallStatus.WITHDRAWN)
        decision = Decision.objects.get(approval=call.approval, verdict="approve")
        assert (decision.consumed_at is not None) == (call.status == CallStatus.SUCCEEDED)
        assert (decision.voided_at is None) == (call.status == CallStatus.SUCCEEDED)


def test_a_run_that_went_on_is_not_cancelled_by_an_old_wish(engine: Engine) -> None:
    run = engine.start("raises", {"question": "?"})
    Run.objects.filter(pk=run.pk).update(cancel_requested_at=run.created_at, cancel_requested_by="x")
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert engine.advance(run).status == RunStatus.FAILED


def sweep() -> None:
    Decision.objects.update(decided_at="2026-01-01T00:00:00Z")
    sweeping.sweep()
