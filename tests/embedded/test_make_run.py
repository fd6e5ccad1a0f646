"""`python -m agentdesk.embedded`, the half of `make run` after the installation, as a person meets it."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from agentdesk.embedded.ports import free_port
from tests.services import CHECKOUT

OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "AGENTDESK_INSTANCE")
READY_SECONDS = 150
# Promised are ten seconds; the processes of other tests may be in the way here.
STOP_SECONDS = 20


@dataclass
class Run:
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, text: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


def environment(folder: Path, **more: str) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if name not in OURS}
    places = {"AGENTDESK_STATE_DIR": str(folder / "state"), "AGENTDESK_DATA_DIR": str(folder / "data")}
    return usual | places | {"PORT": str(free_port()), "AGENTDESK_WORKERS": "1", "SUPPORT_TOKEN_DELAY": "0"} | more


def begin(folder: Path, env: dict[str, str]) -> Run:
    log = folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentdesk.embedded"], cwd=CHECKOUT, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    return Run(process, log)


def manage(env: dict[str, str], *command: str) -> str:
    command_line = [sys.executable, "manage.py", *command]
    return subprocess.run(command_line, cwd=CHECKOUT, env=env, check=True, capture_output=True, text=True).stdout


@pytest.mark.timeout(600)
def test_it_runs_survives_a_kill_and_stops_cleanly(folder):
    env = environment(folder)
    first = begin(folder, env)
    try:
        first.wait_until("demo logins: reviewer, second, operator, admin")
        assert f"AgentDesk is ready at http://127.0.0.1:{env['PORT']}" in first.log.read_text()
        runs = manage(env, "runs", "list", "--json")
        assert '"agent": "support"' in runs
        children = psutil.Process(first.process.pid).children(recursive=True)
        assert len(children) >= 6
    finally:
        first.process.kill()
        first.process.wait()
    _, alive = psutil.wait_procs(children, timeout=STOP_SECONDS)
    assert sys.platform != "linux" or alive == []

    second = begin(folder, env)
    try:
        second.wait_until("AgentDesk is ready at")
        assert manage(env, "runs", "list", "--json").count('"id"') >= runs.count('"id"')
        children = psutil.Process(second.process.pid).children(recursive=True)
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(STOP_SECONDS) == 0
    finally:
        second.process.kill()
        second.process.wait()
    assert second.log.read_text().endswith("desk       | stopped\n")
    assert [child for child in children if child.is_running()] == []
    assert not (folder / "data" / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"PORT": "http"}, "AgentDesk cannot start: PORT is 'http': set it to a number"),
        ({"DATABASE_URL": "sqlite:///x"}, "AgentDesk cannot start: DATABASE_URL must begin with postgresql://"),
        ({"AGENTDESK_STATE_DIR": "/proc/agentdesk"}, "AgentDesk cannot start: cannot write to /proc/agentdesk"),
    ],
)
def test_it_says_in_one_line_what_is_in_the_way(folder, more, line):
    run = begin(folder, environment(folder, **more))

    assert run.process.wait(STOP_SECONDS) == 1
    assert run.log.read_text().startswith(line)
    assert run.log.read_text().count("\n") <= 3


def test_it_names_the_port_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = begin(folder, environment(folder, PORT=str(other.getsockname()[1])))
        assert run.process.wait(STOP_SECONDS) == 1

    assert "is taken by another program" in run.log.read_text()
    assert not (folder / "state").exists()
