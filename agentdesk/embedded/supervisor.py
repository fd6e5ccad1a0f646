"""One supervisor over all processes of the desk: follows their logs, restarts those that die, stops all in order."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.processes import end

TICK_SECONDS = 0.2
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# A child that lived this long has recovered: the next death starts with the first delay again.
HEALTHY_SECONDS = 60.0
# Together with the servers' own patience this stays below the ten seconds that a stop may take.
STOP_SECONDS = 3.5
LONGEST_LINE = 8_000


@dataclass
class Child:
    """A process to keep alive. `start` makes it anew; a child with an open `stdout` has its lines shown."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = STOP_SECONDS  # seconds to stop in when it is one of the last
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    next_start: float = 0.0
    unfinished: bytes = b""


def say(text: str, name: str = "desk") -> None:
    """Print one line. A closed pipe at the other end (`make run | head`) is a wish to stop."""
    try:
        print(f"{name:<11}| {text}", flush=True)
    except BrokenPipeError:
        # Nobody reads on: further prints, and Python's own flush at exit, must not fail over it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


@dataclass
class Supervisor:
    """Keeps `children` alive until a signal says stop. `changed` hears name → pid after every start."""

    children: list[Child]
    changed: Callable[[Mapping[str, int]], None]
    tick: Callable[[], None] = lambda: None
    stopping: bool = False
    impatient: bool = False
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def catch_signals(self) -> None:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._asked_to_stop)

    def run(self) -> None:
        """Start what does not run yet and watch over everything until asked to stop."""
        while not self.stopping:
            self._start_due()
            self._show_lines(TICK_SECONDS)
            self._notice_deaths()
            self.tick()

    def stop(self, last: list[Child]) -> None:
        """Stop all children, those in `last` (the servers the others need) after the rest."""
        first = [child for child in self.children if child not in last]
        self._end(first, 0.5 if self.impatient else STOP_SECONDS)
        for child in last:
            self._end([child], child.patience)
        self._show_lines(0)
        self._selector.close()

    def _asked_to_stop(self, sign: int, frame: FrameType | None) -> None:
        self.impatient = self.stopping
        self.stopping = True

    def _start_due(self) -> None:
        started = False
        for child in self.children:
            if child.process is None and time.monotonic() >= child.next_start:
                started = self._start(child) or started
        if started:
            self.changed({c.name: c.process.pid for c in self.children if c.process is not None})

    def _start(self, child: Child) -> bool:
        try:
            child.process = child.start()
        except (CannotStart, OSError) as problem:
            self._delay(child, str(problem))
            return False
        child.started = time.monotonic()
        if child.process.stdout is not None:
            os.set_blocking(child.process.stdout.fileno(), False)
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        return True

    def _notice_deaths(self) -> None:
        for child in self.children:
            process = child.process
            if process is None or process.poll() is None:
                continue
            self._forget(child)
            if time.monotonic() - child.started > HEALTHY_SECONDS:
                child.deaths = 0
            self._delay(child, how_it_ended(process.returncode))

    def _delay(self, child: Child, reason: str) -> None:
        delay = min(FIRST_DELAY * 2**child.deaths, LONGEST_DELAY)
        child.deaths += 1
        child.next_start = time.monotonic() + delay
        say(f"{child.name} {reason}; starting it again in {delay:g} s")

    def _forget(self, child: Child) -> None:
        process, child.process = child.process, None
        if process is None or process.stdout is None:
            return
        self._read(child, process)
        if child.unfinished:
            say(child.unfinished.decode(errors="replace"), child.name)
            child.unfinished = b""
        self._selector.unregister(process.stdout)
        process.stdout.close()

    def _show_lines(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            if child.process is not None:
                self._read(child, child.process)

    def _read(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - only children with a pipe are registered
        try:
            chunk = os.read(process.stdout.fileno(), 65_536)
        except BlockingIOError:
            return
        if not chunk and process.poll() is None:
            time.sleep(TICK_SECONDS / 10)  # it closed its output and lives on: do not spin on the end of file
        *lines, child.unfinished = (child.unfinished + chunk).split(b"\n")
        if len(child.unfinished) > LONGEST_LINE:
            lines, child.unfinished = [*lines, child.unfinished], b""
        for line in lines:
            say(line.decode(errors="replace"), child.name)

    def _end(self, children: list[Child], patience: float) -> None:
        running = [child for child in children if child.process is not None]
        for sign in {child.stop_signal for child in running}:
            end([c.process for c in running if c.stop_signal == sign and c.process is not None], sign, patience)
        for child in running:
            self._forget(child)


def how_it_ended(status: int) -> str:
    """Say in words how a process ended, from its return code (negative: the signal that killed it)."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
