"""The fault points themselves: named once, and asleep."""

import asyncio
import re
import threading
from pathlib import Path

import pytest
from django.test import override_settings

from agentdesk import faults
from tests.faults.reaper import OF_GROUP
from tests.faults.rows.answers import POINTS_AT_A_PAUSE
from tests.faults.rows.outages import HELD_AT
from tests.services import CHECKOUT

AT = re.compile(r'faults\.at(?:_on_loop)?\("([^"]+)"\)')


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_folder", None)


def test_each_point_stands_in_the_code_under_its_one_name() -> None:
    files = [file for app in ("agentdesk", "approvals", "runs") for file in (CHECKOUT / app).rglob("*.py")]
    found = [point for file in files for point in AT.findall(file.read_text())]
    assert sorted(found) == sorted(faults.POINTS)


def test_the_trials_use_points_that_there_are() -> None:
    used = {point for points in OF_GROUP.values() for point in points} | {*POINTS_AT_A_PAUSE, *HELD_AT}
    assert used <= set(faults.POINTS)
    assert len(used) >= 20


def test_an_armed_point_stops_nobody_beyond_loopback(asleep: None, tmp_path: Path) -> None:
    (tmp_path / "tool.start").touch()
    with override_settings(FAULTS=str(tmp_path), LOOPBACK=False):
        faults.switch_on()
    faults.at("tool.start")
    assert (tmp_path / "tool.start").exists()


def test_who_comes_to_an_armed_point_waits_there_until_told_to_go(asleep: None, tmp_path: Path) -> None:
    for folder in ("at", "go"):
        (tmp_path / folder).mkdir()
    with override_settings(FAULTS=str(tmp_path), LOOPBACK=True):
        faults.switch_on()
    faults.at("tool.end")  # nobody armed it
    (tmp_path / "tool.start").touch()
    traveller = threading.Thread(target=faults.at, args=("tool.start",))
    traveller.start()
    while not (waiting := list((tmp_path / "at").iterdir())):
        traveller.join(0.01)
        assert traveller.is_alive()
    assert waiting[0].name.startswith("tool.start.")
    traveller.join(0.1)
    assert traveller.is_alive()
    (tmp_path / "go" / waiting[0].name).touch()
    traveller.join(5)
    assert not traveller.is_alive()


def test_a_folder_that_is_not_there_is_refused(asleep: None, tmp_path: Path) -> None:
    with override_settings(FAULTS=str(tmp_path / "none"), LOOPBACK=True), pytest.raises(ValueError, match="there is no folder"):
        faults.switch_on()


def test_an_event_loop_goes_on_while_one_of_its_tasks_waits_at_a_point(asleep: None, tmp_path: Path) -> None:
    for folder in ("at", "go"):
        (tmp_path / folder).mkdir()
    with override_settings(FAULTS=str(tmp_path), LOOPBACK=True):
        faults.switch_on()
    (tmp_path / "tool.start").touch()

    async def let_go() -> None:
        while not (waiting := list((tmp_path / "at").iterdir())):
            await asyncio.sleep(0.01)
        (tmp_path / "go" / waiting[0].name).touch()

    async def both() -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(faults.at_on_loop("tool.start"), let_go())

    asyncio.run(both())
