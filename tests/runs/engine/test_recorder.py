"""Recording while the database is away."""

from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest

from runs.engine.budget import Budget
from runs.engine.checkpoints import Pool
from runs.engine.recorder import Event, Recorder
from runs.states import StepKind
from runs.tools.context import DeskUnavailable


class Away:
    """A pool whose server has gone."""

    is_gone = True

    @asynccontextmanager
    async def connection(self) -> Any:
        if self.is_gone:
            raise psycopg.OperationalError("the connection is closed")
        yield None


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(cast(Pool, Away()), uuid4(), 1, Budget({}, {}, []))


async def test_it_says_that_the_database_is_away_and_keeps_what_it_has(recorder: Recorder) -> None:
    recorder.note(Event(uuid4(), StepKind.NODE, "begin"))
    for _ in range(2):
        with pytest.raises(DeskUnavailable):
            await recorder.flush()


async def test_it_goes_on_with_no_run_while_the_database_is_away() -> None:
    """A first attempt has nothing to close, and reads the checkpoint next."""
    with pytest.raises(DeskUnavailable):
        async with Recorder(cast(Pool, Away()), uuid4(), 2, Budget({}, {}, [])):
            pytest.fail("it went on")
