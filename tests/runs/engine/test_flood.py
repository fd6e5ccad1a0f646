"""One agent floods nobody: its runs wait for room, and it asks people no more than so much at a time."""

import threading
from collections.abc import Callable, Generator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from django.db import connections

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, decode
from approvals import switches
from approvals.models import Approval, Tool
from runs import lifecycle
from runs import sweep as sweeping
from runs.engine import claims
from runs.engine.advance import advance
from runs.engine.claims import Claim
from runs.engine.locks import Presence
from runs.errors import InvalidLimit
from runs.models import Agent, Run, ToolCall
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
PAY_BOB = {"name": "pay", "args": {"to": "bob", "amount": "1.00"}}


@pytest.fixture
def presence() -> Generator[Presence]:
    presence = Presence()
    yield presence
    presence.close()


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The runs that somebody was told of, by the sweep or by a run that let go."""
    found: list[UUID] = []
    for module in (sweeping, claims):
        monkeypatch.setattr(module, "hint", lambda task, run_id: found.append(UUID(run_id)))
    monkeypatch.setattr(sweeping, "PATIENCE", timedelta(0))
    monkeypatch.setattr(sweeping, "AGAIN", timedelta(0))
    return found


def limit(**limits: int) -> None:
    Agent.objects.update(limits=limits)


def queued(engine: Engine) -> Run:
    return lifecycle.start(
        "teller", {"messages": [{"role": "user", "content": '{"turns": []}'}]}, actor=Actor.of(engine.operator)
    )


def at_work(engine: Engine, presence: Presence) -> Claim:
    claim = claims.claim(queued(engine).pk, presence.key())
    assert claim is not None
    return claim


def together(*acts: Callable[[], object]) -> None:
    def run(act: Callable[[], object]) -> None:
        try:
            act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_run_beyond_the_limit_stays_queued_and_goes_on_when_one_ends(
    engine: Engine, presence: Presence, hinted: list[UUID]
) -> None:
    limit(concurrent_runs=1)
    first, second = at_work(engine, presence), queued(engine)
    for _ in range(2):
        second = engine.advance(second)
    assert (second.status, second.attempt, second.held_at is None) == (RunStatus.QUEUED, 0, False)
    assert AuditEntry.objects.filter(run_id=second.pk, action="run.held").count() == 1
    assert hinted == []

    claims.release(first, RunStatus.SUCCEEDED)
    assert hinted == [second.pk]
    second = engine.advance(second)
    assert (second.status, second.held_at) == (RunStatus.SUCCEEDED, None)


def test_who_came_first_goes_first(engine: Engine, presence: Presence, hinted: list[UUID]) -> None:
    limit(concurrent_runs=1)
    first, second, third = at_work(engine, presence), queued(engine), queued(engine)
    engine.advance(second)
    engine.advance(third)
    claims.release(first, RunStatus.SUCCEEDED)
    assert engine.advance(third).status == RunStatus.QUEUED
    assert engine.advance(queued(engine)).status == RunStatus.QUEUED
    assert engine.advance(second).status == RunStatus.SUCCEEDED
    assert third.pk in hinted
    assert engine.advance(third).status == RunStatus.SUCCEEDED


def test_the_sweep_tells_of_as_many_as_there_is_room_for(engine: Engine, presence: Presence, hinted: list[UUID]) -> None:
    limit(concurrent_runs=1)
    at_work(engine, presence)
    line = [engine.advance(queued(engine)) for _ in range(4)]
    sweeping.sweep()
    assert hinted == []
    limit(concurrent_runs=3)
    sweeping.sweep()
    assert hinted == [run.pk for run in line[:2]]


def test_a_claim_from_the_line_tells_the_next_where_there_is_more_room(
    engine: Engine, presence: Presence, hinted: list[UUID]
) -> None:
    limit(concurrent_runs=1)
    at_work(engine, presence)
    second, third = (engine.advance(queued(engine)) for _ in range(2))
    limit(concurrent_runs=3)
    claims.claim(second.pk, presence.key())
    assert hinted == [third.pk]


def test_claims_at_the_same_moment_pass_no_limit(engine: Engine, presence: Presence) -> None:
    limit(concurrent_runs=2)
    runs, key = [queued(engine) for _ in range(6)], presence.key()
    together(*(partial(claims.claim, run.pk, key) for run in runs))
    found = list(Run.objects.values_list("status", flat=True))
    assert (found.count("running"), found.count("queued")) == (2, 4)


def test_a_run_whose_people_have_decided_waits_for_room_too(engine: Engine, presence: Presence) -> None:
    limit(concurrent_runs=1)
    run = engine.script("teller", [PAY])
    first = at_work(engine, presence)
    engine.decide(engine.pending(run)[0])
    assert engine.advance(run).status == RunStatus.QUEUED
    assert engine.effects() == []
    claims.release(first, RunStatus.SUCCEEDED)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1


def test_a_run_that_waits_for_room_is_cancelled_at_once(engine: Engine, presence: Presence) -> None:
    limit(concurrent_runs=1)
    at_work(engine, presence)
    run = engine.advance(queued(engine))
    cancelled = lifecycle.cancel(run.pk, actor=Actor.of(engine.operator))
    assert (cancelled.status, cancelled.held_at) == (RunStatus.CANCELLED, None)


def test_runs_of_other_agents_have_room_of_their_own(engine: Engine, presence: Presence) -> None:
    limit(concurrent_runs=1)
    at_work(engine, presence)
    assert engine.start("asks", {"question": "How many?"}).status == RunStatus.WAITING


def test_a_dead_workers_run_is_taken_over_however_many_are_at_work(engine: Engine, presence: Presence) -> None:
    limit(concurrent_runs=1)
    run = at_work(engine, presence).run
    Run.objects.filter(pk=run.pk).update(claimed_by=12_345)
    assert engine.advance(run).status == RunStatus.SUCCEEDED


def test_a_run_that_would_ask_too_much_is_stopped_and_goes_on_with_more(engine: Engine) -> None:
    limit(pending_approvals=1)
    first = engine.script("teller", [PAY])
    run = engine.script("teller", [PAY])
    assert (first.status, run.status, run.stop_reason) == (RunStatus.WAITING, RunStatus.STOPPED, "limit:pending_approvals")
    assert run.error is not None
    assert run.error["message"].startswith("As many approvals of its agent wait as may: 1.")
    assert Approval.objects.count() == 1
    with pytest.raises(InvalidLimit):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"concurrent_runs": 1})
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"pending_approvals": 1})
    run = engine.advance(run)
    assert (run.status, len(engine.pending(run))) == (RunStatus.WAITING, 1)


def test_what_it_asked_before_it_was_stopped_is_asked_again(engine: Engine) -> None:
    limit(pending_approvals=1)
    run = engine.script("teller", [PAY, PAY_BOB])
    assert (run.status, engine.pending(run)) == (RunStatus.STOPPED, [])
    assert Approval.objects.get().status == "withdrawn"
    limit(pending_approvals=2)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    for approval in engine.pending(run):
        engine.decide(approval)
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert sorted(e["to"] for e in engine.effects("pay")) == ["ada", "bob"]
    assert ToolCall.objects.filter(run=run).count() == 2
    assert AuditEntry.objects.filter(run_id=run.pk, action="call.asked").count() == 3


def asked_and_stopped(engine: Engine) -> Run:
    """A run whose call waited for people when it was stopped: the question was withdrawn."""
    limit(pending_approvals=1)
    run = engine.script("teller", [PAY, PAY_BOB])
    limit(pending_approvals=2)
    return run


def test_what_is_asked_again_is_what_was_asked_under_other_code(engine: Engine) -> None:
    run = asked_and_stopped(engine)
    row = ToolCall.objects.get()
    old = "sha256:" + "0" * 64
    digest = action_digest("teller", "pay", old, decode(row.asked_args))
    ToolCall.objects.filter(pk=row.pk).update(schema_version=old, digest=digest)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    for approval in engine.pending(run):
        engine.decide(approval)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert sorted(e["to"] for e in engine.effects("pay")) == ["ada", "bob"]
    assert not AuditEntry.objects.filter(action="call.tampered").exists()


def test_nobody_is_asked_again_about_what_is_switched_off(engine: Engine) -> None:
    run = asked_and_stopped(engine)
    switches.switch(Tool.objects.get(agent="teller", name="pay"), on=False, actor=Actor.of(engine.operator))
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, engine.pending(run)) == (RunStatus.SUCCEEDED, [])
    assert set(ToolCall.objects.values_list("status", flat=True)) == {"denied"}
    assert engine.effects("pay") == []


def test_an_agents_own_questions_count_as_well(engine: Engine) -> None:
    limit(pending_approvals=1)
    engine.start("asks", {"question": "How many?"})
    run = engine.start("asks", {"question": "How many?"})
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:pending_approvals")
    assert engine.start("stops", {"question": "?"}).status == RunStatus.WAITING
    assert engine.start("stops", {"question": "?"}).stop_reason == "limit:pending_approvals"
    limit(pending_approvals=2)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert engine.advance(run).status == RunStatus.WAITING


def test_runs_that_ask_at_the_same_moment_pass_no_limit(engine: Engine) -> None:
    limit(pending_approvals=2)
    script = '{"turns": [[{"name": "pay", "args": {"to": "ada", "amount": "1.00"}}]]}'
    said = {"messages": [{"role": "user", "content": script}]}
    runs = [lifecycle.start("teller", said, actor=Actor.of(engine.operator)) for _ in range(4)]
    together(*(partial(advance, run.pk) for run in runs))
    found = list(Run.objects.values_list("status", flat=True))
    assert (found.count("waiting"), found.count("stopped")) == (2, 2)
    assert Approval.objects.filter(status="pending").count() == 2
