"""The desk that is put to the test: servers, processes and payment server of its own, steered from outside.

Nothing here imports Django: runs are started and decided over HTTP, processes get signals, and what came of it is read by SQL.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.embedded.postgresql import SUPERUSER
from tests.desk import answers
from tests.faults.messages import message
from tests.faults.payments import Payments
from tests.services import CHECKOUT, Services

START_SECONDS = 90.0
HERE = Path(__file__).resolve().parent
INSTANCE = "faults"
RUNS, DESK = f"{INSTANCE}.runs", f"{INSTANCE}.desk"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
GROUPS = ("web", "runs", "desk", "beat")  # each has fault points of its own


@dataclass
class Child:
    """A process of the desk: how it was started, and which process it is now."""

    group: str
    argv: list[str]
    environment: dict[str, str]
    pid: int = 0
    log_from: int = 0  # where the log of this process begins in the log of all that had its name


class Stage:
    """``with Stage() as stage``: everything runs; afterwards nothing does, and the folder is gone."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}
        self.ports: dict[str, int] = {}
        self.leaving: list[Callable[[], None]] = []  # what clients do when a line is over
        self.payments = Payments()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        try:
            self._raise()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def _raise(self) -> None:
        self._stack.callback(self.payments.close)
        usual = dict(os.environ)
        self.services = Services()
        self._stack.callback(self.services.stop)
        self.services.start()  # it writes its addresses into this process's environment
        self.folder = self.services.folder / "state"
        self.environment = os.environ | {
            "AGENTDESK_INSTANCE": INSTANCE,
            "AGENTDESK_DEMO": "1",
            "AGENTDESK_EMBEDDED": "1",
            "AGENTDESK_STATE_DIR": str(self.folder),
            "AGENTDESK_AGENTS": str(self.folder / "agents/langgraph.json"),
            "PAYMENTS_PORT": str(self.payments.port),
            "SUPPORT_MAIL_DIR": str(self.folder / "mail"),
            "SUPPORT_TOKEN_DELAY": "0",
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }
        os.environ.clear()
        os.environ.update(usual)
        self.agents = self.folder / "agents"  # a copy, which a test may bring a new release of
        shutil.copytree(HERE / "agents", self.agents)
        shutil.copy(CHECKOUT / "tests/agents/script.py", self.agents)
        shutil.copytree(CHECKOUT / "examples/support/support", self.agents / "support")
        self.faults = {group: Faults(self.folder / f"faults-{group}") for group in GROUPS}
        seeded = json.loads(self.python("-m", "tests.faults.seed"))
        self.tokens: dict[str, str] = seeded["tokens"]
        self.tickets: list[Any] = seeded["tickets"]  # of the support agent, as inputs of runs
        self.connection = self._connect()
        self._stack.callback(lambda: self.connection.close())
        self.broker = redis.Redis.from_url(self.environment["REDIS_URL"])
        self._stack.callback(self.broker.close)
        self._start_nursery()

    def _connect(self) -> "psycopg.Connection[dict[str, Any]]":
        return psycopg.connect(self.services.postgresql.url(SUPERUSER), autocommit=True, row_factory=dict_row)

    def python(self, *arguments: str) -> str:
        """What a Python in the desk's environment prints. Raises RuntimeError where it fails."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _start_nursery(self) -> None:
        log = self._stack.enter_context((self.folder / "nursery.log").open("w"))
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"], cwd=CHECKOUT, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
        self._stack.callback(self._end_nursery)
        if self._nurse_says() != "ready":
            raise RuntimeError((self.folder / "nursery.log").read_text())

    def _nurse_says(self) -> str:
        assert self.nursery.stdout is not None
        return self.nursery.stdout.readline().strip()

    def _end_nursery(self) -> None:
        self.stop_all()
        self.nursery.kill()
        self.nursery.communicate()

    # --- processes --------------------------------------------------------------------------------------------------------

    def start_desk(self, *, webs: int = 1, workers: int = 2, sweeps: int = 1, beat: bool = True) -> None:
        """Start processes and wait until they serve: ``web-1`` …, ``runs-1`` …, ``desk-1`` …, ``beat``."""
        for n in range(1, webs + 1):
            self.start_web(f"web-{n}")
        for n in range(1, workers + 1):
            self.start_worker(f"runs-{n}", "runs", RUNS)
        for n in range(1, sweeps + 1):
            self.start_worker(f"desk-{n}", "desk", DESK, threads=4)
        if beat:
            self.start_beat()
        self.wait_ready()

    def start_beat(self) -> None:
        options = ["-l", "WARNING", "-s", str(self.folder / "beat-schedule"), "--pidfile="]
        self.start("beat", "beat", ["celery", "-A", "agentdesk", "-q", "beat", *options])

    def start_web(self, name: str) -> None:
        port = self.ports.setdefault(name, free_port())
        limits = ["--http-timeout", "120", "--websocket_timeout", "-1", "--application-close-timeout", "5"]
        self.start(name, "web", ["daphne", "-b", LOOPBACK, "-p", str(port), "-v", "0", *limits, "agentdesk.asgi:application"])

    def start_worker(self, name: str, group: str, queue: str, *, threads: int = 32, **environment: str) -> None:
        options = ["-P", "threads", "-c", str(threads), "-Q", queue, "-n", f"{name}@%h", "-l", "INFO", *QUIET]
        self.start(name, group, ["celery", "-A", "agentdesk", "-q", "worker", *options], **environment)

    def start(self, name: str, group: str, argv: list[str], **environment: str) -> None:
        folder = {"AGENTDESK_FAULTS": str(self.faults[group].folder)}
        self.children[name] = Child(group, argv, {**folder, **environment})
        self.revive(name)

    def revive(self, name: str) -> None:
        """Start the process again, as the supervisor of an installation does. Does not wait for it."""
        child = self.children[name]
        wanted = {"log": str(self.folder / f"{name}.log"), "argv": child.argv, "environment": child.environment}
        assert self.nursery.stdin is not None
        child.log_from = len(self.log(name))
        self.nursery.stdin.write(json.dumps(wanted) + "\n")
        self.nursery.stdin.flush()
        child.pid = int(self._nurse_says())

    def wait_ready(self, *names: str) -> None:
        """Wait until these processes, or all, take work."""
        for name in names or tuple(self.children):
            self.until(partial(self.is_ready, name), f"{name} to be ready")

    def is_ready(self, name: str) -> bool:
        child = self.children[name]
        if child.group == "web":
            return answers(self.ports[name])
        if child.group == "beat":
            return self.is_alive(name)
        return " ready." in self.log(name)[child.log_from :]

    def is_alive(self, name: str) -> bool:
        try:
            os.kill(self.children[name].pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL, *, wait: float = 10) -> None:
        """Send the signal to the process, by its id, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.children[name].pid, sign)
        self.until(lambda: not self.is_alive(name), f"{name} to end", wait)

    def kill_at(self, point: str) -> str:
        """Kill the worker that comes to the armed point, and return its name; it is not started again."""
        stopped = self.until(self.faults["runs"].first, f"a process at {point}", 40)
        victim = self.named(stopped.pid)
        if victim is None or stopped.point != point:
            raise AssertionError(f"{stopped} is not the worker that was to come to {point}")
        self.kill(victim)
        stopped.file.unlink()
        return victim

    def clear(self) -> None:
        """As at the beginning: no process, no message, nothing paid. The record stays: each line asks for its own runs."""
        while self.leaving:
            self.leaving.pop()()
        self.stop_all()
        self.payments.forget()

    def stop_all(self) -> None:
        """End all processes of the desk and forget them; the servers stay."""
        for fault in self.faults.values():
            fault.clear()
        for name in self.children:
            self.kill(name)
        self.children.clear()
        with contextlib.suppress(redis.ConnectionError):
            self.broker.delete(RUNS, DESK)

    def named(self, pid: int) -> str | None:
        return next((name for name, child in self.children.items() if child.pid == pid), None)

    def log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def until[T](self, look: Callable[[], T | None], what: str, seconds: float = START_SECONDS) -> T:
        """Wait for something to be true. Raises AssertionError, with the ends of the logs."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.children)
                raise AssertionError(f"waited {seconds} s for {what}\n{logs}")
            time.sleep(0.02)
        return found

    # --- the record -------------------------------------------------------------------------------------------------------

    def sql(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Rows, as the server's superuser sees them; once more on a new connection when the server went away."""
        try:
            return self._sql(query, values)
        except psycopg.OperationalError:
            self.connection.close()
            self.connection = self._connect()
            return self._sql(query, values)

    def _sql(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        cursor = self.connection.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, **values: Any) -> Any:
        """The first column of the first row."""
        return next(iter(self.sql(query, **values)[0].values()))

    def send(self, run: object, queue: str) -> None:
        """Order whoever listens to ``queue`` to advance the run, as Celery's Redis transport writes messages (protocol 2)."""
        self.broker.lpush(queue, message("runs.tasks.advance", [str(run)], queue))


class Faults:
    """The folder through which one group of processes is stopped at points (see agentdesk/faults.py)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in (folder, folder / "at", folder / "go"):
            part.mkdir(parents=True, exist_ok=True)

    def arm(self, point: str) -> None:
        (self.folder / point).touch()

    def disarm(self, point: str) -> bool:
        """False: a process has taken it already."""
        try:
            (self.folder / point).unlink()
        except FileNotFoundError:
            return False
        return True

    def first(self) -> "Stopped | None":
        return next(self.waiting(), None)

    def waiting(self) -> Iterator["Stopped"]:
        for file in (self.folder / "at").iterdir():
            point, pid, thread = file.name.rsplit(".", 2)
            yield Stopped(point, int(pid), thread, file.read_text(), file)

    def go(self, stopped: "Stopped") -> None:
        stopped.file.unlink()
        (self.folder / "go" / stopped.file.name).touch()

    def clear(self) -> None:
        for file in self.folder.rglob("*"):
            if file.is_file():
                file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Stopped:
    """A process that waits at a point."""

    point: str
    pid: int
    thread: str
    run: str
    file: Path
