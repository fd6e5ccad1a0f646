import json
import time
from collections import Counter
from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from approvals.errors import NotAllowed
from approvals.models import Approval, Decision, Rule, Tool
from approvals.policy.versions import publish
from runs.engine import registry
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

KINDS = ["teller", "plain"]


def pay(to: str, amount: str = "10.00", **more: str) -> dict[str, object]:
    return {"name": "pay", "args": {"to": to, "amount": amount}, **more}


def allow(engine: Engine, action: str, verdict: str = "allow") -> Rule:
    rule = Rule.objects.create(name=f"{verdict} {action}", action=action, verdict=verdict)
    publish(None, "test")
    return rule


def messages(run: Run) -> list[dict[str, object]]:
    assert isinstance(run.output, dict)
    return [m for m in run.output["messages"] if m["type"] == "tool"]


@pytest.mark.parametrize("agent", KINDS)
@pytest.mark.parametrize("count", [2, 5])
def test_it_gives_each_of_several_calls_its_own_answer(engine: Engine, agent: str, count: int) -> None:
    run = engine.script(agent, [pay(f"person-{n}") for n in range(count)])
    approvals = engine.pending(run)
    assert sorted(a.args["to"] for a in approvals) == [f"person-{n}" for n in range(count)]
    for approval in reversed(approvals[1:]):
        engine.decide(approval, "modify", args={"to": approval.args["to"], "amount": f"{approval.args['to'][-1]}.99"})
        assert engine.advance(run).status == RunStatus.WAITING
    engine.decide(approvals[0], "reject", message="not this one")
    run = engine.advance(run)

    assert run.status == RunStatus.SUCCEEDED
    rejected = approvals[0].args["to"]
    paid = {e["to"]: e["amount"] for e in engine.effects("pay")}
    assert paid == {f"person-{n}": f"{n}.99" for n in range(count) if f"person-{n}" != rejected}
    assert len(engine.effects("pay")) == count - 1
    assert sum("not this one" in str(m["content"]) for m in messages(run)) == 1


def test_it_takes_a_repeated_call_id_with_other_arguments_for_a_new_call(engine: Engine) -> None:
    run = engine.script("teller", [pay("ada", id="same")], [pay("bob", id="same")])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert run.status == RunStatus.WAITING
    assert [a.args["to"] for a in engine.pending(run)] == ["bob"]
    engine.decide(engine.pending(run)[0])
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert [e["to"] for e in engine.effects("pay")] == ["ada", "bob"]


def test_it_refuses_both_calls_that_share_one_id_in_one_message(engine: Engine) -> None:
    run = engine.script("teller", [pay("ada", id="same"), pay("bob", id="same")])
    assert run.status == RunStatus.SUCCEEDED
    assert engine.effects() == []
    assert all("ambiguous_call" in str(m["content"]) for m in messages(run))


@pytest.mark.parametrize("agent", KINDS)
def test_it_starts_no_tool_when_the_gate_is_taken_out(engine: Engine, agent: str) -> None:
    graph = registry.get(agent).graph
    assert graph is not None
    node: Any = graph.nodes["tools"].bound
    node._wrap_tool_call = node._awrap_tool_call = None
    try:
        run = engine.script(agent, [{"name": "look_up", "args": {"name": "ada"}}])
    finally:
        registry.forget()
    assert run.status == RunStatus.FAILED
    assert run.error is not None
    assert run.error["kind"] == "GateMissing"
    assert engine.effects() == []


def test_it_lists_the_nodes_whose_own_code_no_gate_sees(engine: Engine) -> None:
    listed = dict(Agent.objects.values_list("slug", "own_nodes"))
    assert listed["plain"] == ["model"]
    assert listed["by-hand"] == ["model", "tools"]


def test_it_runs_what_a_rule_allows_and_asks_about_the_rest(engine: Engine) -> None:
    allow(engine, "look_up")
    run = engine.script("teller", [{"name": "look_up", "args": {"name": "ada"}}, pay("ada")])
    assert run.status == RunStatus.WAITING
    assert [e["name"] for e in engine.effects("look_up")] == ["ada"]
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert Counter(e["effect"] for e in engine.effects()) == {"look_up": 1, "pay": 1}


def test_it_tells_the_model_when_a_rule_denies(engine: Engine) -> None:
    allow(engine, "pay", "deny")
    run = engine.script("teller", [pay("ada")])
    assert run.status == RunStatus.SUCCEEDED
    assert engine.effects() == []
    assert json.loads(str(messages(run)[0]["content"]))["error"]["kind"] == "denied"


def test_it_lets_a_persons_answer_stand_in_for_the_result(engine: Engine) -> None:
    run = engine.script("teller", [pay("ada")])
    engine.decide(engine.pending(run)[0], "respond", answer="Paid by hand.")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert engine.effects() == []
    assert messages(run)[0]["content"] == "Paid by hand."


