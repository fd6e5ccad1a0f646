import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.processes import spawn
from agentdesk.embedded.survivors import end_survivors, hold_lock, record


@pytest.fixture
def sleeper():
    process = spawn(
        [sys.executable, "-c", "import time; time.sleep(60)"], output=subprocess.DEVNULL, death_signal=signal.SIGKILL
    )
    yield process
    process.kill()
    process.wait()


def test_it_ends_what_a_killed_supervisor_left(tmp_path, sleeper):
    record(tmp_path / "processes.json", {"web": sleeper.pid})

    assert end_survivors(tmp_path / "processes.json") == ["web"]

    assert not psutil.pid_exists(sleeper.pid)
    assert not (tmp_path / "processes.json").exists()


def test_it_leaves_alone_a_stranger_who_got_the_number(tmp_path, sleeper):
    entry = {"name": "web", "pid": sleeper.pid, "started": psutil.Process(sleeper.pid).create_time() - 100}
    (tmp_path / "processes.json").write_text(json.dumps([entry]))

    assert end_survivors(tmp_path / "processes.json") == []

    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["", "[{", '[{"name": "web", "pid": 4000000, "started": 1}]'])
def test_it_starts_clean_from_a_damaged_or_outdated_record(tmp_path, text):
    (tmp_path / "processes.json").write_text(text)

    assert end_survivors(tmp_path / "processes.json") == []


def test_one_checkout_runs_once(tmp_path):
    expected = f"already runs as process {os.getpid()}: stop that one first"
    with hold_lock(tmp_path / "lock"), pytest.raises(CannotStart, match=expected):
        hold_lock(tmp_path / "lock")
    hold_lock(tmp_path / "lock").close()


PARENT = """
import subprocess, sys, time, signal
from agentdesk.embedded.processes import spawn
child = spawn([sys.executable, "-c", "import time; time.sleep(60)"], output=subprocess.DEVNULL, death_signal=signal.SIGTERM)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_dies_with_its_killed_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        gone, alive = psutil.wait_procs([child], timeout=5)

    assert gone == [child]
    assert alive == []
