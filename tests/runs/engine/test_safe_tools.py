"""Errors, results, retries, circuit breakers and previews of tools, through the gate."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Breaker, Rehearsal, Tool
from runs import lifecycle
from runs.models import Agent, Run, ToolCall
from runs.states import CallStatus, RunStatus
from runs.tools import ledger, retries
from runs.tools.endings import context_of
from runs.tools.entries import Pause, Proposal
from tests.runs.engine.conftest import Engine
from tests.runs.engine.test_gate import allow, messages

BOTH = ["safe", "safe-handling"]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST", 0.01)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says how the service behind the tool is."""
    file = tmp_path / "service.json"
    monkeypatch.setenv("SERVICE_FILE", str(file))

    def is_(**state: bool) -> None:
        file.write_text(json.dumps({"up": True, **state}))

    is_()
    return is_


def call(engine: Engine, name: str, agent: str = "safe", **args: Any) -> Run:
    return engine.script(agent, [{"name": name, "args": args}])


def said(run: Run) -> Any:
    return json.loads(str(messages(run)[0]["content"]))


@pytest.mark.parametrize("agent", BOTH)
def test_a_raised_error_reaches_the_model_and_the_record_in_its_four_parts(engine: Engine, agent: str) -> None:
    allow(engine, "flaky")
    run = call(engine, "flaky", agent, good_at=99, kind="closed", retryable=False)
    error = {"kind": "closed", "message": "The closed thing.", "retryable": False, "hint": "Wait."}
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.error) == (CallStatus.FAILED, error)
    if agent == "safe":
        assert said(run) == {"error": error}


def test_a_typed_result_is_json_of_its_type(engine: Engine) -> None:
    allow(engine, "*")
    run = call(engine, "transfer", to="ada", amount="12.50")
    assert said(run) == {"to": "ada", "amount": "12.50"}
    assert said(call(engine, "misdeclared", to="ada"))["error"]["kind"] == "wrong_result"


@pytest.mark.parametrize("agent", BOTH)
@pytest.mark.parametrize("name", ["flaky", "returns_errors"])
def test_an_idempotent_tool_is_tried_again_after_an_error_that_may_pass(engine: Engine, agent: str, name: str) -> None:
    allow(engine, name)
    run = call(engine, name, agent, good_at=3)
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.error, row.tries) == (CallStatus.SUCCEEDED, None, 3)
    assert [(one["try"], one["error"]["kind"]) for one in row.failed_tries] == [(1, "unavailable"), (2, "unavailable")]
    assert len(engine.effects(name)) == 3
    assert AuditEntry.objects.filter(action="call.retried", object_id=row.pk).count() == 2


@pytest.mark.parametrize(
    ("labels", "args"),
    [
        ({"idempotent": False}, {}),
        ({"retries": 0}, {}),
        ({"labels_from": "run"}, {}),
        ({}, {"retryable": False}),
    ],
    ids=["not idempotent", "none granted", "labelled by nobody", "not retryable"],
)
def test_nothing_else_is_tried_again(engine: Engine, labels: dict[str, Any], args: dict[str, Any]) -> None:
    Tool.objects.filter(agent="safe", name="flaky").update(**labels)
    allow(engine, "flaky")
    run = call(engine, "flaky", good_at=3, **args)
    if run.status == RunStatus.WAITING:
        engine.decide(engine.pending(run)[0])
        run = engine.advance(run)
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.tries, row.failed_tries) == (CallStatus.FAILED, 1, [])
    assert len(engine.effects("flaky")) == 1


def test_the_last_error_stands_when_no_try_works(engine: Engine) -> None:
    allow(engine, "flaky")
    run = call(engine, "flaky", good_at=99)
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.tries, len(engine.effects("flaky"))) == (CallStatus.FAILED, 3, 3)
    assert said(run)["error"]["retryable"] is True


@pytest.mark.parametrize("what", ["cancelled", "switched off", "denied"])
def test_no_try_follows_once_the_run_is_to_end_or_the_tool_is_off(engine: Engine, what: str, monkeypatch: Any) -> None:
    allow(engine, "flaky")
    sleep = retries._sleep

    async def meanwhile(ctx: Any, seconds: float) -> None:
        thread = threading.Thread(target=act, args=(ctx.run_id,))
        thread.start()
        thread.join()
        await sleep(ctx, seconds)

    def act(run_id: Any) -> None:
        from django.db import connections

        if what == "cancelled":
            lifecycle.cancel(run_id, actor=Actor.of(engine.operator))
        elif what == "denied":
            allow(engine, "flaky", "deny")
        else:
            switches.switch(Tool.objects.get(agent="safe", name="flaky"), on=False, actor=Actor.of(engine.operator))
        connections.close_all()

    monkeypatch.setattr(retries, "_sleep", meanwhile)
    call(engine, "flaky", good_at=99)
    assert len(engine.effects("flaky")) == 1
    assert ToolCall.objects.get().status == CallStatus.FAILED


