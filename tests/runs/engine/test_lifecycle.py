import json

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from runs import lifecycle, threads
from runs.errors import InputTooLarge, NotAllowed, NotEnded, NotLive, UnknownAgent, UnknownCheckpoint
from runs.models import ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def test_it_forks_into_a_run_that_asks_again_and_leaves_the_old_one_as_it_is(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    before_tools = next(one.id for one in threads.checkpoints(run.thread_id) if one.step == 1)

    fork = lifecycle.fork(run.pk, before_tools, actor=Actor.of(engine.operator), dry_run=False)
    fork = engine.advance(fork)

    assert (fork.parent_id, fork.status) == (run.pk, RunStatus.WAITING)
    assert len(engine.effects("pay")) == 1
    engine.decide(engine.pending(fork)[0])
    assert engine.advance(fork).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 2
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert AuditEntry.objects.filter(action="run.forked", run_id=fork.pk).count() == 1


def test_it_refuses_to_fork_from_a_checkpoint_that_is_not_there(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    with pytest.raises(UnknownCheckpoint):
        lifecycle.fork(run.pk, "1ef0-none", actor=Actor.of(engine.operator))
    with pytest.raises(NotAllowed):
        lifecycle.fork(run.pk, "x", actor=Actor.of(User.objects.create_user("stranger")))


def test_it_takes_new_input_and_drops_what_it_was_asking(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    (old,) = engine.pending(run)
    script = json.dumps({"turns": []})
    lifecycle.give_input(run.pk, {"messages": [{"role": "user", "content": script}]}, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    old.refresh_from_db()
    assert (old.status, ToolCall.objects.get(run=run).status) == ("superseded", CallStatus.WITHDRAWN)
    assert run.next_input is None
    assert sum(m["type"] == "human" for m in engine.output(run)["messages"]) == 2
    assert engine.effects() == []


def test_it_takes_no_new_input_while_the_run_has_failed(engine: Engine) -> None:
    run = engine.start("raises", {"question": "?"})
    with pytest.raises(NotLive):
        lifecycle.give_input(run.pk, {}, actor=Actor.of(engine.operator))


def test_it_refuses_bad_input_at_the_door(engine: Engine) -> None:
    actor = Actor.of(engine.operator)
    with pytest.raises(InputTooLarge):
        lifecycle.start("teller", {"text": "x" * 300_000}, actor=actor)
    with pytest.raises(UnknownAgent):
        lifecycle.start("nobody", {}, actor=actor)
    with pytest.raises(UnknownAgent):
        lifecycle.start("teller", {}, actor=Actor.of(User.objects.create_user("stranger")))


def test_it_continues_only_what_failed_or_was_stopped(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    with pytest.raises(NotEnded):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))


def test_it_cancels_once(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    for _ in range(2):
        assert lifecycle.cancel(run.pk, actor=Actor.of(engine.operator)).status == RunStatus.CANCELLED
    assert AuditEntry.objects.filter(action="run.cancel_requested").count() == 1
    assert engine.advance(run).status == RunStatus.CANCELLED
    with pytest.raises(NotLive):
        lifecycle.cancel(run.pk, actor=Actor("somebody else", "cli"))
