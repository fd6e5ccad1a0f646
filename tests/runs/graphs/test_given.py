"""What a graph is given beside its input: store, context, config; and factories, which are asked for each attempt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runs.engine.agents import write_agents
from runs.errors import InvalidInput
from runs.models import Agent, Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

type Project = Callable[..., Path]

AGENT = """
import contextlib
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import interrupt
from langgraph_sdk.runtime import ServerRuntime

LOG = Path(__file__).with_name("log.txt")

@dataclass
class Context:
    tone: str = "friendly"
    budget: int = 10

@dataclass
class Strict:
    user: str

class State(TypedDict, total=False):
    said: Any

def build(node, context_schema=Context):
    builder = StateGraph(State, context_schema=context_schema)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder

def tell(state: State, config: RunnableConfig, runtime: Runtime[Context]):
    c, about = runtime.context, runtime.server_info
    known = {k: config["configurable"].get(k) for k in ("model", "thread_id", "graph_id")}
    kind, by = config["metadata"]["kind"], about.user.display_name if about.user else None
    return {"said": {"tone": c.tone, "budget": c.budget, **known, "tags": config.get("tags"), "kind": kind, "by": by,
                     "is": about.graph_id}}

async def remember(state: State, runtime: Runtime[Context]):
    store = runtime.store
    before = [item.value["n"] for item in await store.asearch(("notes", "ada"))]
    await store.aput(("notes", "ada"), str(len(before)), {"n": len(before)})
    first = await store.aget(("notes", "ada"), "0")
    return {"said": [before, await store.alist_namespaces(prefix=("notes",)), first.namespace]}

def remember_sync(state: State, *, store):
    store.put(("sync",), "k", {"v": 1})
    store.delete(("sync",), "gone")
    found = [item.namespace for item in store.search(("sync",))]
    return {"said": [store.get(("sync",), "k").value, found, get_store() is store]}

tells = build(tell).compile()
remembers = build(remember).compile(store=InMemoryStore())
remembers_sync = build(remember_sync).compile()
strict = build(lambda state, runtime: {"said": runtime.context.user}, Strict).compile()

def note(text):
    with LOG.open("a") as log:
        log.write(text + "\\n")

@contextlib.asynccontextmanager
async def made(runtime: ServerRuntime[Context]):
    if not runtime.execution_runtime:
        yield build(lambda state: {}).compile()
        return
    budget = runtime.execution_runtime.context["budget"]
    note(f"open for {runtime.ensure_user().display_name}")
    try:
        yield build(lambda state: {"said": [interrupt("Go?"), budget]}).compile()
    finally:
        note("close")

def fails(config: RunnableConfig):
    if "thread_id" in config["configurable"]:
        raise RuntimeError("no licence today")
    return tells
"""
NAMES = ("tells", "remembers", "remembers_sync", "strict", "made", "fails")


@pytest.fixture
def engine(engine_for: Callable[..., Engine], project: Project) -> Engine:
    return engine_for(project("one", {name: f"./agent.py:{name}" for name in NAMES}, {"agent.py": AGENT}))


def said(engine: Engine, run: Run) -> Any:
    assert run.status == RunStatus.SUCCEEDED, (run.status, run.error, run.traceback)
    return engine.output(run)["said"]


def test_a_graph_gets_the_agents_config_and_context_with_the_runs_own_over_them(engine: Engine) -> None:
    Agent.objects.filter(slug="tells").update(
        config={"configurable": {"model": "small"}, "tags": ["a"], "metadata": {"kind": "test"}}, context={"tone": "terse"}
    )
    run = engine.start("tells", {}, config={"configurable": {"model": "large"}, "tags": ["b"]}, context={"budget": 5})
    assert said(engine, run) == {
        "tone": "terse", "budget": 5, "model": "large", "thread_id": run.thread_id, "graph_id": "tells", "tags": ["a", "b"],
        "kind": "test", "by": "olga", "is": "tells",
    }  # fmt: skip


def test_a_context_without_values_has_its_defaults(engine: Engine) -> None:
    told = said(engine, engine.start("tells", {}, config={"metadata": {"kind": "test"}}))
    assert (told["tone"], told["budget"]) == ("friendly", 10)


def test_a_context_that_needs_values_gets_them_from_whoever_starts_the_run(engine: Engine) -> None:
    assert said(engine, engine.start("strict", {}, context={"user": "Ada"})) == "Ada"
    assert engine.start("strict", {}).status == RunStatus.FAILED


@pytest.mark.parametrize(
    "config",
    [
        {"configurable": {"thread_id": "another's"}},
        {"configurable": {"__pregel_resuming": True}},
        {"configurable": {"langgraph_auth_user_id": "root"}},
        {"callbacks": []},
        {"tags": "one"},
        "configurable",
    ],
)
def test_nobody_reaches_another_thread_or_passes_for_another_person_by_a_config(engine: Engine, config: Any) -> None:
    with pytest.raises(InvalidInput):
        engine.start("tells", {}, config=config)


def test_what_a_graph_keeps_in_the_store_is_there_in_its_next_run_and_for_no_other_project(
    engine: Engine, project: Project, settings: Any
) -> None:
    assert said(engine, engine.start("remembers", {})) == [[], [["notes", "ada"]], ["notes", "ada"]]
    assert said(engine, engine.start("remembers", {}))[0] == [0]
    assert said(engine, engine.start("remembers_sync", {})) == [{"v": 1}, [["sync"]], True]
    other = project("two", {"other": "./agent.py:remembers"}, {"agent.py": AGENT})
    settings.AGENTS = [*settings.AGENTS, str(other)]
    write_agents()
    run = engine.start("other", {})
    assert said(engine, run)[:2] == [[], [["notes", "ada"]]]


def test_a_factory_is_asked_for_each_attempt_and_what_it_opens_is_closed_after_it(engine: Engine, tmp_path: Path) -> None:
    run = engine.start("made", {}, context={"budget": 3})
    log = tmp_path / "one" / "log.txt"
    assert (run.status, log.read_text().splitlines()) == (RunStatus.WAITING, ["open for olga", "close"])
    engine.decide(engine.pending(run)[0], "respond", answer="yes")
    assert said(engine, engine.advance(run)) == ["yes", 3]
    assert log.read_text().splitlines() == ["open for olga", "close"] * 2


def test_what_a_factory_raises_ends_its_run_with_the_reason(engine: Engine) -> None:
    run = engine.start("fails", {})
    assert (run.status, run.error) == (RunStatus.FAILED, {"kind": "RuntimeError", "message": "no licence today"})
    assert "no licence" in run.traceback