def opened(engine: Engine, service: Callable[..., None], failures: int = 2) -> Breaker:
    """The breaker of the tool, after as many failures as open it."""
    allow(engine, "service")
    Tool.objects.filter(agent="safe", name="service").update(breaker_failures=failures, breaker_seconds=60)
    service(up=False)
    for n in range(failures):
        call(engine, "service", text=f"failure {n}")
    return Breaker.objects.get()


def let_pass(seconds: int) -> None:
    """As if so much time had passed."""
    for row in Breaker.objects.all():
        row.opened_at = row.opened_at and row.opened_at - timedelta(seconds=seconds)
        row.probe_until = row.probe_until and row.probe_until - timedelta(seconds=seconds)
        row.save()


def test_failures_in_a_row_open_the_circuit_and_calls_are_refused_with_a_hint(engine: Engine, service: Any) -> None:
    breaker = opened(engine, service)
    assert (breaker.state, breaker.last_error) == ("open", "RuntimeError: The service is down.")
    entry = AuditEntry.objects.get(action="tool.circuit_opened")
    assert (entry.object_type, entry.object_label) == ("tool", "safe · service")
    service(up=True)
    run = call(engine, "service", text="refused")
    error = said(run)["error"]
    assert (error["kind"], error["retryable"]) == ("circuit_open", True)
    assert "try again in" in error["hint"]
    assert [e["text"] for e in engine.effects("service")] == ["failure 0", "failure 1"]
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.tries) == (CallStatus.FAILED, 0)
    assert row.evaluation is not None
    assert not row.evaluation.counted


def test_a_call_that_works_again_closes_it(engine: Engine, service: Any) -> None:
    opened(engine, service)
    let_pass(61)
    service(up=True)
    assert messages(call(engine, "service", text="probe"))[0]["content"] == "probe"
    breaker = Breaker.objects.get()
    assert (breaker.state, breaker.failures, breaker.probe) == ("closed", 0, None)
    assert AuditEntry.objects.filter(action="tool.circuit_closed").count() == 1
    assert messages(call(engine, "service", text="more"))[0]["content"] == "more"


def test_one_that_fails_again_opens_it_for_its_time_once_more(engine: Engine, service: Any) -> None:
    opened(engine, service)
    let_pass(61)
    call(engine, "service", text="probe")
    breaker = Breaker.objects.get()
    assert breaker.state == "open"
    assert breaker.opened_at is not None
    assert breaker.opened_at > timezone.now() - timedelta(seconds=30)
    assert AuditEntry.objects.filter(action="tool.circuit_opened").count() == 2


def test_one_call_at_a_time_tries_it_and_one_that_is_lost_makes_way(engine: Engine, service: Any) -> None:
    opened(engine, service)
    let_pass(61)
    service(up=True, slow=True)
    probe = threading.Thread(target=_in_thread, args=(lambda: call(engine, "service", text="probe"),))
    probe.start()
    while len(engine.effects("service")) < 3:
        assert probe.is_alive()
    assert said(call(engine, "service", text="beside"))["error"]["kind"] == "circuit_open"
    service(up=True)
    probe.join()
    assert Breaker.objects.get().state == "closed"
    Breaker.objects.update(state="half-open", probe=Breaker.objects.get().pk, probe_until=timezone.now() - timedelta(seconds=1))
    assert messages(call(engine, "service", text="the next"))[0]["content"] == "the next"
    assert Breaker.objects.get().state == "closed"


def _in_thread(act: Callable[[], Any]) -> None:
    from django.db import connections

    try:
        act()
    finally:
        connections.close_all()


def test_a_tool_that_says_no_works_and_success_ends_a_row_of_failures(engine: Engine, service: Any) -> None:
    allow(engine, "service")
    Tool.objects.filter(agent="safe", name="service").update(breaker_failures=2)
    for state in ({"up": False}, {"no": True}, {"up": False}, {}, {"up": False}):
        service(**state)
        call(engine, "service", text="x")
    assert (Breaker.objects.get().state, Breaker.objects.get().failures) == ("closed", 1)
    assert not AuditEntry.objects.filter(action__startswith="tool.circuit").exists()


def test_a_breaker_that_is_switched_off_never_opens(engine: Engine, service: Any) -> None:
    allow(engine, "service")
    Tool.objects.filter(agent="safe", name="service").update(breaker_failures=0)
    service(up=False)
    for _ in range(7):
        call(engine, "service", text="x")
    assert len(engine.effects("service")) == 7
    assert not Breaker.objects.exists()


def test_an_approved_call_that_meets_an_open_circuit_did_not_use_its_decision(engine: Engine, service: Any) -> None:
    opened(engine, service)
    allow(engine, "service", "ask")
    service(up=True)
    run = call(engine, "service", text="approved")
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert said(run)["error"]["kind"] == "circuit_open"
    row = ToolCall.objects.get(run=run)
    assert row.decision is not None
    assert row.decision.voided_at is not None


