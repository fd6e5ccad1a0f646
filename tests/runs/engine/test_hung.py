"""Threads of tools that work on past their timeout are counted, and a process is asked to end once, not before its time."""

import threading
import time
from collections.abc import Generator

import pytest

from approvals.models import Tool
from runs.engine import stopping
from runs.engine.recycling import Recycling
from runs.tools import hung
from runs.tools.context import Permit, permit
from tests.runs.engine.conftest import Engine
from tests.runs.engine.test_gate import allow

ENOUGH = 10.0


class Held:
    """A tool's thread that works until it is told to stop."""

    def __init__(self, name: str = "slow") -> None:
        self.leave, self.go_on, began = Permit(name, "1", ""), threading.Event(), threading.Event()
        self.threads = hung.Threads(1)
        token = permit.set(self.leave)

        def work() -> None:
            began.set()
            self.go_on.wait(ENOUGH)

        self.done = self.threads.submit(work)
        permit.reset(token)
        assert began.wait(ENOUGH)

    def end(self) -> None:
        self.go_on.set()
        self.done.result(ENOUGH)
        self.threads.shutdown()


@pytest.fixture
def held() -> Generator[Held]:
    one = Held()
    yield one
    one.end()


@pytest.fixture
def asked(settings) -> Generator[threading.Event]:
    settings.RECYCLE_SECONDS = 0
    ended = threading.Event()
    recycling = Recycling(ended.set)
    recycling.start()
    yield ended
    recycling.stop()


def test_a_thread_hangs_from_its_timeout_until_it_ends(held: Held) -> None:
    assert hung.tools() == []
    hung.note(held.leave)
    assert hung.tools() == ["slow"]
    held.end()
    assert hung.tools() == []


def test_a_tool_without_a_thread_at_work_does_not_hang() -> None:
    hung.note(Permit("coroutine", "1", ""))
    assert hung.tools() == []


def test_the_process_is_asked_to_end(held: Held, asked: threading.Event) -> None:
    hung.note(held.leave)
    assert asked.wait(ENOUGH)


def test_not_where_it_came_to_its_end_meanwhile(held: Held, asked: threading.Event, settings) -> None:
    settings.RECYCLE_SECONDS = 0.3
    hung.note(held.leave)
    held.end()
    assert not asked.wait(0.6)


def test_not_where_it_ends_already(held: Held, asked: threading.Event) -> None:
    stopping.ask()
    try:
        hung.note(held.leave)
        assert not asked.wait(0.3)
    finally:
        stopping.forget()


def test_a_young_process_waits(held: Held, asked: threading.Event, settings) -> None:
    settings.RECYCLE_SECONDS = 3600
    hung.note(held.leave)
    assert not asked.wait(0.3)


def test_a_tool_of_an_agent_is_counted_and_one_that_comes_in_time_is_not(engine: Engine) -> None:
    allow(engine, "slow")
    Tool.objects.filter(agent="teller", name="slow").update(timeout_seconds=1)
    engine.script("teller", [{"name": "slow", "args": {"seconds": 0.01}}])
    assert hung.tools() == []
    engine.script("teller", [{"name": "slow", "args": {"seconds": 1.5}}])
    assert hung.tools() == ["slow"]
    deadline = time.monotonic() + ENOUGH
    while hung.tools():
        assert time.monotonic() < deadline
        time.sleep(0.02)
