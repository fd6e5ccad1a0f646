"""What `make run` does, in order: servers, migrations, agents, demo data, then all processes under one supervisor."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentdesk.embedded import survivors
from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.environment import (
    check_broker,
    check_database,
    desk_environment,
    read_port,
    write_env_file,
)
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import Places, find_places, make_places
from agentdesk.embedded.ports import LOOPBACK
from agentdesk.embedded.postgresql import APP, OWNER, PostgreSQL
from agentdesk.embedded.processes import spawn
from agentdesk.embedded.secrets import Secrets, load_secrets
from agentdesk.embedded.supervisor import Child, Supervisor, how_it_ended, say
from agentdesk.embedded.valkey import Valkey
from agentdesk.groups import Group, groups

CHECKOUT = Path(__file__).resolve().parent.parent.parent
THREADS_PER_WORKER = 32
EXAMPLE = str(CHECKOUT / "examples" / "support" / "langgraph.json")  # what the settings name when nobody names anything
DEMO_LOGINS = ("reviewer", "second", "operator", "admin")


def run(environ: Mapping[str, str]) -> None:
    """Run the desk until a signal asks to stop. Raises CannotStart when something stands in the way."""
    port = read_port(environ)
    places = find_places(CHECKOUT, environ)
    make_places(places)
    with survivors.hold_lock(places.lock_file):
        for name in survivors.end_survivors(places.process_file):
            say(f"ended {name}, left over from a run that was killed")
        _run_locked(environ, places, port)


def _run_locked(environ: Mapping[str, str], places: Places, port: int) -> None:
    began = time.monotonic()
    secrets = _secrets_of(places)
    supervisor = Supervisor([], lambda pids: survivors.record(places.process_file, pids))
    supervisor.catch_signals()
    servers: list[Child] = []
    try:
        database, owner = _database(environ, places, secrets, servers)
        broker = _broker(environ, places, secrets, servers)
        supervisor.children += servers
        environment = desk_environment(
            environ, places=places, secrets=secrets, port=port, database=database, owner=owner, broker=broker
        )
        write_env_file(places.env_file, environment)
        agents = ["seed"] if environment["AGENTDESK_DEMO"] == "1" else ["agents", "sync"]  # the seed loads the agents too
        for command in (["migrate", "--verbosity", "0"], agents):
            if not supervisor.stopping:
                _manage(command, environment, supervisor)
        supervisor.children += _processes(environment, places, port)
        supervisor.tick = _Greeting(port, environment, began)
        supervisor.run()
        say("stopping")
    finally:
        supervisor.children = supervisor.children or servers
        supervisor.stop(last=list(reversed(servers)))
        places.process_file.unlink(missing_ok=True)
    say("stopped")


def _secrets_of(places: Places) -> Secrets:
    try:
        return load_secrets(places.secrets_file)
    except (ValueError, KeyError) as problem:
        raise CannotStart(
            f"{places.secrets_file} is damaged: put a copy back, or remove {places.data} to start with an empty desk."
        ) from problem


def _database(environ: Mapping[str, str], places: Places, secrets: Secrets, servers: list[Child]) -> tuple[str, str]:
    """Return the addresses for the app's and the owner's role; the embedded server joins `servers`."""
    url = environ.get("DATABASE_URL")
    if url:
        check_database("DATABASE_URL", url)
        owner = environ.get("DATABASE_OWNER_URL") or url
        if owner == url:
            say("DATABASE_OWNER_URL is not set: one role owns the tables and uses them, so the record is not insert-only")
        else:
            check_database("DATABASE_OWNER_URL", owner)
        return url, owner
    server = PostgreSQL(places.data, secrets, service_account())
    process = server.start(_last_port(places, "DATABASE_URL"))
    servers.append(_server_child("postgresql", server, process))
    server.make_roles()
    return server.url(APP), server.url(OWNER)


def _broker(environ: Mapping[str, str], places: Places, secrets: Secrets, servers: list[Child]) -> str:
    url = environ.get("REDIS_URL")
    if url:
        check_broker("REDIS_URL", url)
        return url
    server = Valkey(places.data, secrets, service_account())
    process = server.start(_last_port(places, "REDIS_URL"))
    servers.append(_server_child("valkey", server, process))
    return server.url()


def _server_child(name: str, server: PostgreSQL | Valkey, process: subprocess.Popen[bytes]) -> Child:
    return Child(name, server.restart, server.stop_signal, server.patience, process, started=time.monotonic())


def _last_port(places: Places, variable: str) -> int:
    """Return the port of the last run, so that connections kept by other programs find the server again; 0: none."""
    try:
        lines = places.env_file.read_text().splitlines()
    except FileNotFoundError:
        return 0
    for line in lines:
        if line.startswith(f"{variable}=") and f"@{LOOPBACK}:" in line:
            return int(line.split(f"@{LOOPBACK}:")[1].split("/")[0])
    return 0


def _manage(command: list[str], environment: Mapping[str, str], supervisor: Supervisor) -> None:
    """Run one management command to its end or until we are asked to stop. Raises CannotStart when it fails."""
    process = spawn(
        [sys.executable, "manage.py", *command],
        output=subprocess.PIPE,
        death_signal=signal.SIGKILL,
        env=environment,
        folder=CHECKOUT,
    )
    output = None
    while output is None:
        try:
            output, _ = process.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            if supervisor.stopping:
                process.terminate()
    lines = output.decode(errors="replace").splitlines()
    for line in lines:
        say(line, command[0])
    if process.returncode != 0 and not supervisor.stopping:
        raise CannotStart(f"`manage.py {' '.join(command)}` {how_it_ended(process.returncode)}: {(lines or ['no output'])[-1]}")


def _processes(environment: Mapping[str, str], places: Places, port: int) -> list[Child]:
    instance = environment["AGENTDESK_INSTANCE"]
    schedule = str(places.state / "beat-schedule")
    commands = {"web": _web_command(port)}
    pythons: dict[str, str] = {}
    for name, group in _run_workers(environment):
        commands[name] = _worker_command(name, group.queue(instance), THREADS_PER_WORKER)
        pythons[name] = group.python
    commands["worker"] = _worker_command("worker", f"{instance}.desk", 4)
    commands["beat"] = ["celery", "-A", "agentdesk", "-q", "beat", "-l", "WARNING", "-s", schedule, "--pidfile="]
    return [_child(name, command, environment, pythons.get(name, "")) for name, command in commands.items()]


def _run_workers(environment: Mapping[str, str]) -> Iterator[tuple[str, Group]]:
    """The processes that drive runs, by name: AGENTDESK_WORKERS for each manifest, or the cores shared among them."""
    found = groups(environment.get("AGENTDESK_AGENTS", "").split(",")) or groups([EXAMPLE])
    count = int(environment.get("AGENTDESK_WORKERS") or max(1, (os.cpu_count() or 1) // len(found)))
    for group in found:
        for number in range(1, count + 1):
            yield f"{group.name.replace('.', '-')}-{number}", group


def _web_command(port: int) -> list[str]:
    limits = ["--http-timeout", "120", "--websocket_timeout", "-1", "--application-close-timeout", "5"]
    return ["daphne", "-b", LOOPBACK, "-p", str(port), "-v", "0", *limits, "agentdesk.asgi:application"]


def _worker_command(name: str, queue: str, threads: int) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return ["celery", "-A", "agentdesk", "-q", "worker", "-P", "threads", "-c", str(threads), "-Q", queue,
            "-n", f"{name}@%h", "-l", "INFO", *quiet]  # fmt: skip


def _child(name: str, command: list[str], environment: Mapping[str, str], python: str = "") -> Child:
    if os.geteuid() == 0:
        # Celery's advice to servers, seven lines from every process; whoever runs a trial as root knows it.
        environment = {**environment, "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}

    def start() -> subprocess.Popen[bytes]:
        # A dead supervisor takes them along at once: a run that is cut off there is picked up by the next sweep.
        return spawn(
            [python or sys.executable, "-m", *command],
            output=subprocess.PIPE,
            death_signal=signal.SIGKILL,
            env=environment,
            folder=CHECKOUT,
        )

    return Child(name, start)


class _Greeting:
    """Says the address and the logins once, when the first page answers."""

    def __init__(self, port: int, environment: Mapping[str, str], began: float) -> None:
        self.port = port
        self.url = environment["AGENTDESK_URL"]
        self.demo = environment["AGENTDESK_DEMO"] == "1"
        self.began = began
        self.said = False

    def __call__(self) -> None:
        if self.said or not self._answers():
            return
        self.said = True
        say(f"AgentDesk is ready at {self.url} after {time.monotonic() - self.began:.1f} s; Ctrl-C stops it")
        if self.demo:
            say(f"demo logins: {', '.join(DEMO_LOGINS)}; the password of each is: demo")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
