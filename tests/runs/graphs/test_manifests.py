"""What a langgraph.json may say, and what of it does not load: no database needed."""

import importlib.metadata
import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from django.test import override_settings

from runs.engine import manifest, registry
from runs.engine.agents import check_agents
from runs.engine.registry import LoadedAgent
from tests.runs.graphs.conftest import clean_imports

GRAPH = """
from langgraph.graph import END, START, MessagesState, StateGraph

builder = StateGraph(MessagesState)
builder.add_node("say", lambda state: {"messages": [("ai", WHO)]})
builder.add_edge(START, "say")
builder.add_edge("say", END)
graph = builder.compile()
"""

type Project = Callable[..., Path]
type Load = Callable[..., dict[str, LoadedAgent]]


def _said(agent: LoadedAgent) -> str:
    assert agent.graph is not None, agent.error
    return str(agent.graph.invoke({"messages": []})["messages"][-1].content)


@pytest.fixture
def load() -> Generator[Load]:
    """Return a function that loads the agents of some manifests in this process."""
    environment = dict(os.environ)
    with clean_imports(), override_settings():

        def load_from(*manifests: Path) -> dict[str, LoadedAgent]:
            from django.conf import settings

            settings.AGENTS = [str(path) for path in manifests]
            return registry.load_all()

        yield load_from
    os.environ.clear()
    os.environ.update(environment)


def test_it_takes_compiled_graphs_and_builders_by_file_and_by_module(project: Project, load: Load) -> None:
    where = {"compiled": "./agent.py:graph", "builder": "./agent.py:builder", "module": "mine.agent:graph"}
    files = {"agent.py": f"WHO = 'file'\n{GRAPH}", "mine/__init__.py": "", "mine/agent.py": f"WHO = 'module'\n{GRAPH}"}
    loaded = load(project("one", where, files))
    assert {slug: _said(agent) for slug, agent in loaded.items()} == {"compiled": "file", "builder": "file", "module": "module"}


FACTORIES = """
import asyncio
import contextlib
from langchain_core.runnables import RunnableConfig
from langgraph_sdk.runtime import ServerRuntime

def sync(): return graph
async def asynchronous():
    await asyncio.sleep(0)
    return builder
def with_config(config: RunnableConfig):
    assert "configurable" in config
    return graph
def with_anything(whatever): return graph
def with_runtime(runtime: ServerRuntime):
    assert runtime.access_context == "assistants.read"
    return graph
async def with_both(config, runtime):
    assert runtime.execution_runtime is None and "configurable" in config
    return graph
def own_loop():
    asyncio.run(asyncio.sleep(0))
    return graph
def with_default(model="small"): return graph if model == "small" else None
@contextlib.contextmanager
def manager(): yield graph
@contextlib.asynccontextmanager
async def async_manager(config: RunnableConfig): yield builder
"""
NAMES = [line.split("(")[0].split()[-1] for line in FACTORIES.splitlines() if line.startswith(("def ", "async def "))]


def test_it_takes_factories_of_every_kind(project: Project, load: Load) -> None:
    path = project("one", {name: f"./agent.py:{name}" for name in NAMES}, {"agent.py": f"WHO = 'made'\n{GRAPH}{FACTORIES}"})
    assert {slug: _said(agent) for slug, agent in load(path).items()} == dict.fromkeys(NAMES, "made")


def test_what_does_not_load_is_told_and_the_others_work(project: Project, load: Load) -> None:
    graphs = {
        "raises": "./raises.py:graph", "leaves": "./leaves.py:graph", "none": "./agent.py:no_such", "nothing": "./agent.py:WHO",
        "missing": "./gone.py:graph", "script": "./agent.ts:graph", "works": "./agent.py:graph",
        "short": "agent.py", "empty": {"description": "No path."}, "number": 3,
    }  # fmt: skip
    files = {"agent.py": f"WHO = 'me'\n{GRAPH}", "raises.py": "1 / 0", "leaves.py": "import sys\nsys.exit('no key')"}
    loaded = load(project("one", graphs, files))
    assert _said(loaded["works"]) == "me"
    last = {slug: agent.error.splitlines()[-1] for slug, agent in loaded.items() if agent.error}
    assert last == {
        "raises": "ZeroDivisionError: division by zero",
        "leaves": "SystemExit: no key",
        "none": last["none"],
        "nothing": "TypeError: str is neither a graph nor makes one",
        "missing": last["missing"],
        "script": "JavaScript graphs are not supported: the desk runs graphs written in Python.",
        "short": "langgraph.json, graph 'short': 'agent.py' is not of the form file.py:name",
        "empty": "langgraph.json, graph 'empty': '' is not of the form file.py:name",
        "number": "langgraph.json, graph 'number': '3' is not of the form file.py:name",
    }
    assert "no_such" in last["none"]
    assert "gone.py" in last["missing"]


def test_a_dependency_that_is_not_installed_is_named_with_the_command(project: Project, load: Load) -> None:
    files = {"agent.py": "import no_such_thing", "requirements.txt": "no-such-thing>=2\ndjango\n"}
    path = project("one", {"agent": "./agent.py:graph"}, files, dependencies=[".", "another-missing==1"])
    error = load(path)["agent"].error.splitlines()[-1]
    assert "Not installed: no-such-thing>=2, another-missing==1." in error
    assert "-m pip install 'no-such-thing>=2' another-missing==1" in error


