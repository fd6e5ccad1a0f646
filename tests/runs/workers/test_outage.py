"""Without a broker, workers look in the database for what there is to do."""

from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from agentdesk.embedded.valkey import Valkey
from runs.models import Run
from runs.states import RunStatus
from tests.desk import Desk
from tests.runs.workers.conftest import Crew

ALONE, HEARS = "it looks for runs itself", "hints reach this worker again"


@pytest.fixture
def alone(desk: Desk, valkey: Valkey, tmp_path: Path) -> Generator[Desk]:
    """The desk's only worker for runs, with a broker that the test may stop. Nobody else is at that broker: no hint and no
    sweep ever reaches the worker."""
    desk.kill("runs")
    other = Desk(tmp_path, desk.environment | {"REDIS_URL": valkey.url()})
    other.start_worker("runs", "runs")
    other.wait_for_log("runs", "ready.")
    yield other
    other.stop()


def pay(crew: Crew, name: str) -> Run:
    return crew.script("teller", [{"name": "pay", "args": {"to": name, "amount": "1.00"}}])


def test_a_decision_made_while_the_broker_is_away_is_carried_out_while_it_is_away(
    crew: Crew, alone: Desk, valkey: Valkey
) -> None:
    names = [str(uuid4()) for _ in range(4)]
    runs = [pay(crew, name) for name in names]
    assert ALONE not in alone.log("runs")
    valkey.stop()
    alone.wait_for_log("runs", ALONE)
    for run in runs:
        crew.wait(run, RunStatus.WAITING)
        crew.decide(crew.pending(run)[0])
    for run, name in zip(runs, names, strict=True):
        run = crew.wait(run, RunStatus.SUCCEEDED)
        assert len(crew.effects(effect="pay", to=name)) == 1
        assert run.attempt == 2, "one to the question, one from the answer"
    valkey.restart()
    alone.wait_for_log("runs", HEARS)


def test_a_worker_that_dies_while_the_broker_is_away_is_followed_by_one_that_begins_without_a_broker(
    crew: Crew, alone: Desk, valkey: Valkey
) -> None:
    valkey.stop()
    name = str(uuid4())
    run = crew.start("steps", {"question": name})
    crew.until(lambda: crew.effects(effect="second begins", run=name), "the second step to begin")
    alone.kill("runs")
    alone.restart("runs")
    run = crew.wait(run, RunStatus.SUCCEEDED, seconds=90)  # a worker process begins anew
    assert run.attempt == 2
    assert len(crew.effects(effect="second", run=name)) == 1
