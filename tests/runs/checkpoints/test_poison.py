"""Runs under which workers die, or whose work the database refuses, again and again."""

import json
import time
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from runs import lifecycle
from runs.engine import advance as road
from runs.engine import claims
from runs.engine.advance import advance
from runs.models import Run, Step
from runs.states import RunStatus, StepKind, StepStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
NOBODY = 12_345
INPUT = {"messages": [{"role": "user", "content": json.dumps({"turns": [[PAY]]})}]}


def died(run: Run) -> None:
    """As if a worker had claimed the run, begun a step, and died."""
    claim = claims.claim(run.pk, NOBODY)
    assert claim is not None
    Step.objects.create(
        run=run, key=new_id(), attempt=claim.attempt, kind=StepKind.NODE, name="second",
        status=StepStatus.OPEN, started_at=run.created_at,
    )  # fmt: skip


def test_it_is_parked_with_what_was_at_work_and_goes_on_when_the_cause_is_gone(engine: Engine) -> None:
    run = lifecycle.start("teller", INPUT, actor=Actor.of(engine.operator))
    for _ in range(claims.POISON):
        died(run)
    run = engine.advance(run)
    assert (run.status, run.stop_reason, run.attempt) == (RunStatus.STOPPED, "poison", claims.POISON + 1)
    assert run.error is not None
    assert run.error["kind"] == "poison"
    assert [death["attempt"] for death in run.error["evidence"]] == list(range(1, claims.POISON + 1))
    assert {tuple(death["at_work"]) for death in run.error["evidence"]} == {("node second",)}
    assert not Step.objects.filter(run=run, status=StepStatus.OPEN).exists()
    advance(run.pk)
    run.refresh_from_db()
    assert run.attempt == claims.POISON + 1
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, run.counters["deaths"]) == (RunStatus.WAITING, 0)


def test_its_page_shows_the_evidence(engine: Engine, client: Client) -> None:
    run = lifecycle.start("teller", INPUT, actor=Actor.of(engine.operator))
    for _ in range(claims.POISON):
        died(run)
    engine.advance(run)
    client.force_login(engine.operator)
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "Attempt 6 died at:" in page
    assert "node second" in page
    assert "Continue from the last checkpoint" in page
    assert "The run failed." not in page


def test_work_that_the_database_refuses_every_time_is_no_hot_loop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    def refuse(self: object) -> None:
        raise OperationalError("the row is too big")

    monkeypatch.setattr(road._Attempt, "work", refuse)
    run = lifecycle.start("teller", INPUT, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, run.stop_reason, run.attempt) == (RunStatus.STOPPED, "unavailable", road.RETURNS)
    assert run.error is not None
    assert "the row is too big" in run.error["message"]
    assert sum(slept) > 10
    monkeypatch.undo()
    monkeypatch.setenv("EFFECTS_FILE", str(engine.effects_file))
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert engine.advance(run).status == RunStatus.WAITING


def test_a_run_whose_end_cannot_be_written_is_given_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run, settle = lifecycle.start("teller", INPUT, actor=Actor.of(engine.operator)), road._settle
    failed: list[bool] = []

    def once(*args: Any) -> bool:
        if not failed:
            failed.append(True)
            raise OperationalError("server closed the connection unexpectedly")
        return settle(*args)

    monkeypatch.setattr(road, "_settle", once)
    run = engine.advance(run)
    assert (run.status, run.attempt, len(engine.pending(run))) == (RunStatus.WAITING, 2, 1)
