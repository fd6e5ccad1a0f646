import contextlib
import time
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
import redis
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from agentdesk.celery import app
from agentdesk.ids import new_id
from agentdesk.live.push import flush
from approvals.models import Decision
from runs import queues, tasks
from runs import sweep as sweeping
from runs.engine import claims
from runs.engine.locks import Presence
from runs.models import Agent, Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
NOBODY = 12_345


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> set[UUID]:
    """The runs that the sweep hints at."""
    found: set[UUID] = set()
    monkeypatch.setattr(sweeping, "hint", lambda task, run_id: found.add(UUID(run_id)))
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the time to wait for a hint that is on its way had passed."""
    monkeypatch.setattr(sweeping, "PATIENCE", timedelta(0))
    monkeypatch.setattr(sweeping, "AGAIN", timedelta(0))


def running(engine: Engine, key: int) -> Run:
    run = engine.script("teller", [PAY])
    hinted_long_ago = timezone.now() - timedelta(minutes=1)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, claimed_by=key, dispatched_at=hinted_long_ago)
    return run


def test_it_finds_a_run_whose_process_is_gone(engine: Engine, hinted: set[UUID]) -> None:
    run = running(engine, NOBODY)
    sweeping.sweep()
    assert hinted == {run.pk}


def test_it_lets_a_run_alone_whose_process_is_alive(engine: Engine, hinted: set[UUID]) -> None:
    presence = Presence()
    run = running(engine, presence.key())
    sweeping.sweep()
    assert hinted == set()
    assert claims.claim(run.pk, NOBODY) is None
    presence.close()
    until = time.monotonic() + 10  # the server ends a connection in its own time
    while not hinted and time.monotonic() < until:
        sweeping.sweep()
    assert hinted == {run.pk}


def test_it_hints_at_an_orphan_sooner_than_at_others(engine: Engine, hinted: set[UUID]) -> None:
    run = running(engine, NOBODY)
    Run.objects.filter(pk=run.pk).update(dispatched_at=timezone.now() - timedelta(seconds=3))
    other = engine.script("teller", [PAY])
    long_ago = timezone.now() - timedelta(minutes=1)
    just_now = timezone.now() - timedelta(seconds=3)
    Run.objects.filter(pk=other.pk).update(status=RunStatus.QUEUED, changed_at=long_ago, dispatched_at=just_now)
    sweeping.sweep()
    assert hinted == {run.pk}


def test_it_finds_what_nobody_took_up(engine: Engine, hinted: set[UUID]) -> None:
    long_ago = timezone.now() - timedelta(minutes=1)
    run = engine.script("teller", [PAY])
    Run.objects.filter(pk=run.pk).update(status=RunStatus.QUEUED, changed_at=long_ago, dispatched_at=None)
    sweeping.sweep()
    assert hinted == {run.pk}


def test_it_finds_a_decision_that_was_not_handed_over(engine: Engine, hinted: set[UUID], patient: None) -> None:
    run = engine.script("teller", [PAY])
    sweeping.sweep()
    assert hinted == set()
    engine.decide(engine.pending(run)[0])
    sweeping.sweep()
    assert hinted == {run.pk}


def test_it_does_not_hint_again_at_once(engine: Engine, hinted: set[UUID]) -> None:
    running(engine, NOBODY)
    sweeping.sweep()
    hinted.clear()
    sweeping.sweep()
    assert hinted == set()


def test_it_fills_a_queue_no_further_and_hints_first_at_who_was_hinted_at_longest_ago(
    engine: Engine, hinted: set[UUID], patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 3)
    now = timezone.now()
    runs = [running(engine, NOBODY) for _ in range(3)]
    for run, minutes in zip(runs, (1, 3, 2), strict=True):
        Run.objects.filter(pk=run.pk).update(dispatched_at=now - timedelta(minutes=minutes))
    assert sweeping.sweep(lambda queue: 3) == 0
    assert sweeping.sweep(lambda queue: 7) == 0
    assert hinted == set()
    assert sweeping.sweep(lambda queue: 2) == 1
    assert hinted == {runs[1].pk}
    assert sweeping.sweep(lambda queue: 2) == 1
    assert hinted == {runs[1].pk, runs[2].pk}


def test_it_counts_what_waits_in_a_queue() -> None:
    queue = f"test-{new_id()}"
    assert tasks._waiting(app, queue) == 0
    with contextlib.closing(redis.Redis.from_url(settings.BROKER_URL)) as broker:
        broker.lpush(queue, "one", "two")
        try:
            assert tasks._waiting(app, queue) == 2
        finally:
            broker.delete(queue)


def test_every_run_is_in_the_share_of_the_queue_that_its_hints_go_to(engine: Engine) -> None:
    manifests = ["/a/langgraph.json", "/b/langgraph.json"]
    runs = [engine.script("teller", [PAY]) for _ in range(3)]
    for run, manifest in zip(runs, [*manifests, "/gone/langgraph.json"], strict=True):
        agent = Agent.objects.create(slug=f"agent-{run.pk}"[:60], team_id=run.team_id, manifest=manifest)
        Run.objects.filter(pk=run.pk).update(agent=agent)
    with override_settings(AGENTS=manifests):
        for run in runs:
            assert [queue for queue, share in queues.shares() if Run.objects.filter(share, pk=run.pk)] == [
                queues.queue_of(run.pk)
            ]


def test_it_marks_a_decision_that_comes_after_the_end(engine: Engine, hinted: set[UUID], patient: None) -> None:
    run = engine.script("teller", [PAY])
    engine.decide(engine.pending(run)[0])
    Run.objects.filter(pk=run.pk).update(status=RunStatus.FAILED)
    sweeping.sweep()
    assert hinted == set()
    assert Decision.objects.get().delivered_at is not None


def test_one_of_two_claims_an_orphan(engine: Engine) -> None:
    run = running(engine, NOBODY)
    presence = Presence()
    first, second = claims.claim(run.pk, presence.key()), claims.claim(run.pk, presence.key())
    assert first is not None
    assert first.orphaned
    assert second is None
    run.refresh_from_db()
    assert (run.attempt, run.counters["deaths"]) == (first.attempt, 1)
    presence.close()


def test_an_older_attempt_can_neither_release_nor_write(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    presence = Presence()
    old = claims.claim(run.pk, presence.key())
    assert old is not None
    Run.objects.filter(pk=run.pk).update(claimed_by=NOBODY)
    new = claims.claim(run.pk, presence.key())
    assert new is not None
    assert not claims.release(old, RunStatus.FAILED)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.RUNNING, new.attempt)
    presence.close()


def test_a_wish_that_comes_while_a_run_is_held_is_not_lost(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    presence = Presence()
    claim = claims.claim(run.pk, presence.key())
    assert claim is not None
    assert claims.want(run.pk)
    assert claims.claim(run.pk, presence.key()) is None
    assert claims.release(claim, RunStatus.WAITING)
    presence.close()


def test_a_presence_takes_a_new_key_after_its_connection_was_lost(engine: Engine) -> None:
    presence = Presence()
    before = presence.key()
    with psycopg.connect(claims_conninfo(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", (before,))
    assert presence.key() != before
    presence.close()
    flush()


def claims_conninfo() -> str:
    from runs.engine.locks import conninfo

    return conninfo()


def test_a_decision_by_a_clock_that_is_ahead_wakes_its_run(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    assert not claims.want(run.pk), "nobody has decided"
    engine.decide(engine.pending(run)[0])
    Decision.objects.update(decided_at=timezone.now() + timedelta(minutes=1))
    assert claims.want(run.pk)
