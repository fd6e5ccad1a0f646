"""What is kept of runs, and for how long: retention, erasure, the size of checkpoints."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import Settings

from agentdesk.audit.erasure import erase_contents
from agentdesk.audit.models import AuditContent, AuditEntry
from agentdesk.audit.record import Actor
from approvals.models import Approval, Decision, Evaluation
from runs import lifecycle, retention, threads
from runs.errors import InvalidReason, NotAllowed, NotEnded, Pruned, UnknownCheckpoint
from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

SECRET = "Ada-Lovelace-47986"
PAY = {"name": "pay", "args": {"to": SECRET, "amount": "12.50"}}


def paid(engine: Engine) -> Run:
    script = json.dumps({"turns": [[PAY]]})  # its first line, the run's title, tells the secret too
    run = engine.start("teller", {"messages": [{"role": "user", "content": script}]})
    engine.decide(engine.pending(run)[0], message="Checked with the bank.")
    return engine.advance(run)


def ended_days_ago(run: Run, days: int) -> Run:
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(days=days))
    run.refresh_from_db()
    return run


def facts_of(action: str) -> dict[str, Any]:
    after = AuditEntry.objects.get(action=action).after
    assert isinstance(after, dict)
    return after


def rows_that_hold(text: str, *tables: str) -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{text}%"])  # noqa: S608 - names of our own
            found[table] = cursor.fetchone()[0]
    return found


# --- retention ------------------------------------------------------------------------------------------------------------


def test_it_takes_checkpoints_away_by_age_and_state(engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"succeeded": "30", "cancelled": "1"}
    old, young = ended_days_ago(paid(engine), 31), ended_days_ago(paid(engine), 29)
    failed = ended_days_ago(engine.start("raises", {"question": "?"}), 400)
    waiting = engine.script("teller", [PAY])
    assert retention.prune(retention.due()) == 1
    assert {run.pk for run in (old, young, failed, waiting) if not threads.checkpoints(run.thread_id)} == {old.pk}
    old.refresh_from_db()
    assert old.pruned_at is not None
    assert facts_of("run.pruned")["because"] == "succeeded for more than 30 days"
    assert retention.due() == []


def test_it_keeps_everything_where_nothing_is_set(engine: Engine) -> None:
    ended_days_ago(paid(engine), 10_000)
    assert retention.due() == []


def test_it_refuses_ages_for_runs_that_have_not_ended(settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"waiting": "1"}
    with pytest.raises(ValueError, match="always kept: waiting"):
        retention.ages()


def test_a_run_without_checkpoints_does_not_begin_anew(engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"succeeded": "1", "failed": "1"}
    run, failed = ended_days_ago(paid(engine), 2), ended_days_ago(engine.start("raises", {"question": "?"}), 2)
    cut = threads.checkpoints(run.thread_id)[0].id
    assert retention.prune(retention.due()) == 2
    with pytest.raises(Pruned):
        lifecycle.give_input(run.pk, {"messages": []}, actor=Actor.of(engine.operator))
    with pytest.raises(Pruned):
        lifecycle.continue_(failed.pk, actor=Actor.of(engine.operator))
    with pytest.raises(UnknownCheckpoint):
        lifecycle.fork(run.pk, cut, actor=Actor.of(engine.operator))
    assert len(engine.effects("pay")) == 1


def test_a_run_that_went_on_since_it_was_found_is_left_alone(engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"succeeded": "1"}
    run = ended_days_ago(paid(engine), 2)
    found = retention.due()
    lifecycle.give_input(run.pk, {"messages": []}, actor=Actor.of(engine.operator))
    assert retention.prune(found) == 0
    assert threads.checkpoints(run.thread_id) != []


def test_the_command_lists_first_and_then_does(engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINTS_KEEP_DAYS = {"succeeded": "1"}
    run = ended_days_ago(paid(engine), 2)
    assert [row["id"] for row in said("runs", "prune", "--dry-run")] == [str(run.pk)]
    assert threads.checkpoints(run.thread_id) != []
    assert [row["id"] for row in said("runs", "prune")] == [str(run.pk)]
    assert threads.checkpoints(run.thread_id) == []


# --- erasure --------------------------------------------------------------------------------------------------------------


def test_it_erases_what_was_said_and_keeps_who_decided_what(engine: Engine) -> None:
    run = paid(engine)
    before = Decision.objects.get()
    Decision.objects.update(void_reason=f"The agent refused the answer: input_value={SECRET}")
    erased = said("runs", "erase", run.pk, "--reason", "Request 17 of the person concerned", "--as", "olga")
    assert erased["contents_of_the_record"] > 0
    tables = [
        "runs_run", "runs_step", "runs_toolcall", "approvals_approval", "approvals_decision", "approvals_evaluation",
        "audit_auditcontent", "audit_auditentry", "checkpoints", "checkpoint_blobs", "checkpoint_writes",
    ]  # fmt: skip
    assert rows_that_hold(SECRET, *tables) == dict.fromkeys(tables, 0)
    after = Decision.objects.get()
    kept = ("verdict", "decided_by_id", "decided_at", "digest", "message", "consumed_at", "delivered_at", "policy_version")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    call, approval = ToolCall.objects.get(), Approval.objects.get()
    assert (call.status, call.executed_digest, approval.status) == (CallStatus.SUCCEEDED, before.digest, "decided")
    assert {one.verdict for one in Evaluation.objects.all()} == {"ask"}
    assert Step.objects.filter(run=run, kind="tool").get().data["call"] == str(call.pk)
    entry = AuditEntry.objects.get(action="run.erased")
    assert (entry.actor_id, facts_of("run.erased")["because"]) == (engine.operator.pk, "Request 17 of the person concerned")
    assert AuditEntry.objects.filter(run_id=run.pk).exclude(commitment="").exists()


def test_the_pages_of_an_erased_run_still_open(engine: Engine, client: Any) -> None:
    run = paid(engine)
    said("runs", "erase", run.pk, "--reason", "asked for")
    client.force_login(engine.operator)
    for address in (f"/runs/{run.pk}/", f"/runs/{run.pk}/checkpoints/", f"/approvals/{Approval.objects.get().pk}/"):
        response = client.get(address)
        assert response.status_code == 200
        assert SECRET not in response.content.decode()
    assert "Content erased" in client.get(f"/runs/{run.pk}/").content.decode()


def test_only_operators_erase_with_a_reason_and_after_the_end(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    with pytest.raises(NotEnded):
        retention.erase(run.pk, actor=Actor.of(engine.operator), reason="x")
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    with pytest.raises(NotAllowed):
        retention.erase(run.pk, actor=Actor.of(engine.reviewer), reason="x")
    with pytest.raises(InvalidReason):
        retention.erase(run.pk, actor=Actor.of(engine.operator), reason=" ")
    for _ in range(2):
        retention.erase(run.pk, actor=Actor.of(engine.operator), reason="x")
    assert Run.objects.get(pk=run.pk).erased_at is not None
    with pytest.raises(CommandError):
        said("runs", "erase", run.pk, "--reason", "x", "--as", "rita")


def test_the_desk_itself_takes_nothing_out_of_the_record(engine: Engine) -> None:
    run = paid(engine)
    held = AuditContent.objects.count()
    with pytest.raises(DatabaseError, match="permission denied"):
        erase_contents(run.pk, using="default")
    assert AuditContent.objects.count() == held


# --- size -----------------------------------------------------------------------------------------------------------------


def test_a_state_that_grows_too_large_stops_its_run_and_names_the_limit(engine: Engine, settings: Settings) -> None:
    settings.CHECKPOINT_MAX_BYTES = 2_000
    run = engine.start("asks", {"question": "x" * 3_000})
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:checkpoint_bytes")
    assert run.error is not None
    assert "checkpoint bytes" in run.error["message"]
    blobs = engine.script("teller", [{"name": "pay", "args": {"to": "x" * 3_000, "amount": "1"}}])
    assert (blobs.status, blobs.stop_reason) == (RunStatus.STOPPED, "limit:checkpoint_bytes")
    settings.CHECKPOINT_MAX_BYTES = 1_000_000
    lifecycle.continue_(blobs.pk, actor=Actor.of(engine.operator))
    assert engine.advance(blobs).status == RunStatus.WAITING


def said(*words: object) -> Any:
    out = StringIO()
    call_command(*(str(word) for word in words), "--json", stdout=out)
    return json.loads(out.getvalue())
