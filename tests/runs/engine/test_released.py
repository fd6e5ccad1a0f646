"""A run waits while its agent's code is replaced."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from approvals.models import Approval, Decision
from runs.engine import registry
from runs.engine.agents import write_agents
from runs.engine.released import CHANGED
from runs.models import Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine
from tests.services import CHECKOUT

CODE = CHECKOUT / "tests/faults/agents/released/graph.py"

type Release = Callable[[str], None]


@pytest.fixture
def release(engine: Engine, tmp_path: Path) -> Iterator[Release]:
    """Put another release of the agent into the place of the one before; the first one is there already."""
    (tmp_path / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": {"released": "./graph.py:graph"}}))

    def put(name: str) -> None:
        (tmp_path / "graph.py").write_text(CODE.read_text().replace('RELEASE = "first"', f'RELEASE = "{name}"'))
        registry.forget()
        write_agents()

    with override_settings(AGENTS=[str(tmp_path / "langgraph.json")]):
        put("first")
        yield put
    registry.forget()


def wait(engine: Engine) -> tuple[Run, Approval]:
    run = engine.start("released", {"name": "ada"})
    (approval,) = engine.pending(run)
    return run, approval


def test_it_goes_on_under_new_code_that_asks_the_same(engine: Engine, release: Release) -> None:
    run, approval = wait(engine)
    before = run.agent_version
    release("unmoved")
    engine.decide(approval, "respond", answer="yes")
    run = engine.advance(run)
    assert (run.status, engine.output(run)["answers"]) == (RunStatus.SUCCEEDED, ["yes"])
    assert run.agent_version != before


def test_it_gives_no_answer_to_another_question_and_asks_anew(engine: Engine, release: Release) -> None:
    run, approval = wait(engine)
    release("moved")
    engine.decide(approval, "respond", answer="yes")
    run = engine.advance(run)
    assert run.status == RunStatus.WAITING
    void = Decision.objects.get(approval=approval)
    assert (void.void_reason, void.consumed_at) == (CHANGED, None)
    for expected, answer in (("Something else altogether?", "no"), ("May ada go on?", "yes")):
        (again,) = engine.pending(run)
        assert (again.payload, again.pk != approval.pk) == (expected, True)
        engine.decide(again, "respond", answer=answer)
        run = engine.advance(run)
    assert (run.status, engine.output(run)["answers"]) == (RunStatus.SUCCEEDED, ["no", "yes"])


def test_it_asks_anew_where_the_node_has_an_answer_already(engine: Engine, release: Release) -> None:
    release("moved")
    run, first = wait(engine)
    engine.decide(first, "respond", answer="no")
    run = engine.advance(run)
    (second,) = engine.pending(run)
    release("unmoved")
    engine.decide(second, "respond", answer="yes")
    run = engine.advance(run)
    (again,) = engine.pending(run)
    assert (run.status, again.payload) == (RunStatus.WAITING, "May ada go on?")
    engine.decide(again, "respond", answer="maybe")
    assert engine.output(engine.advance(run))["answers"] == ["maybe"]


def test_it_parks_a_run_whose_node_is_gone_with_the_reason(engine: Engine, release: Release) -> None:
    run, approval = wait(engine)
    release("gone")
    engine.decide(approval, "respond", answer="yes")
    run = engine.advance(run)
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "released")
    assert "the new code has no place for it" in (run.error or {})["message"]
