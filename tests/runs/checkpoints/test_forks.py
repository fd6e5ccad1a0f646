"""Replay and fork: a new run from any checkpoint of another, with its own thread, approvals and effects."""

import json
import threading

import pytest
from django.db import connection, connections, transaction

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from runs import lifecycle, threads
from runs.errors import InvalidLimit, NotAllowed
from runs.limits import limits_of
from runs.models import Run, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
LOOK = {"name": "look_up", "args": {"name": "ada"}}


def paid(engine: Engine) -> Run:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    return run


def at_step(run: Run, step: int) -> str:
    return next(one.id for one in threads.checkpoints(run.thread_id) if one.step == step)


def test_it_tells_of_each_checkpoint_what_led_to_it_and_what_came_next(engine: Engine) -> None:
    run = engine.start("stops", {"question": "?"})
    told = [(one.step, one.source, one.after, one.next) for one in threads.checkpoints(run.thread_id)]
    assert told == [(1, "loop", ["begin"], ["act"]), (0, "loop", [], ["begin"]), (-1, "input", [], [])]
    assert [one.step for one in threads.checkpoints(run.thread_id, limit=1)] == [1]


def test_a_fork_runs_dry_unless_somebody_says_otherwise(engine: Engine) -> None:
    run = paid(engine)
    fork = engine.advance(lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.operator)))
    assert (fork.dry_run, fork.status) == (True, RunStatus.WAITING)
    (asked,) = engine.pending(fork)
    engine.decide(asked)
    assert engine.advance(fork).status == RunStatus.SUCCEEDED
    assert ToolCall.objects.get(run=fork).status == CallStatus.SIMULATED
    assert len(engine.effects("pay")) == 1
    assert AuditEntry.objects.filter(action="run.forked", after__dry_run=True).count() == 1


def test_every_checkpoint_of_a_run_can_be_forked(engine: Engine) -> None:
    run = paid(engine)
    found = threads.checkpoints(run.thread_id)
    forks = [engine.advance(lifecycle.fork(run.pk, one.id, actor=Actor.of(engine.operator))) for one in found]
    assert {fork.status for fork in forks} == {RunStatus.WAITING, RunStatus.SUCCEEDED}
    for fork in forks:
        for asked in engine.pending(fork):
            engine.decide(asked)
        assert engine.advance(fork).status == RunStatus.SUCCEEDED, fork.error
    assert [fork.parent_checkpoint for fork in forks] == [one.id for one in found]
    assert len(engine.effects("pay")) == 1


def test_a_fork_may_be_given_other_input(engine: Engine) -> None:
    run = paid(engine)
    script = json.dumps({"turns": [[LOOK]]})
    other = {"messages": [{"role": "user", "content": script}]}
    fork = lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.operator), run_input=other)
    fork = engine.advance(fork)
    assert fork.next_input is None
    assert ToolCall.objects.filter(run=fork, tool="pay").count() == 0


def test_a_fork_of_a_fork_keeps_its_line(engine: Engine) -> None:
    run = paid(engine)
    one = engine.advance(lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.operator)))
    two = engine.advance(lifecycle.fork(one.pk, at_step(one, 1), actor=Actor.of(engine.operator)))
    assert (one.parent_id, two.parent_id) == (run.pk, one.pk)
    assert two.status == RunStatus.WAITING


def test_what_was_said_after_the_cut_is_not_copied(engine: Engine) -> None:
    run = paid(engine)
    fork = lifecycle.fork(run.pk, at_step(run, 0), actor=Actor.of(engine.operator))
    with connection.cursor() as cursor:
        cursor.execute("SELECT thread_id, count(*) FROM checkpoint_blobs GROUP BY 1")
        blobs = dict(cursor.fetchall())
    assert blobs[fork.thread_id] < blobs[run.thread_id]


def test_the_same_post_twice_makes_one_fork(engine: Engine) -> None:
    run, post = paid(engine), new_id()
    made = {lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.operator), as_id=post).pk for _ in range(2)}
    assert made == {post}
    assert Run.objects.filter(parent=run).count() == 1
    assert AuditEntry.objects.filter(action="run.forked").count() == 1


def test_forks_at_the_same_time_are_each_whole(engine: Engine) -> None:
    run = paid(engine)
    cut, made = at_step(run, 1), []

    def fork() -> None:
        try:
            made.append(lifecycle.fork(run.pk, cut, actor=Actor.of(engine.operator)))
        finally:
            connections.close_all()

    together = [threading.Thread(target=fork) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert {engine.advance(each).status for each in made} == {RunStatus.WAITING}
    assert len({each.thread_id for each in made}) == 4


def test_a_run_may_be_forked_while_it_waits(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    (asked,) = engine.pending(run)
    fork = engine.advance(lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.operator)))
    assert [one.pk for one in engine.pending(run)] == [asked.pk]
    assert len(engine.pending(fork)) == 1
    engine.decide(asked)
    assert engine.advance(fork).status == RunStatus.WAITING
    assert engine.advance(run).status == RunStatus.SUCCEEDED


def test_a_reviewer_who_did_not_start_the_run_may_not_fork_it(engine: Engine) -> None:
    run = paid(engine)
    with pytest.raises(NotAllowed), transaction.atomic():
        lifecycle.fork(run.pk, at_step(run, 1), actor=Actor.of(engine.reviewer))
    assert Run.objects.count() == 1


def test_a_run_at_its_limit_goes_on_when_more_is_granted(engine: Engine) -> None:
    agent = engine.script("teller", [LOOK]).agent
    agent.limits = {"model_calls": 1}
    agent.save(update_fields=["limits"])
    run = engine.script("teller", [LOOK])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:model_calls")
    with pytest.raises(InvalidLimit):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"model_calls": 10_000})
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"model_calls": 5})
    run = engine.advance(run)
    assert (run.status, limits_of(run)["model_calls"]) == (RunStatus.SUCCEEDED, 6)
    fork = lifecycle.fork(run.pk, at_step(run, 0), actor=Actor.of(engine.operator))
    assert limits_of(fork)["model_calls"] == 1
