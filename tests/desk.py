"""A whole desk for a test: real Daphne, Celery workers and beat on a database of their own, to use and to kill."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.embedded.processes import end, open_log, spawn
from tests.services import CHECKOUT

START_SECONDS = 60.0
STOP_SECONDS = 3.0
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass
class Desk:
    """The processes of one desk by name: `web`, `runs`, `worker` (sweeps), `beat`; more by `start_web`, `start_worker`."""

    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Base address of the first web process, no slash at its end."""
        return self.url_of("web")

    def url_of(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def start(self) -> None:
        """Start everything and wait until pages answer and workers take work."""
        self.start_web("web", wait=False)
        self.start_worker("runs", "runs")
        self.start_worker("worker", "desk", threads=4)
        schedule = str(self.folder / "beat-schedule")
        self._spawn("beat", ["celery", "-A", "agentdesk", "-q", "beat", "-s", schedule, "--pidfile="])
        self.python("-m", "tests.desk_seed")
        self.wait_for_web("web")
        self.wait_for_log("runs", "ready.")

    def start_web(self, name: str, *, wait: bool = True) -> str:
        """Start a web process, return its base address."""
        self.ports.setdefault(name, free_port())
        port = str(self.ports[name])
        options = ["-b", LOOPBACK, "-p", port, "-v", "0", "--websocket_timeout", "-1"]
        self._spawn(name, ["daphne", *options, "agentdesk.asgi:application"])
        if wait:
            self.wait_for_web(name)
        return self.url_of(name)

    def start_worker(self, name: str, queue: str, *, threads: int = 16) -> None:
        """Start a Celery worker for `queue`: "runs" (all manifests), "runs.LABEL" (one of them) or "desk"."""
        queue_name = f"{self.environment['AGENTDESK_INSTANCE']}.{queue}"
        options = ["-P", "threads", "-c", str(threads), "-Q", queue_name, "-n", f"{name}@%h", "-l", "INFO", *QUIET]
        self._spawn(name, ["celery", "-A", "agentdesk", "-q", "worker", *options])

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send `sign` to the process and wait until it is gone. It stays away until `restart`."""
        process = self.processes[name]
        process.send_signal(sign)
        process.wait(STOP_SECONDS * 5)

    def restart(self, name: str) -> None:
        """Start a process again as it was started first, after ending it if it still lives."""
        end([self.processes[name]], signal.SIGKILL, STOP_SECONDS)
        self._spawn(name, self.commands[name])
        if name in self.ports:
            self.wait_for_web(name)

    def forget(self, name: str) -> None:
        """Take a killed process that only one test needed off the list, so that it is not started for the next."""
        del self.processes[name], self.commands[name]
        self.ports.pop(name, None)

    def stop(self) -> None:
        end(list(self.processes.values()), signal.SIGTERM, STOP_SECONDS)
        self.processes.clear()

    def manage(self, *command: str) -> str:
        """Run a management command beside the desk, return its standard output. Raises AssertionError with its errors."""
        return self.python("manage.py", *command)

    def python(self, *arguments: str) -> str:
        """Run Python in the desk's environment, return its standard output. Raises AssertionError with its errors."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"python {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def log(self, name: str) -> str:
        """Return everything that the process and its predecessors of this name printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_for_web(self, name: str) -> None:
        self._wait(name, lambda: answers(self.ports[name]), "does not answer")

    def wait_for_log(self, name: str, text: str) -> None:
        self._wait(name, lambda: text in self.log(name), f"does not say {text!r}")

    def _spawn(self, name: str, command: list[str]) -> None:
        self.commands[name] = command
        with open_log(self.folder / f"{name}.log") as log:
            self.processes[name] = spawn(
                [sys.executable, "-m", *command],
                output=log,
                death_signal=signal.SIGKILL,
                env=self.environment,
                folder=CHECKOUT,
            )

    def _wait(self, name: str, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            process = self.processes[name]
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} {complaint} (status {process.poll()}):\n{self.log(name)[-4000:]}")
            time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether a web process serves there."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def desk_environment(folder: Path, database_url: str, owner_url: str) -> dict[str, str]:
    """Return the environment of a test's desk; `folder` takes its mail and logs."""
    agents = [CHECKOUT / "examples/support/langgraph.json", CHECKOUT / "tests/agents/langgraph.json"]
    return os.environ | {
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url,
        # Two web processes answer under different ports: the address in links is the first one's.
        "AGENTDESK_STATE_DIR": str(folder),
        "AGENTDESK_DEMO": "1",
        "AGENTDESK_EMBEDDED": "1",
        "AGENTDESK_AGENTS": ",".join(str(path) for path in agents if path.exists()),
        "SUPPORT_TOKEN_DELAY": "0",
        "SWEEP_SECONDS": "1",
        "PYTHONUNBUFFERED": "1",
    }