def test_it_is_named_for_graphs_that_load_too(project: Project, load: Load) -> None:
    files = {"agent.py": f"WHO = 'me'\n{GRAPH}", "requirements.txt": "no-such-thing>=2\ndjango\n"}
    load(project("one", {"agent": "./agent.py:graph"}, files))
    (row,) = check_agents()
    assert (row["error"], row["missing"].rpartition(" -m ")[2]) == ("", "pip install 'no-such-thing>=2'")


def test_requirements_that_cannot_be_read_hurt_nobody_else(project: Project, load: Load) -> None:
    broken = {"agent.py": "import no_such_thing", "pyproject.toml": "[project"}
    graph = {"agent": "./agent.py:graph"}
    loaded = load(project("one", graph, broken), project("two", graph, {"agent.py": f"WHO = 'me'\n{GRAPH}"}))
    assert "No module named 'no_such_thing' Its requirements cannot be read" in loaded["agent"].error
    assert _said(loaded["two-agent"]) == "me"


def test_other_code_anywhere_in_the_project_is_another_version(
    project: Project, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"app/agent.py": f"from common.who import WHO\n{GRAPH}", "common/who.py": "WHO = 'me'"}
    path = project("one", {"agent": "./app/agent.py:graph"}, files, dependencies=[".", "langgraph"])

    def version() -> str:
        registry.forget()
        return load(path)["agent"].version

    first = version()
    assert version() == first
    (path.parent / "common" / "who.py").write_text("WHO = 'somebody else'")
    second = version()
    installed = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99" if name == "langgraph" else installed(name))
    assert len({first, second, version()}) == 3


def test_a_file_of_variables_that_is_not_there_is_named(project: Project, load: Load) -> None:
    path = project("one", {"agent": "./agent.py:graph"}, {"agent.py": "import os\nos.environ['NO_SUCH_KEY']"}, env=".env")
    assert f"The manifest names {path.parent / '.env'}" in load(path)["agent"].error


def test_it_sets_variables_from_a_file_and_from_a_mapping(
    project: Project, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
# comment
export PLAIN_X=one two # three
QUOTED_X="a # b\\n\\"c\\""
SINGLE_X='$as it is'
OVER_LINES_X="first
second"
EMPTY_X=
HELD_X=from the file
DATABASE_URL=postgresql://of.the/project
"""
    monkeypatch.setenv("HELD_X", "from the process")
    graph = {"agent": "./agent.py:graph"}
    load(
        project("one", graph, {"agent.py": f"WHO = 1\n{GRAPH}", ".env": text}, env=".env"),
        project("two", graph, {"agent.py": f"WHO = 2\n{GRAPH}"}, env={"MAPPED_X": 3}),
    )
    names = ("PLAIN_X", "QUOTED_X", "SINGLE_X", "OVER_LINES_X", "EMPTY_X", "HELD_X", "MAPPED_X", "DATABASE_URL")
    assert [os.environ[name] for name in names] == [
        "one two", 'a # b\n"c"', "$as it is", "first\nsecond", "", "from the process", "3", "postgresql://of.the/project",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"dependencies": ["."]}', "'graphs'"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "langgraph.json"
    path.write_text(text)
    with pytest.raises(manifest.BadManifest, match=says):
        manifest.read(path)


def test_projects_with_modules_of_one_name_and_of_the_desks_names_find_their_own(project: Project, load: Load) -> None:
    def files(who: str) -> dict[str, str]:
        return {
            "agent.py": f"from tools import WHO as one\nimport runs.names\nfrom approvals import whose as who\n"
            f"def late():\n    import lazy\n    return lazy.WHO\nWHO = one + runs.names.WHO + who + late()\n{GRAPH}",
            "tools.py": f"from runs.names import WHO\nassert WHO == '{who}'",
            "lazy.py": "import approvals.who\nWHO = approvals.who.WHO",
            "runs/__init__.py": "",
            "runs/names.py": f"WHO = '{who}'",
            "approvals/__init__.py": "from .who import WHO as whose",
            "approvals/who.py": "from runs import names\nWHO = names.WHO",
        }

    loaded = load(*(project(who, {"agent": "./agent.py:graph"}, files(who)) for who in ("a", "b", "c")))
    assert {slug: _said(agent) for slug, agent in loaded.items()} == {"agent": "aaaa", "b-agent": "bbbb", "c-agent": "cccc"}
    import approvals
    import runs

    assert all(str(module.__file__).startswith(str(Path(registry.__file__).parents[2])) for module in (approvals, runs))


def test_a_file_that_holds_several_graphs_is_executed_once(project: Project, load: Load) -> None:
    code = f"import os\nWHO = os.environ['TIMES_X'] = os.environ.get('TIMES_X', '') + 'x'\n{GRAPH}"
    loaded = load(project("one", {"first": "./agent.py:graph", "second": "./agent.py:builder"}, {"agent.py": code}))
    assert {_said(agent) for agent in loaded.values()} == {"x"}


def test_a_src_layout_is_importable(project: Project, load: Load) -> None:
    files = {
        "pyproject.toml": "[project]\nname = 'x'\n",
        "src/inner_x/__init__.py": "",
        "src/inner_x/agent.py": f"WHO = 'src'\n{GRAPH}",
    }
    loaded = load(project("one", {"agent": "./src/inner_x/agent.py:graph", "name": "inner_x.agent:graph"}, files))
    assert {_said(agent) for agent in loaded.values()} == {"src"}
