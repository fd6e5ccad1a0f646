"""Which processes `make run` starts to drive runs."""

from pathlib import Path

import pytest

from agentdesk.embedded import desk
from agentdesk.embedded.places import Places, find_places

ENVIRONMENT = {"AGENTDESK_INSTANCE": "i", "AGENTDESK_WORKERS": "2"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places(tmp_path, {})


def queues(places: Places, **variables: str) -> dict[str, str]:
    """The queue of each process that drives runs, by the process's name."""
    commands = {child.name: child for child in desk._processes({**ENVIRONMENT, **variables}, places, 8000)}
    assert {"web", "worker", "beat"} <= commands.keys()
    found = dict(desk._run_workers({**ENVIRONMENT, **variables}))
    assert commands.keys() - {"web", "worker", "beat"} == found.keys()
    return {name: group.queue("i") for name, group in found.items()}


def test_one_manifest_has_the_one_queue(places: Places) -> None:
    assert queues(places) == {"runs-1": "i.runs", "runs-2": "i.runs"}
    assert queues(places, AGENTDESK_AGENTS="/some/langgraph.json") == {"runs-1": "i.runs", "runs-2": "i.runs"}


def test_each_of_several_manifests_has_processes_and_a_queue_of_its_own(places: Places) -> None:
    found = queues(
        places, AGENTDESK_AGENTS="/x/one/langgraph.json,/x/two/langgraph.json@/opt/two/bin/python", AGENTDESK_WORKERS="1"
    )
    assert found == {"runs-one-1": "i.runs.one", "runs-two-1": "i.runs.two"}


def test_a_manifests_own_python_runs_its_workers(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(desk, "spawn", lambda command, **options: started.append(command))
    variables = {"AGENTDESK_AGENTS": "/x/one/langgraph.json@/opt/one/bin/python", "AGENTDESK_WORKERS": "1"}
    for child in desk._processes({**ENVIRONMENT, **variables}, places, 8000):
        child.start()
    own = [command for command in started if command[0] == "/opt/one/bin/python"]
    assert [command[command.index("-Q") + 1] for command in own] == ["i.runs"]
    assert len(started) == 4
