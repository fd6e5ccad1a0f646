"""The drill of docs/backup.md: a dump under load, a restore into a new database, and nothing executed twice."""

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from agentdesk.audit.record import Actor
from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.programs import postgresql_folder
from approvals.models import Approval
from runs import lifecycle
from runs import sweep as sweeping
from runs.engine import process
from runs.models import Run, ToolCall
from runs.states import CallStatus, RunStatus
from runs.tools.restored import CAUTION
from tests.conftest import database, database_name
from tests.runs.engine.conftest import Engine
from tests.services import SUPERUSER_URL


def pay(to: str) -> list[dict[str, object]]:
    return [{"name": "pay", "args": {"to": to, "amount": "1.00"}}]


def program(name: str, *arguments: str) -> None:
    folder = postgresql_folder(service_account()) / "bin"
    done = subprocess.run([folder / name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def address(name: str) -> str:
    return os.environ[SUPERUSER_URL].rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def restored() -> Generator[str]:
    """The name of an empty database, dropped afterwards."""
    name, owner = f"{database_name()}_restored", connections["owner"].settings_dict["USER"]
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        connection.execute(drop)
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(sql.Identifier(name), sql.Identifier(owner))
        )
        yield name
        connection.execute(drop)


class Load:
    """Runs that are started, decided and driven while the dump is made."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.enough, self.done = engine, threading.Event(), 0
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(2)]

    def work(self, worker: int) -> None:
        try:
            while not self.enough.is_set():
                run = self.engine.script("teller", pay(f"load-{worker}-{self.done}"))
                self.engine.decide(self.engine.pending(run)[0])
                assert self.engine.advance(run).status == RunStatus.SUCCEEDED
                self.done += 1
        finally:
            connections.close_all()

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.enough.set()
        for thread in self.threads:
            thread.join()


def test_a_dump_under_load_is_restored_and_nothing_runs_twice(engine: Engine, tmp_path: Path, restored: str) -> None:
    waiting = engine.script("teller", pay("waiting"))
    decided = engine.script("teller", pay("decided"))
    executing = engine.script("teller", pay("executing"))
    queued = lifecycle.start("teller", executing.input, actor=Actor.of(engine.operator))
    engine.decide(engine.pending(decided)[0])
    dump = str(tmp_path / "desk.dump")
    with Load(engine) as load:
        while not load.done:
            threading.Event().wait(0.05)
        program("pg_dump", "--format=custom", f"--file={dump}", address(database_name()))
    # After the backup was made, the old desk goes on for a while.
    engine.decide(engine.pending(waiting)[0])
    for run in (waiting, decided):
        assert engine.advance(run).status == RunStatus.SUCCEEDED
    paid = Counter(effect["to"] for effect in engine.effects("pay"))
    assert max(paid.values()) == 1
    process.close()

    program("pg_restore", f"--dbname={address(restored)}", dump)
    with database(restored):
        call_command("runs", "restored", "--json")
        for run_id in Run.objects.values_list("pk", flat=True):
            engine.advance(Run.objects.get(pk=run_id))
        sweeping.sweep()
        assert Counter(effect["to"] for effect in engine.effects("pay")) == paid

        (asked,) = engine.pending(waiting)
        assert (asked.reopened_because, asked.version) == (CAUTION, 2)
        queued.refresh_from_db()
        assert (queued.status, queued.stop_reason) == (RunStatus.STOPPED, "restored")
        assert not Run.objects.filter(status__in=[RunStatus.QUEUED, RunStatus.RUNNING]).exists()

        engine.decide(asked, "reject", message="It was paid: the bank shows it.")
        assert engine.advance(waiting).status == RunStatus.SUCCEEDED
        for doubt in Approval.objects.filter(kind="in_doubt", status="pending"):
            engine.decide(doubt, "respond", answer="happened")
        lifecycle.continue_(decided.pk, actor=Actor.of(engine.operator))
        assert engine.advance(decided).status == RunStatus.SUCCEEDED
        assert ToolCall.objects.get(run=decided).status == CallStatus.SUCCEEDED
        assert Counter(effect["to"] for effect in engine.effects("pay")) == paid
        process.close()


def test_a_call_that_did_not_run_before_the_restore_can_be_run_after_it(engine: Engine) -> None:
    run = engine.script("teller", pay("decided"))
    engine.decide(engine.pending(run)[0])
    for _ in range(2):
        call_command("runs", "restored", "--json")
    assert engine.advance(run).stop_reason == "restored"
    engine.decide(engine.pending(run)[0], "respond", answer="retry")
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert [effect["to"] for effect in engine.effects("pay")] == ["decided"]
