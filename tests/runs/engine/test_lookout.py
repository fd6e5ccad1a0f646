"""What a worker takes from the database while no hints reach it."""

import json
import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db.models import Q

from agentdesk.audit.record import Actor
from runs import lifecycle, queues
from runs.lookout import Lookout
from runs.models import Run
from runs.states import RunStatus
from runs.sweep import take
from tests.runs.engine.conftest import MANIFEST, Engine


def queued(engine: Engine) -> Run:
    script = json.dumps({"turns": [[{"name": "pay", "args": {"to": "x", "amount": "1.00"}}]]})
    question = {"messages": [{"role": "user", "content": script}]}
    return lifecycle.start("teller", question, actor=Actor.of(engine.operator))


def at_once(do: Callable[[UUID], None], run_id: UUID) -> None:
    do(run_id)


def test_it_does_nothing_while_hints_reach_the_worker(engine: Engine) -> None:
    run = queued(engine)
    assert Lookout(lambda: True, at_once, 4, Q()).look() == 0
    run.refresh_from_db()
    assert (run.status, run.attempt, run.dispatched_at) == (RunStatus.QUEUED, 0, None)


def test_without_hints_it_brings_runs_to_their_question_and_from_the_answer_to_the_end(engine: Engine) -> None:
    run, lookout = queued(engine), Lookout(lambda: False, at_once, 4, Q())
    assert lookout.look() == 1
    run.refresh_from_db()
    assert run.status == RunStatus.WAITING
    Run.objects.update(dispatched_at=None)
    assert lookout.look() == 0, "nobody has decided"
    engine.decide(engine.pending(run)[0])
    assert lookout.look() == 1
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1


def test_it_takes_no_more_than_it_has_threads_for(engine: Engine) -> None:
    for _ in range(3):
        queued(engine)
    submitted: list[UUID] = []
    lookout = Lookout(lambda: False, lambda do, run_id: submitted.append(run_id), 2, Q())
    assert (lookout.look(), lookout.look()) == (2, 0)
    assert len(set(submitted)) == 2


def test_nobody_takes_a_run_that_another_has_just_taken(engine: Engine) -> None:
    runs = {queued(engine).pk for _ in range(3)}
    first, second = take(Q(), 2), take(Q(), 2)
    assert (len(first), len(second)) == (2, 1)
    assert {*first, *second} == runs
    assert take(Q(), 2) == []


def test_a_worker_takes_the_runs_of_its_own_queues_only(engine: Engine, settings) -> None:
    run = queued(engine)
    settings.AGENTS = [str(MANIFEST), "/elsewhere/other/langgraph.json"]
    mine, theirs = (queues.share_of([f"{settings.INSTANCE}.runs.{label}"]) for label in ("agents", "other"))
    assert mine is not None
    assert theirs is not None
    assert take(theirs, 5) == []
    assert take(mine, 5) == [run.pk]
    assert queues.share_of([settings.QUEUE_DESK]) is None
    assert queues.share_of([settings.QUEUE_RUNS]) is not None
    assert queues.manifests_of([settings.QUEUE_RUNS]) is None
    assert queues.manifests_of([f"{settings.INSTANCE}.runs.agents"]) == frozenset([str(MANIFEST)])


def test_it_stops_in_time_though_the_broker_does_not_answer_and_drives_nothing_afterwards(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked, answers = queued(engine), threading.Event(), threading.Event()
    monkeypatch.setattr("runs.lookout.EVERY", 0.01)
    monkeypatch.setattr("runs.lookout.STOP_SECONDS", 0.1)
    submitted: list[Callable[[], None]] = []

    def hears() -> bool:
        asked.set()
        return answers.wait(20)

    lookout = Lookout(hears, lambda do, run_id: submitted.append(lambda: do(run_id)), 4, Q())
    lookout.start()
    assert asked.wait(10)
    began = time.monotonic()
    lookout.stop()
    assert time.monotonic() - began < 5
    answers.set()

    late = Lookout(lambda: False, lambda do, run_id: submitted.append(lambda: do(run_id)), 4, Q())
    assert late.look() == 1
    late.stop()
    submitted[0]()
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.QUEUED, 0)


def test_a_run_that_the_pool_does_not_take_is_left_to_others(engine: Engine) -> None:
    run = queued(engine)

    def closed(do: Callable[[UUID], None], run_id: UUID) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    lookout = Lookout(lambda: False, closed, 1, Q())
    assert lookout.look() == 1
    Run.objects.update(dispatched_at=None)
    assert lookout.look() == 1, "it does not count as at work"
    run.refresh_from_db()
    assert run.attempt == 0