def test_it_asks_nobody_about_arguments_that_do_not_fit(engine: Engine) -> None:
    run = engine.script("teller", [{"name": "pay", "args": {"to": "ada"}}])
    assert run.status == RunStatus.SUCCEEDED
    assert not Approval.objects.exists()
    error = json.loads(str(messages(run)[0]["content"]))["error"]
    assert (error["kind"], error["retryable"]) == ("invalid_arguments", True)


def test_it_turns_a_tools_exception_into_a_result(engine: Engine) -> None:
    allow(engine, "fail")
    run = engine.script("teller", [{"name": "fail", "args": {"text": "no ink"}}])
    assert run.status == RunStatus.SUCCEEDED
    assert json.loads(str(messages(run)[0]["content"]))["error"]["message"] == "no ink"
    assert ToolCall.objects.get(run=run).status == CallStatus.FAILED


OTHER = {"to": "mallory", "amount": "9999.00"}
FALSE = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("model", "changed"),
    [
        (Decision, {"args": OTHER}),
        (Decision, {"digest": FALSE}),
        (Decision, {"args": OTHER, "digest": FALSE}),
        (Approval, {"args": OTHER}),
        (Approval, {"digest": FALSE}),
        (ToolCall, {"asked_args": OTHER}),
        (ToolCall, {"digest": FALSE}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "+".join(value),
)
def test_it_raises_an_alarm_when_what_is_stored_was_changed_after_approval(
    engine: Engine, model: Any, changed: dict[str, object]
) -> None:
    run = engine.script("teller", [pay("ada")])
    engine.decide(engine.pending(run)[0])
    model.objects.update(**changed)
    run = engine.advance(run)
    assert (engine.effects(), run.status) == ([], RunStatus.SUCCEEDED)
    assert AuditEntry.objects.filter(action="call.tampered", run_id=run.pk).count() == 1
    assert ToolCall.objects.get(run=run).status == CallStatus.DENIED
    assert "safety check" in str(messages(run)[0]["content"])


@pytest.mark.parametrize("changed", [{"approved_args": OTHER}, {"approved_digest": FALSE}], ids="+".join)
def test_it_raises_an_alarm_when_a_call_that_is_started_again_was_changed(engine: Engine, changed: dict[str, object]) -> None:
    run = engine.script("teller", [{"name": "ask_inside", "args": {"question": "Which colour?"}}])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    (inside,) = engine.pending(run)
    engine.decide(inside, "respond", answer="red")
    ToolCall.objects.update(**changed)
    run = engine.advance(run)
    assert AuditEntry.objects.filter(action="call.tampered", run_id=run.pk).count() == 1
    assert ToolCall.objects.get(run=run).status == CallStatus.DENIED
    assert "not started again" in str(messages(run)[0]["content"])


def test_it_refuses_an_approved_call_whose_tool_was_switched_off_meanwhile(engine: Engine) -> None:
    run = engine.script("teller", [pay("ada")])
    engine.decide(engine.pending(run)[0])
    Tool.objects.filter(agent="teller", name="pay").update(enabled=False)
    run = engine.advance(run)
    assert engine.effects() == []
    assert "switched off" in str(messages(run)[0]["content"])


def test_it_refuses_an_approved_call_that_a_newer_rule_denies(engine: Engine) -> None:
    run = engine.script("teller", [pay("ada")])
    engine.decide(engine.pending(run)[0])
    allow(engine, "pay", "deny")
    engine.advance(run)
    assert engine.effects() == []


def test_it_keeps_the_answer_of_a_tools_own_question_apart_from_the_gates(engine: Engine) -> None:
    run = engine.script("teller", [{"name": "ask_inside", "args": {"question": "Which colour?"}}])
    (gate,) = engine.pending(run)
    engine.decide(gate)
    run = engine.advance(run)
    (inside,) = engine.pending(run)
    assert (inside.kind, inside.allowed) == ("interrupt", ["respond"])
    engine.decide(inside, "respond", answer="blue")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert [e["answer"] for e in engine.effects("ask_inside")] == ["blue"]


@pytest.mark.parametrize("agent", ["hitl", "hitl-per-call"])
@pytest.mark.parametrize("verdict", ["approve", "modify", "reject", "respond"])
def test_it_asks_once_about_what_langchains_own_middleware_asks_too(engine: Engine, agent: str, verdict: str) -> None:
    run = engine.script(agent, [pay("ada"), pay("bob")])
    approvals = engine.pending(run)
    assert len(approvals) == 2
    answers: dict[str, dict[str, Any]] = {
        "approve": {}, "modify": {"args": {"to": "eve", "amount": "1.00"}}, "reject": {"message": "no"},
        "respond": {"answer": "done by hand"},
    }  # fmt: skip
    first, second = sorted(approvals, key=lambda a: a.args["to"])
    engine.decide(first, verdict, **answers[verdict])
    engine.decide(second)
    run = engine.advance(run)
    assert engine.pending(run) == []
    assert run.status == RunStatus.SUCCEEDED
    assert Approval.objects.count() == 2
    expected = {"approve": ["ada", "bob"], "modify": ["bob", "eve"]}.get(verdict, ["bob"])
    assert sorted(e["to"] for e in engine.effects("pay")) == expected


def test_what_one_person_answered_the_middleware_is_not_enough_once_the_tool_is_of_critical_risk(engine: Engine) -> None:
    run = engine.script("hitl", [pay("ada")])
    (asked,) = engine.pending(run)
    engine.decide(asked)
    Tool.objects.filter(name="pay").update(risk="critical")
    run = engine.advance(run)
    (again,) = engine.pending(run)
    assert (again.kind, again.need, engine.effects("pay")) == ("tool_call", 2, [])
    assert engine.decide(again).decision is None
    engine.reviewer = engine.another_reviewer("ruth")
    engine.decide(again)
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert [e["to"] for e in engine.effects("pay")] == ["ada"]


def test_it_executes_nothing_in_a_dry_run(engine: Engine) -> None:
    allow(engine, "pay")
    run = engine.script("teller", [pay("ada")], dry_run=True)
    assert run.status == RunStatus.SUCCEEDED
    assert engine.effects() == []
    assert ToolCall.objects.get(run=run).status == CallStatus.SIMULATED


def test_it_puts_a_tool_past_its_timeout_in_doubt(engine: Engine) -> None:
    allow(engine, "slow")
    Tool.objects.filter(agent="teller", name="slow").update(timeout_seconds=1)
    run = engine.script("teller", [{"name": "slow", "args": {"seconds": 2}}])
    assert run.status == RunStatus.WAITING
    (doubt,) = engine.pending(run)
    assert doubt.kind == "in_doubt"
    engine.decide(doubt, "respond", answer="happened")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert ToolCall.objects.get(run=run).status == CallStatus.SUCCEEDED
    until = time.monotonic() + 10
    while not engine.effects("slow") and time.monotonic() < until:
        time.sleep(0.05)
    assert len(engine.effects("slow")) == 1, "a thread cannot be stopped: it took effect later, and only once"


def test_it_records_a_tool_step_once_per_call(engine: Engine) -> None:
    run = engine.script("plain", [pay("ada"), pay("bob")])
    for approval in engine.pending(run):
        engine.decide(approval)
    engine.advance(run)
    tools = Step.objects.filter(run=run, kind="tool")
    assert sorted(s.data["outcome"] for s in tools) == ["succeeded", "succeeded"]


@pytest.mark.parametrize("agent", ["wrapped", "by-hand"])
def test_it_gates_nodes_that_it_cannot_see(engine: Engine, agent: str) -> None:
    run = engine.script(agent, [pay("ada"), pay("bob")])
    approvals = engine.pending(run)
    assert len(approvals) == 2
    assert engine.effects() == []
    for approval in approvals:
        engine.decide(approval)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert sorted(e["to"] for e in engine.effects("pay")) == ["ada", "bob"]


def test_it_gives_the_calls_of_a_nested_agent_rows_of_their_own(engine: Engine) -> None:
    allow(engine, "delegate")
    inner = json.dumps({"turns": [[pay("ada")]], "end": "The assistant paid."})
    run = engine.script("nested", [{"name": "delegate", "args": {"script": inner}}])
    (approval,) = engine.pending(run)
    assert approval.action == "pay"
    assert ToolCall.objects.get(run=run, tool="delegate").status == CallStatus.PAUSED
    engine.decide(approval)
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1
    assert "The assistant paid." in str(messages(run))


def test_it_starts_nothing_whose_arguments_were_swapped_behind_the_gate(engine: Engine) -> None:
    run = engine.script("swapping", [pay("ada")])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, engine.effects("pay")) == (RunStatus.FAILED, [])
    assert run.error is not None
    assert run.error["kind"] == "GateMissing"


def test_the_owner_of_an_agent_does_not_decide_what_it_asks(engine: Engine) -> None:
    Agent.objects.filter(slug="teller").update(owner=engine.reviewer)
    run = engine.script("teller", [{"name": "pay", "args": {"to": "ada", "amount": "12.50"}}])
    (approval,) = engine.pending(run)
    assert approval.owner_id == engine.reviewer.pk
    with pytest.raises(NotAllowed):
        engine.decide(approval)
