"""A small part of `make faults`: the same lines at their least size, on one stage for them all."""

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import attempt, show
from tests.faults.report import Trial
from tests.faults.stage import Stage
from tests.faults.table import TRIALS

QUICK = ("kills", "thrice", "two-workers", "redelivered", "langchain", "lost-lock")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as running:
        yield running


@pytest.mark.parametrize("trial", [trial for trial in TRIALS if trial.name in QUICK], ids=lambda trial: trial.name)
def test_a_line_of_the_table_holds_at_its_least_size(stage: Stage, trial: Trial) -> None:
    row = attempt(stage, trial, 0.0)
    assert row.holds, show(row)
