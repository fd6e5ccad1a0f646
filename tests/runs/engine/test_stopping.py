"""A worker that is told to end lets go at the next step."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from runs.engine import advance as advancing
from runs.engine import stopping
from runs.models import Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine


@pytest.fixture
def ending() -> Iterator[None]:
    stopping.ask()
    yield
    stopping.forget()


def test_a_run_is_given_back_at_a_step_and_goes_on_where_it_was(
    engine: Engine, ending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinted: list[UUID] = []
    monkeypatch.setattr(advancing, "hint", lambda task, run: hinted.append(UUID(run)))
    run = engine.start("steps", {"question": "ada"})
    assert (run.status, hinted) == (RunStatus.QUEUED, [run.pk])
    assert Run.objects.get(pk=run.pk).claimed_by is None
    assert len(engine.effects("first")) <= 1
    assert engine.effects("second begins") == []
    done = len(engine.effects("first"))
    stopping.forget()
    note = {"effect": "second begins", "run": "ada"}  # as if it had slept already
    with engine.effects_file.open("a") as file:
        file.write(f"{str(note).replace(chr(39), chr(34))}\n")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert (done, len(engine.effects("first")), len(engine.effects("second"))) in {(0, 1, 1), (1, 1, 1)}
