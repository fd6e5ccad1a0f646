"""Several projects on one desk: each manifest has workers, a queue and possibly a Python to itself."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client

from agentdesk.celery import route
from agentdesk.groups import groups
from runs.engine import agents, registry
from runs.models import Agent, Run
from runs.queues import is_for, queue_of
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine
from tests.runs.graphs.test_manifests import GRAPH

type Project = Callable[..., Path]
FILES = {"agent.py": f"WHO = 'me'\n{GRAPH}"}


def test_one_manifest_is_one_group_and_several_are_one_each() -> None:
    assert [group.queue("desk") for group in groups(["/a/langgraph.json"])] == ["desk.runs"]
    several = groups(["/x/billing/langgraph.json", "/y/langgraph.json@/venv/bin/python", " ", "/z/billing/langgraph.json"])
    assert [(group.manifest, group.python) for group in several] == [
        ("/x/billing/langgraph.json", ""),
        ("/y/langgraph.json", "/venv/bin/python"),
        ("/z/billing/langgraph.json", ""),
    ]
    queues = [group.queue("desk") for group in several]
    assert queues[1] == "desk.runs.y"
    assert len({*queues}) == 3
    assert all(queue.startswith("desk.runs.billing-") for queue in (queues[0], queues[2]))


def test_a_hint_goes_to_the_queue_of_the_runs_manifest(engine_for: Callable[..., Engine], project: Project) -> None:
    one, two = (project(name, {"agent": "./agent.py:graph"}, FILES) for name in ("one", "two"))
    engine = engine_for(one, two)
    runs = {slug: engine.start(slug, {"messages": []}) for slug in ("agent", "two-agent")}
    assert [run.status for run in runs.values()] == [RunStatus.SUCCEEDED] * 2
    queues = [f"{settings.INSTANCE}.runs.{name}" for name in ("one", "two")]
    assert [queue_of(run.pk) for run in runs.values()] == queues
    assert route("runs.tasks.advance", [str(runs["agent"].pk)]) == {"queue": queues[0]}
    assert route("runs.tasks.sweep", []) is None


def test_a_worker_of_one_manifest_loads_no_other_and_leaves_their_runs_alone(
    engine_for: Callable[..., Engine], project: Project
) -> None:
    one, two = (project(name, {"agent": "./agent.py:graph"}, FILES) for name in ("one", "two"))
    engine = engine_for(one, two)
    run = Run.objects.get(pk=engine.start("two-agent", {"messages": []}).pk)
    registry.serve(frozenset({str(one)}))
    try:
        assert set(registry.load_all()) == {"agent"}
        assert not is_for(run.pk, registry.only())
        Agent.objects.filter(slug="two-agent").update(manifest="/gone/langgraph.json")
        assert is_for(run.pk, registry.only())  # somebody has to say that it is gone
    finally:
        registry.serve(None)


def test_agents_of_manifests_that_changed_or_went_are_told_to_be_gone(
    engine_for: Callable[..., Engine], project: Project
) -> None:
    graph = "./agent.py:graph"
    path = project("one", {"first": graph, "second": graph}, FILES)
    engine_for(path)
    project("one", {"first": graph}, FILES)
    agents.sync_agents()
    assert "does not name this graph" in Agent.objects.get(slug="second").load_error
    assert Agent.objects.get(slug="first").load_error == ""
    path.write_text("{")
    agents.sync_agents()
    assert "JSONDecodeError" in Agent.objects.get(slug="first").load_error
    project("one", {"first": graph, "second": graph}, FILES)
    agents.sync_agents()
    assert set(Agent.objects.values_list("slug", "load_error")) == {("first", ""), ("second", "")}
    settings.AGENTS = [str(project("two", {"other": graph}, FILES))]
    agents.sync_agents()
    assert "AGENTDESK_AGENTS does not name" in Agent.objects.get(slug="first").load_error


def test_a_manifest_with_a_python_of_its_own_is_loaded_by_it(tmp_path: Path, project: Project, settings: Any) -> None:
    python = tmp_path / "own-python"
    python.write_text(f'#!/bin/sh\nOWN_PYTHON=1 exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    code = f"import os\nprint('[noise')\nWHO = os.environ['OWN_PYTHON']\n{GRAPH}"
    own = project("own", {"agent": "./agent.py:graph"}, {"agent.py": code})
    gone = project("gone", {"agent": "./agent.py:graph"}, FILES)
    settings.AGENTS = [f"{own}@{python}", f"{gone}@{tmp_path}/no-python"]
    rows = agents.check_agents()
    assert [(row["slug"], row["error"]) for row in rows] == [
        ("agent", ""),
        ("gone", f"{tmp_path}/no-python: No such file or directory"),
    ]


def test_web_sweeps_and_beat_load_no_agents_code() -> None:
    """They read tables: nothing that they import at their start brings what loads agents."""
    code = (
        "import os, sys, django\nos.environ['DJANGO_SETTINGS_MODULE'] = 'agentdesk.settings'\ndjango.setup()\n"
        "import agentdesk.asgi, agentdesk.celery, agentdesk.urls\nagentdesk.celery.app.loader.import_default_modules()\n"
        "sys.exit('runs.engine.imports' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_agents_page_tells_why_a_graph_does_not_load(
    client: Client, engine_for: Callable[..., Engine], project: Callable[..., Path]
) -> None:
    graphs = {"works": "./agent.py:graph", "broken": "./broken.py:graph", "script": "./agent.ts:graph", "short": "agent.py"}
    engine = engine_for(project("one", graphs, {"agent.py": f"WHO = 'me'\n{GRAPH}", "broken.py": "import no_such_thing"}))
    client.force_login(engine.operator)
    page = " ".join(re.sub(r"<[^>]+>", " ", client.get("/agents/").content.decode()).split())
    for reason in (
        "No module named &#x27;no_such_thing&#x27;",
        "JavaScript graphs are not supported",
        "&#x27;agent.py&#x27; is not of the form file.py:name",
    ):
        assert page.count(reason) >= 1
    assert page.count("Does not load") == 3
