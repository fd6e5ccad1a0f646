import signal
import subprocess
import sys
import time

import pytest

from agentdesk.embedded import processes
from agentdesk.embedded import supervisor as supervisor_module
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.processes import open_log, spawn
from agentdesk.embedded.supervisor import Child, Supervisor, how_it_ended

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
# A shell that starts us in the background has us, and so our children, ignore SIGINT.
HEARS_SIGINT = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {SLEEPER}"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def python_child(name: str, code: str) -> Child:
    def start() -> subprocess.Popen[bytes]:
        return spawn([sys.executable, "-c", code], output=subprocess.PIPE, death_signal=signal.SIGKILL)

    return Child(name, start)


class Watch(Supervisor):
    """Stops itself when `enough` says so, or after ten seconds."""

    def __init__(self, children, enough):
        super().__init__(children, lambda pids: self.seen.append(dict(pids)))
        self.seen = []
        self.deadline = time.monotonic() + 10
        self.enough = enough
        self.tick = self.look

    def look(self):
        self.stopping = self.enough(self) or time.monotonic() > self.deadline


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.6)


def test_it_starts_a_killed_child_again_and_says_so(capsys):
    child = python_child("web", SLEEPER)
    pids = []

    def enough(watch):
        if child.process and child.process.pid not in pids:
            pids.append(child.process.pid)
            if len(pids) == 1:
                child.process.kill()
        return len(pids) == 2

    watch = Watch([child], enough)
    watch.run()
    watch.stop(last=[])

    assert len(set(pids)) == 2
    assert [seen["web"] for seen in watch.seen] == pids
    assert "web was ended by SIGKILL; starting it again in 0.05 s" in capsys.readouterr().out


def test_it_waits_longer_after_each_death(capsys):
    watch = Watch([python_child("web", "raise SystemExit(3)")], lambda watch: watch.children[0].deaths >= 3)
    watch.run()
    watch.stop(last=[])

    shown = capsys.readouterr().out
    for delay in ("0.05", "0.1", "0.2"):
        assert f"web ended with status 3; starting it again in {delay} s" in shown


def test_a_child_that_cannot_be_started_is_tried_again(capsys):
    attempts = []

    def start():
        attempts.append(1)
        raise CannotStart("no room")

    watch = Watch([Child("postgresql", start)], lambda watch: len(attempts) >= 2)
    watch.run()
    watch.stop(last=[])

    assert "postgresql no room; starting it again" in capsys.readouterr().out


def test_it_shows_every_line_with_the_childs_name(capsys):
    child = python_child("worker", "print('one\\ntwo'); print('no end', end='')")
    watch = Watch([child], lambda watch: child.deaths >= 1)
    watch.run()
    watch.stop(last=[])

    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "worker  " in line][:3] == [
        "worker     | one",
        "worker     | two",
        "worker     | no end",
    ]


def test_it_kills_what_does_not_stop_and_stops_the_servers_last():
    order = []
    web, server = python_child("web", STUBBORN), python_child("server", HEARS_SIGINT)
    server.stop_signal = signal.SIGINT
    watch = Watch([server, web], lambda watch: all(child.process for child in watch.children))
    watch.run()
    time.sleep(0.3)  # for the child to say that it ignores SIGTERM
    processes = {"web": web.process, "server": server.process}
    began = time.monotonic()
    watch._end = lambda children, patience, end=watch._end: (order.extend(c.name for c in children), end(children, patience))
    watch.stop(last=[server])

    assert order == ["web", "server"]
    assert processes["web"].returncode == -signal.SIGKILL
    assert processes["server"].returncode == -signal.SIGINT or processes["server"].returncode == 1
    assert time.monotonic() - began < 3


def test_it_says_how_a_process_ended():
    assert how_it_ended(0) == "ended with status 0"
    assert how_it_ended(-9) == "was ended by SIGKILL"


def test_a_log_goes_on_until_it_is_long(tmp_path, monkeypatch):
    path = tmp_path / "server.log"
    for text in (b"one\n", b"two\n"):
        with open_log(path) as log:
            log.write(text)
    assert path.read_bytes() == b"one\ntwo\n"

    monkeypatch.setattr(processes, "LONGEST_LOG", 5)
    with open_log(path) as log:
        log.write(b"three\n")

    assert path.read_bytes() == b"three\n"
    assert path.stat().st_mode & 0o777 == 0o600
