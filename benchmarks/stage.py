"""The desk that is measured: PostgreSQL and Valkey as `make run` starts them, durable, in a folder that is thrown away, and the
same processes: one Daphne, a worker for runs on each core, one for sweeps, beat."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.postgresql import APP, OWNER, SUPERUSER, PostgreSQL
from agentdesk.embedded.secrets import load_secrets
from agentdesk.embedded.valkey import Valkey
from tests.desk import Desk

HERE = Path(__file__).resolve().parent
AGENT = "payer"
THREADS = 32


class Stage:
    """The running desk. ``starts`` is the file in which the agent's tool writes when it started; ``spectator`` the process of
    PostgreSQL that serves those who only watch, and is not counted."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agentdesk-bench-"))
        self.folder.chmod(0o711)
        self.starts = self.folder / "starts"
        secrets = load_secrets(self.folder / "secrets.json")
        account = service_account()
        self.postgresql = PostgreSQL(self.folder, secrets, account)
        self.valkey = Valkey(self.folder, secrets, account)
        self.desk = Desk(self.folder, {})
        self.spectator = 0

    def raise_(self) -> None:
        """Start the servers, make the tables and let this process's Django lead to them. The desk's processes come later."""
        self.postgresql.start()
        self.postgresql.make_roles()
        self.valkey.start()
        os.environ |= {
            "DATABASE_URL": self.postgresql.url(APP), "DATABASE_OWNER_URL": self.postgresql.url(OWNER),
            "REDIS_URL": self.valkey.url(), "SECRET_KEY": "only-for-benchmarks-Pq7Rw2Zt9Yk4Lm6Nc8Vb3Xs5",
            "AGENTDESK_INSTANCE": "bench", "AGENTDESK_STATE_DIR": str(self.folder), "AGENTDESK_EMBEDDED": "1",
            "AGENTDESK_AGENTS": str(HERE / "agents/langgraph.json"), "BENCH_STARTS": str(self.starts),
            "BENCH_SHOPS": str(self.folder / "shops"),
            "DJANGO_SETTINGS_MODULE": "agentdesk.settings", "LOG_LEVEL": "WARNING",
            "AGENTDESK_HOLD_SECONDS": "",  # a decision's way is measured, not how long people may take it back
        }  # fmt: skip
        self.desk.environment = dict(os.environ)
        os.environ["DATABASE_POOL"] = "32"  # this process plays many clients
        self.desk.manage("migrate", "--verbosity", "0")

    def start_desk(self) -> None:
        """Start the processes. People and agents must be there already."""
        self.desk.start_web("web", wait=False)
        self.workers = [f"runs-{number}" for number in range(1, (os.cpu_count() or 1) + 1)]
        for name in self.workers:
            self.desk.start_worker(name, "runs", threads=THREADS)
        self.desk.start_worker("worker", "desk", threads=4)
        schedule = str(self.folder / "beat-schedule")
        self.desk._spawn("beat", ["celery", "-A", "agentdesk", "-q", "beat", "-s", schedule, "--pidfile="])
        self.desk.wait_for_web("web")
        for name in self.workers:
            self.desk.wait_for_log(name, "ready.")

    def strike(self) -> None:
        """End everything and remove the folder."""
        self.desk.stop()
        self.valkey.stop()
        self.postgresql.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def analyze(self) -> None:
        """Give the planner its statistics: plans that were made on empty tables would be measured otherwise."""
        with psycopg.connect(self.postgresql.url(OWNER), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def connect(self, role: str = APP) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.postgresql.url(role), autocommit=True)

    def make_database(self, name: str) -> str:
        """Make an empty database for somebody else on the same server; return its address."""
        with self.connect_super() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}".encode())
        return self.postgresql.url(OWNER, name)

    def connect_super(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.postgresql.url(SUPERUSER, "postgres"), autocommit=True)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far: web, worker (runs, sweeps, beat), postgresql with the children that have ended."""
        seconds = {name: _cpu(process.pid) for name, process in self.desk.processes.items()}
        web = seconds.pop("web")
        return {"web": web, "worker": sum(seconds.values()), "postgresql": self.postgresql_cpu()}

    def postgresql_cpu(self) -> float:
        assert self.postgresql.process is not None
        server = psutil.Process(self.postgresql.process.pid)
        times = server.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in server.children():
            total += _cpu(child.pid) if child.pid != self.spectator else 0
        return float(total)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """The desk's processes stand still, so that a rival has machine and server to itself."""
        for process in self.desk.processes.values():
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self.desk.processes.values():
                process.send_signal(signal.SIGCONT)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    return _cpu(pid)


def _cpu(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:  # a backend that ended meanwhile: its time is its parent's now
        return 0.0
    return float(times.user + times.system)
