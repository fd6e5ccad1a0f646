"""Graphs of every kind go from their start over what people decide to their end, unchanged."""

import pytest

from agentdesk.audit.record import Actor
from runs import lifecycle
from runs.models import Agent, PinnedAnswer, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine


def answer(engine: Engine, run: Run, *answers: object) -> Run:
    """Answer what the run asks now, in the order in which it was asked, and let it go on."""
    pending = engine.pending(run)
    assert len(pending) == len(answers), [approval.action for approval in pending]
    for approval, text in zip(pending, answers, strict=True):
        engine.decide(approval, "respond", answer=text)
    return engine.advance(run)


def pin(agent: str, node: str, schema: dict[str, str]) -> None:
    PinnedAnswer.objects.create(agent=Agent.objects.get(slug=agent), node=node, schema=schema)


def log(engine: Engine, run: Run) -> list[str]:
    assert run.status == RunStatus.SUCCEEDED, (run.status, run.error, run.traceback)
    found: list[str] = engine.output(run)["log"]
    return found


def test_a_graph_of_synchronous_nodes(engine: Engine) -> None:
    run = engine.start("sync", {"log": []})
    assert run.status == RunStatus.WAITING
    assert log(engine, answer(engine, run, "yes")) == ["begin", "ask: yes", "finish"]


def test_a_graph_of_nodes_that_are_asynchronous_only(engine: Engine) -> None:
    run = engine.start("async-only", {"log": []})
    assert log(engine, answer(engine, run, "yes")) == ["ask_async: yes"]


def test_a_task_that_interrupts_again_and_again(engine: Engine) -> None:
    run = engine.start("loop", {"log": []})
    for text in ("one", "two"):
        run = answer(engine, run, text)
        assert run.status == RunStatus.WAITING
    assert log(engine, answer(engine, run, "enough")) == ["one", "two", "enough"]


@pytest.mark.parametrize("agent", ["subgraph", "called"])
def test_a_subgraph_that_interrupts_inside(engine: Engine, agent: str) -> None:
    run = answer(engine, engine.start(agent, {"log": []}), "first")
    assert run.status == RunStatus.WAITING
    assert log(engine, answer(engine, run, "second"))[-4:] == ["begin", "ask: first", "ask_async: second", "finish"]


@pytest.mark.parametrize(
    ("agent", "way"), [("subgraph", "inner"), ("called", "call_inner"), ("subgraph-in-subgraph", "inner/inner")]
)
def test_each_node_of_a_subgraph_has_a_pin_of_its_own(engine: Engine, agent: str, way: str) -> None:
    pin(agent, f"{way}/ask", {"type": "integer"})
    pin(agent, f"{way}/ask_async", {"type": "boolean"})
    run = engine.start(agent, {"log": []})
    (first,) = engine.pending(run)
    assert (first.adapter, first.answer_schema) == ("pinned", {"type": "integer"})
    engine.decide(first, "respond", answer=7)
    run = engine.advance(run)
    (second,) = engine.pending(run)
    assert (second.adapter, second.answer_schema) == ("pinned", {"type": "boolean"})
    engine.decide(second, "respond", answer=False)
    said = log(engine, engine.advance(run))
    assert {"ask: 7", "ask_async: False"} <= set(said)


def test_a_pin_at_a_subgraph_holds_for_its_nodes_without_their_own(engine: Engine) -> None:
    pin("subgraph", "inner/ask", {"type": "integer"})
    pin("subgraph", "inner", {"type": "boolean"})
    pin("subgraph", "", {"type": "null"})
    run = engine.start("subgraph", {"log": []})
    assert engine.pending(run)[0].answer_schema == {"type": "integer"}
    engine.decide(engine.pending(run)[0], "respond", answer=7)
    run = engine.advance(run)
    assert engine.pending(run)[0].answer_schema == {"type": "boolean"}


def test_parallel_branches_that_each_interrupt(engine: Engine) -> None:
    run = engine.start("parallel", {"log": []})
    for approval in reversed(engine.pending(run)):
        engine.decide(approval, "respond", answer=f"to {approval.payload}")
        run = engine.advance(run)
    assert sorted(log(engine, run)) == ["finish", "left: to Left?", "right: to Right?"]


