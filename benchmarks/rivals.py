"""The same steps without the desk: bare LangGraph with its PostgreSQL saver, and DBOS. Each in a process of its own, on the
same server, in turns with the desk: a machine's speed changes from minute to minute, a ratio taken in turns much less."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cycles import Rate
from benchmarks.stage import HERE, Stage, cpu_of

LOCK = HERE / "requirements.lock"


@dataclass(frozen=True, slots=True)
class Turn:
    """One rival's turn: how fast, and milliseconds of CPU of a cycle (its own and the server's)."""

    rate: Rate
    own: float
    postgresql: float

    @property
    def cpu(self) -> float:
        return self.own + self.postgresql


class Rival:
    """A program that reads `SECONDS CLIENTS` lines and answers each with `{"cycles", "seconds"}`."""

    def __init__(self, python: Path, module: str, address: str) -> None:
        command = [str(python), str(HERE / module), address]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def turn(self, stage: Stage, *, seconds: float, clients: int) -> Turn:
        own, server = cpu_of(self.process.pid), stage.postgresql_cpu()
        assert self.process.stdin is not None
        print(seconds, clients, file=self.process.stdin, flush=True)
        answer = json.loads(self._read())
        rate = Rate(answer["cycles"], answer["seconds"])
        own, server = cpu_of(self.process.pid) - own, stage.postgresql_cpu() - server
        return Turn(rate, own / rate.cycles * 1000, server / rate.cycles * 1000)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with status {self.process.wait()}")
        return line


def bare(stage: Stage) -> Rival:
    return Rival(Path(sys.executable), "bare_cycles.py", stage.make_database("bare"))


def dbos(stage: Stage, shelf: Path) -> Rival:
    return Rival(_environment(shelf), "dbos_cycles.py", stage.make_database("dbos"))


def _environment(shelf: Path) -> Path:
    """The Python of an environment that holds what the lock names, made where it is missing. Raises RuntimeError."""
    folder = shelf / "rivals"
    python, stamp = folder / "bin/python", folder / LOCK.name
    if stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), *install, "--no-deps", "-r", str(LOCK)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{LOCK} could not be installed for the comparison:\n{done.stdout}{done.stderr}")
    shutil.copy(LOCK, stamp)
    return python
