"""Graphs that published packages make run as they are."""

import json
from typing import Any

import pytest

from approvals.models import Tool
from runs.models import Run, ToolCall
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

# langgraph-supervisor still builds on LangGraph's older agent.
pytestmark = pytest.mark.filterwarnings("ignore:create_react_agent has been moved")

PAY = {"name": "pay", "args": {"to": "Ada", "amount": "5.00"}}


def play(engine: Engine, agent: str, **parts: list[list[dict[str, Any]]]) -> Run:
    return engine.start(agent, {"messages": [{"role": "user", "content": json.dumps(parts)}]})


def approve(engine: Engine, run: Run, *actions: str) -> Run:
    pending = engine.pending(run)
    assert [approval.action for approval in pending] == list(actions), (run.status, run.error, run.traceback)
    for approval in pending:
        engine.decide(approval)
    return engine.advance(run)


def results(run: Run) -> str:
    """What the calls of a run that has ended well brought."""
    assert run.status == RunStatus.SUCCEEDED, (run.status, run.error, run.traceback)
    return "\n".join(str(call.result) for call in ToolCall.objects.filter(run=run, status="succeeded").order_by("id"))


def test_deepagents_asks_about_its_files_and_once_about_a_call_it_asks_about_itself(published: Engine) -> None:
    note = {"name": "write_file", "args": {"file_path": "/notes.md", "content": "Pay Ada."}}
    run = play(published, "deep", main=[[note], [PAY]])
    run = approve(published, approve(published, run, "write_file"), "pay")
    assert "paid 5.00 to Ada" in results(run)
    assert "Pay Ada." in str(published.output(run)["files"])


def test_a_deep_agents_subagent_passes_the_gate_with_its_own_calls(published: Engine) -> None:
    script = json.dumps({"clerk": [[PAY]]})
    run = play(
        published, "deep-with-subagent", main=[[{"name": "task", "args": {"description": script, "subagent_type": "clerk"}}]]
    )
    run = approve(published, approve(published, run, "task"), "pay")
    assert "paid 5.00 to Ada" in results(run)


def test_a_supervisor_hands_over_to_its_agents_and_each_of_their_calls_is_asked_about(published: Engine) -> None:
    to_payer = {"name": "transfer_to_payer", "args": {}}
    to_booker = {"name": "transfer_to_booker", "args": {}}
    book = {"name": "book", "args": {"what": "a room"}}
    run = play(published, "supervisor", boss=[[to_payer], [to_booker]], payer=[[PAY]], booker=[[book]])
    for actions in (["transfer_to_payer"], ["pay"], ["transfer_to_booker"], ["book"]):
        run = approve(published, run, *actions)
    assert "paid 5.00 to Ada" in results(run)
    assert "booked a room" in results(run)


def test_a_swarm_hands_over_from_agent_to_agent(published: Engine) -> None:
    run = play(published, "swarm", alice=[[{"name": "transfer_to_bob", "args": {}}]], bob=[[PAY]])
    run = approve(published, approve(published, run, "transfer_to_bob"), "pay")
    assert "paid 5.00 to Ada" in results(run)
    assert published.output(run)["active_agent"] == "bob"


def test_tools_of_an_mcp_server_pass_the_gate_with_the_labels_that_the_server_gives(published: Engine) -> None:
    run = play(published, "mcp", main=[[{"name": "order", "args": {"article": "screws", "pieces": 12}}]])
    assert dict(Tool.objects.filter(agent="mcp").values_list("name", "effect"))["count"] == "read"
    run = approve(published, run, "order")
    assert "ordered 12 of screws" in results(run)