def test_a_fan_out_gets_each_answer_to_its_own_item(engine: Engine) -> None:
    run = engine.start("fan-out", {"items": ["a", "b", "c"], "log": []})
    for approval in sorted(engine.pending(run), key=lambda each: str(each.payload), reverse=True):
        engine.decide(approval, "respond", answer=f"for {(approval.payload or {})['item']}")
    assert log(engine, engine.advance(run)) == ["a: for a", "b: for b", "c: for c"]


def test_a_functional_entrypoint_does_its_finished_tasks_once(engine: Engine) -> None:
    run = answer(engine, engine.start("workflow", "cats"), "good")
    assert run.status == RunStatus.SUCCEEDED
    assert engine.output(run) == {"essay": "an essay about cats, written 1 times", "review": "good"}


def test_a_state_that_is_a_pydantic_model(engine: Engine) -> None:
    run = engine.start("pydantic-state", {"amount": {"cents": 500}})
    assert engine.pending(run)[0].payload == "500 cents in EUR?"
    run = answer(engine, run, "Rita")
    assert (run.status, engine.output(run)["approved_by"]) == (RunStatus.SUCCEEDED, "Rita")


def test_a_state_that_is_a_dataclass(engine: Engine) -> None:
    run = engine.start("dataclass-state", {"places": ["Rome", "Oslo"]})
    assert engine.pending(run)[0].payload == "By way of Rome and Oslo?"
    run = answer(engine, run, "Rita")
    assert (run.status, engine.output(run)["approved_by"]) == (RunStatus.SUCCEEDED, "Rita")


def test_a_plain_tool_node_with_a_tool_that_is_asynchronous_only(engine: Engine) -> None:
    run = engine.start("tool-node", {"messages": []})
    assert (run.status, [approval.action for approval in engine.pending(run)]) == (RunStatus.WAITING, ["send_letter"])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, engine.output(run)["messages"][-1]["content"]) == (RunStatus.SUCCEEDED, "sent to Ada")
    assert ToolCall.objects.get(run=run).status == CallStatus.SUCCEEDED


def held(engine: Engine, run: Run) -> list[str]:
    """What the run asks now; asking again, as a worker that takes over does, asks nothing new and passes nothing."""
    asked = [approval.action for approval in engine.pending(run)]
    run = engine.advance(run)
    assert (run.status, [approval.action for approval in engine.pending(run)]) == (RunStatus.WAITING, asked)
    return asked


@pytest.mark.parametrize(
    ("agent", "stops"),
    [
        ("before", [["interrupt:finish"]]),
        ("after", [["interrupt:after:begin"]]),
        ("everywhere", [["interrupt:begin"], ["interrupt:after:begin", "interrupt:finish"]]),
        ("subgraph-with-breakpoint", [["interrupt:finish"]]),
        ("called-with-breakpoint", [["interrupt:finish"]]),
    ],
)
def test_static_breakpoints_are_passed_by_a_decision_only(engine: Engine, agent: str, stops: list[list[str]]) -> None:
    run = engine.start(agent, {"log": []})
    for actions in stops:
        assert sorted(held(engine, run)) == actions
        for approval in engine.pending(run):
            engine.decide(approval)
        run = engine.advance(run)
    assert log(engine, run)[-2:] in (["begin", "finish"], ["finish", "finish"])


@pytest.mark.parametrize(("agent", "stop"), [("out-of-sight", "finish"), ("with-options", "begin")])
def test_a_graph_whose_breakpoints_cannot_be_held_is_refused_before_it_starts(engine: Engine, agent: str, stop: str) -> None:
    run = engine.start(agent, {"log": []})
    assert (run.status, (run.error or {})["kind"]) == (RunStatus.FAILED, "BreakpointOutOfSight")
    assert f"A graph with breakpoints ({stop}) is called where they cannot be held" in (run.error or {})["message"]
    assert Step.objects.filter(run=run, name__in=["begin", "finish"]).count() == 0
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert engine.advance(run).status == RunStatus.FAILED


def test_a_refused_breakpoint_stops_the_run_before_its_node(engine: Engine) -> None:
    run = engine.start("after", {"log": []})
    engine.decide(engine.pending(run)[0], "reject", message="no")
    run = engine.advance(run)
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "breakpoint refused")
