"""One embedded PostgreSQL server: its data folder, its process, its roles."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from agentdesk.embedded.accounts import Account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.ports import free_port, is_free
from agentdesk.embedded.processes import end, open_log, spawn
from agentdesk.embedded.programs import POSTGRESQL_MAJOR, postgresql_folder
from agentdesk.embedded.secrets import Secrets

DATABASE = "agentdesk"
OWNER = "agentdesk_owner"
APP = "agentdesk_app"
SUPERUSER = "postgres"
# Crash recovery after a kill -9 replays the log since the last checkpoint: seconds, on a slow disk a minute.
START_SECONDS = 120.0
STOP_SECONDS = 4.5

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %u ",
    "password_encryption": "scram-sha-256",
    # The passwords are 36 random bytes: stretching them only makes every connection slower.
    "scram_iterations": "1",
    # A statement whose client died must not hold its advisory locks until it ends.
    "client_connection_check_interval": "2s",
    "idle_in_transaction_session_timeout": "60s",
}
# For tests: a crash may cost everything, so nothing waits for the disk.
SPEED_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PostgreSQL:
    """PostgreSQL on a loopback port with passwords, its data in `folder`/postgresql. `durable=False` is for tests."""

    patience = STOP_SECONDS
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint, leaves clean data

    def __init__(self, folder: Path, secrets: Secrets, account: Account | None, *, durable: bool = True) -> None:
        self.data = folder / "postgresql"
        self.log = folder / "postgresql.log"
        self.secrets = secrets
        self.account = account
        self.durable = durable
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._programs = postgresql_folder(account) / "bin"

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return a connection address for `role` (OWNER, APP or SUPERUSER)."""
        password = {OWNER: self.secrets.owner, APP: self.secrets.app, SUPERUSER: self.secrets.superuser}[role]
        return f"postgresql://{role}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def start(self, preferred_port: int = 0) -> subprocess.Popen[bytes]:
        """Make the data folder if needed, start the server and wait until it answers. Raises CannotStart."""
        self._check_version()
        if not self.data.exists():
            self._make_data()
        self._clear_pid_file()
        self.port = preferred_port if preferred_port and is_free(preferred_port) else free_port()
        return self.restart()

    def restart(self) -> subprocess.Popen[bytes]:
        """Start the server process on the port it had and wait until it answers. Raises CannotStart."""
        settings = SETTINGS | ({} if self.durable else SPEED_SETTINGS) | {"port": str(self.port)}
        command = [str(self._programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open_log(self.log) as log:
            self.process = spawn(
                command, output=log, death_signal=self.stop_signal, env=_bare_env(), account=self.account, folder=Path("/")
            )
        try:
            self._wait_until_ready(self.process)
        except CannotStart:
            self.stop()
            raise
        return self.process

    def stop(self) -> None:
        """Stop the server: fast, then by force."""
        if self.process is not None:
            end([self.process], self.stop_signal, STOP_SECONDS)
            self.process = None

    def make_roles(self) -> None:
        """Make the owner's and the app's role and the owner's database, or bring them up to date."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            for role, password in ((OWNER, self.secrets.owner), (APP, self.secrets.app)):
                self._make_role(connection, role, password)
            # A page or task that asks for half a minute is stuck; migrations may take as long as they need.
            connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '30s'").format(sql.Identifier(APP)))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
                )

    def _make_role(self, connection: psycopg.Connection, role: str, password: str) -> None:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(role), sql.Literal(password)
            )
        )

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        if found != str(POSTGRESQL_MAJOR):
            raise CannotStart(
                f"the data in {self.data} were written by PostgreSQL {found}, this version brings {POSTGRESQL_MAJOR}: "
                "move that folder away to start with an empty desk, or load a dump of it (docs/upgrading.md)."
            )

    def _make_data(self) -> None:
        # Made under another name and renamed when whole: a kill in between leaves no half folder behind.
        draft = self.data.with_name("postgresql.new")
        password_file = self.data.with_name("postgresql.password")
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        draft.mkdir(mode=0o700)
        password_file.touch(0o600)
        password_file.write_text(self.secrets.superuser)
        if self.account is not None:
            self.account.own(draft)
            self.account.own(password_file)
        try:
            self._run_initdb(draft, password_file)
            draft.rename(self.data)
        finally:
            password_file.unlink(missing_ok=True)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        command = [str(self._programs / "initdb"), "-D", str(folder), "-U", SUPERUSER]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--no-locale"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.durable:
            command.append("--no-sync")
        with open_log(self.log) as log:
            log.truncate(0)
            process = spawn(
                command, output=log, death_signal=signal.SIGKILL, env=_bare_env(), account=self.account, folder=Path("/")
            )
            status = process.wait()
        if status != 0:
            raise CannotStart(f"PostgreSQL could not make its data folder: {last_line(self.log)} (see {self.log})")

    def _clear_pid_file(self) -> None:
        """Remove the pid file of a server that is gone; end one that still runs on these data."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            pid_file.unlink(missing_ok=True)
            return
        if process := _server_on(self.data, pid):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS * 2)
            except psutil.TimeoutExpired as problem:
                raise CannotStart(
                    f"a PostgreSQL server (process {pid}) holds {self.data} and does not stop: end it with `kill {pid}`."
                ) from problem
        # The number may belong to somebody else by now; PostgreSQL would refuse to start because of it.
        pid_file.unlink(missing_ok=True)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CannotStart(f"PostgreSQL stopped at once: {last_line(self.log)} (see {self.log})")
            if self._says_ready(process.pid):
                return
            time.sleep(0.02)
        raise CannotStart(f"PostgreSQL was not ready after {START_SECONDS:.0f} s: {last_line(self.log)} (see {self.log})")

    def _says_ready(self, pid: int) -> bool:
        # The pid file, unlike a connection, says so without leaving a FATAL line in the log for each attempt.
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def last_line(log: Path) -> str:
    """Return the last line of a log that says what went wrong."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return "no log was written"
    telling = [line for line in lines if "FATAL" in line or "error:" in line.lower() or "PANIC" in line]
    return (telling or lines or ["the log is empty"])[-1].strip()


def _server_on(data: Path, pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        if "postgres" in process.name() and str(data) in " ".join(process.cmdline()):
            return process
    except psutil.Error:
        return None
    return None


def _bare_env() -> dict[str, str]:
    """Return what the server may know of our environment: no PG* variable of the user, no secret."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
