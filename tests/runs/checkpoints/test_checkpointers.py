"""The contract of a checkpointer, kept by the desk's own and by LangGraph's SQLite saver."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from pytest_django import Settings

from agentdesk import checks
from agentdesk.audit.record import Actor
from runs import lifecycle, retention, threads
from runs.engine import claims, process
from runs.engine.process import this_process
from runs.errors import NotOffered, UnknownCheckpoint
from runs.models import Run
from runs.states import RunStatus
from runs.tools.context import AttemptLost
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
SQLITE, POOR = "tests.runs.checkpoints.savers.sqlite", "tests.runs.checkpoints.savers.poor"


@pytest.fixture(params=["postgres", SQLITE])
def kept(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEST_SQLITE", str(tmp_path / "checkpoints.db"))
    settings.CHECKPOINTER = request.param
    return str(request.param)


@pytest.fixture
def poor(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setenv("TEST_SQLITE", str(tmp_path / "checkpoints.db"))
    settings.CHECKPOINTER = POOR
    yield
    process.close()


def paid(engine: Engine) -> Run:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED, run.error
    return run


def test_a_run_pauses_and_goes_on_in_another_process(kept: str, engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    process.close()
    engine.decide(engine.pending(run)[0])
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1


def test_its_checkpoints_are_listed_newest_first(kept: str, engine: Engine) -> None:
    run = engine.start("stops", {"question": "?"})
    assert [one.step for one in threads.checkpoints(run.thread_id)] == [1, 0, -1]
    assert threads.checkpoints(run.thread_id)[0].next == ["act"]


def test_it_forks_from_any_checkpoint(kept: str, engine: Engine) -> None:
    run = paid(engine)
    for one in threads.checkpoints(run.thread_id):
        fork = engine.advance(lifecycle.fork(run.pk, one.id, actor=Actor.of(engine.operator)))
        for asked in engine.pending(fork):
            engine.decide(asked)
        assert engine.advance(fork).status == RunStatus.SUCCEEDED
    with pytest.raises(UnknownCheckpoint):
        lifecycle.fork(run.pk, "1ef0-none", actor=Actor.of(engine.operator))
    assert len(engine.effects("pay")) == 1


def test_its_threads_are_taken_away_when_they_are_old(kept: str, engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"succeeded": "1"}
    run, other = paid(engine), paid(engine)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(days=2))
    assert retention.prune(retention.due()) == 1
    assert threads.checkpoints(run.thread_id) == []
    assert threads.checkpoints(other.thread_id) != []


async def saver_of(run: Run, attempt: int) -> BaseCheckpointSaver[Any]:
    return this_process().savers.of(run.pk, attempt)


def test_an_attempt_that_lost_its_run_writes_no_more(kept: str, engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    working = this_process()
    claim = claims.claim(run.pk, working.presence.key())
    assert claim is not None
    saver = working.run(saver_of(run, claim.attempt))
    place: RunnableConfig = {"configurable": {"thread_id": run.thread_id, "checkpoint_ns": ""}}
    saved = working.run(saver.aget_tuple(place))
    assert saved is not None
    working.run(saver.aput_writes(saved.config, [("messages", "x")], "task"))
    Run.objects.filter(pk=run.pk).update(attempt=claim.attempt + 1)
    with pytest.raises(AttemptLost):
        working.run(saver.aput_writes(saved.config, [("messages", "y")], "task"))
    with pytest.raises(AttemptLost):
        working.run(saver.aput(place, saved.checkpoint, saved.metadata, {}))


def test_an_attempt_sees_what_others_write_to_other_threads_meanwhile(kept: str, engine: Engine) -> None:
    other = engine.script("teller", [PAY])
    working = this_process()
    place: RunnableConfig = {"configurable": {"thread_id": other.thread_id, "checkpoint_ns": ""}}
    reading = working.run(saver_of(engine.script("teller", [PAY]), 1))
    before = working.run(reading.aget_tuple(place))
    assert before is not None
    engine.decide(engine.pending(other)[0])
    engine.advance(other)
    after = working.run(reading.aget_tuple(place))
    assert after is not None
    assert after.checkpoint["id"] != before.checkpoint["id"]


def test_what_is_not_offered_is_refused(poor: None, engine: Engine) -> None:
    run = paid(engine)
    cut = threads.checkpoints(run.thread_id)[0].id
    with pytest.raises(NotOffered):
        lifecycle.fork(run.pk, cut, actor=Actor.of(engine.operator))
    with pytest.raises(NotOffered):
        retention.erase(run.pk, actor=Actor.of(engine.operator), reason="x")
    assert Run.objects.count() == 1
    assert Run.objects.get().erased_at is None


@pytest.mark.parametrize(
    ("path", "found", "says"),
    [
        ("postgres", [], ""),
        (SQLITE, ["W018"], "fencing within a write"),
        (POOR, ["W018"], "fork, retention, fencing"),
        ("tests.runs.checkpoints.savers.undeclared", ["E019"], "does not say what it offers"),
        ("tests.runs.checkpoints.savers.nobody", ["E018"], "cannot be imported"),
    ],
)
def test_a_system_check_says_what_a_checkpointer_lacks(settings: Settings, path: str, found: list[str], says: str) -> None:
    settings.CHECKPOINTER = path
    messages = checks.check_checkpointer(None)
    assert [message.id for message in messages] == [f"agentdesk.{id}" for id in found]
    assert all(says in message.msg for message in messages)