@pytest.mark.parametrize("of", ["run", "agent", "desk"])
def test_in_a_dry_run_a_tool_with_a_hook_says_what_it_would_do(engine: Engine, of: str) -> None:
    allow(engine, "*")
    if of == "agent":
        Agent.objects.filter(slug="safe").update(dry_run=True)
    elif of == "desk":
        assert switches.rehearse(Actor.of(engine.operator), "Trying it out")
    script = [{"name": "transfer", "args": {"to": "ada", "amount": "12.50"}}]
    run = engine.script("safe", script, **({"dry_run": True} if of == "run" else {}))
    would = said(run)
    assert (would["dry_run"], would["would"]) == (True, {"to": "ada", "amount": "12.50"})
    assert engine.effects() == []
    row = ToolCall.objects.get(run=run)
    assert (row.status, row.error) == (CallStatus.SIMULATED, None)
    assert row.evaluation is not None
    assert not row.evaluation.counted
    assert AuditEntry.objects.get(action="call.simulated").after == {"status": "simulated", "previewed": True}


def test_a_hook_that_fails_is_told_and_nothing_runs(engine: Engine) -> None:
    allow(engine, "*")
    run = engine.script("safe", [{"name": "transfer", "args": {"to": "nobody", "amount": "1"}}], dry_run=True)
    assert said(run)["error"]["kind"] == "no_account"
    assert (engine.effects(), ToolCall.objects.get(run=run).status) == ([], CallStatus.SIMULATED)


def test_a_hook_that_an_admin_does_not_label_is_not_used(engine: Engine) -> None:
    allow(engine, "*")
    Tool.objects.filter(agent="safe", name="transfer").update(dry_run=False)
    run = engine.script("safe", [{"name": "transfer", "args": {"to": "ada", "amount": "1"}}], dry_run=True)
    error = said(run)["error"]
    assert error["kind"] == "dry_run"
    assert "validated and not executed" in error["message"]


def test_an_approved_call_writes_nothing_once_the_desk_is_in_dry_run_and_writes_again_after_it(engine: Engine) -> None:
    transfer = {"name": "transfer", "args": {"to": "ada", "amount": "1"}}
    first = engine.script("safe", [transfer])
    engine.decide(engine.pending(first)[0])
    actor = Actor.of(engine.operator)
    assert switches.rehearse(actor)
    assert not switches.rehearse(actor), "it is in dry run already"
    engine.advance(first)
    assert engine.effects() == []
    standing = Rehearsal.standing().get()
    assert switches.end_rehearsal(standing.pk, actor)
    assert not switches.end_rehearsal(standing.pk, actor)
    second = engine.script("safe", [transfer])
    engine.decide(engine.pending(second)[0])
    engine.advance(second)
    assert len(engine.effects("transfer")) == 1
    entries = AuditEntry.objects.filter(object_type="desk").order_by("id").values_list("action", flat=True)
    assert list(entries) == ["desk.dry_run_began", "desk.dry_run_ended"]


def test_labels_of_a_hook_are_prefilled(engine: Engine) -> None:
    assert Tool.objects.get(agent="safe", name="transfer").dry_run
    assert not Tool.objects.get(agent="safe", name="flaky").dry_run


def test_a_try_that_works_ends_the_row_of_failures_of_the_tries_before_it(engine: Engine) -> None:
    allow(engine, "flaky")
    Tool.objects.filter(agent="safe", name="flaky").update(breaker_failures=3)
    assert messages(call(engine, "flaky", good_at=3))
    assert (Breaker.objects.get().state, Breaker.objects.get().failures) == ("closed", 0)


def test_a_call_that_a_worker_died_in_is_in_doubt_where_its_circuit_has_opened_since(engine: Engine, service: Any) -> None:
    opened(engine, service)
    # As a worker that died in the middle of an idempotent tool left it.
    ToolCall.objects.update(status=CallStatus.EXECUTING, error=None)
    Tool.objects.filter(agent="safe", name="service").update(idempotent=True)
    row = ToolCall.objects.select_related("run__agent").order_by("proposed_at")[0]
    args = {"text": "failure 0"}
    proposal = Proposal(row.namespace, row.message_id, row.call_id, row.tool, args, "", {}, {}, "")
    now = ledger.Now("", dry=False, has_preview=False)
    with transaction.atomic():
        entry = ledger._next(context_of(row.run), row, Tool.objects.get(agent="safe", name="service"), proposal, now)
    assert isinstance(entry, Pause)
    row.refresh_from_db()
    assert row.status == CallStatus.IN_DOUBT


def test_a_call_that_waits_for_people_inside_is_in_doubt_once_a_dry_run_begins(engine: Engine) -> None:
    allow(engine, "delegate")
    inner = json.dumps({"turns": [[{"name": "pay", "args": {"to": "ada", "amount": "1.00"}}]]})
    run = call(engine, "delegate", "nested", script=inner)
    (approval,) = engine.pending(run)
    assert ToolCall.objects.get(run=run, tool="delegate").status == CallStatus.PAUSED
    assert switches.rehearse(Actor.of(engine.operator))
    engine.decide(approval)
    run = engine.advance(run)
    assert (run.status, engine.effects("pay")) == (RunStatus.WAITING, [])
    assert ToolCall.objects.get(run=run, tool="delegate").status == CallStatus.IN_DOUBT
