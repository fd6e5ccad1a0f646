"""What a killed supervisor left behind: its processes are recorded, and the next start ends those that still live.

On Linux the kernel ends them already (see processes.py); this serves the other systems, and the moments in between.
"""

import fcntl
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import psutil

from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.secrets import write_private

PATIENCE_SECONDS = 5.0


def hold_lock(path: Path) -> IO[str]:
    """Hold the checkout's lock for as long as the returned file is open; a dead process lets go of it by itself.

    Raises CannotStart when another `make run` of this checkout holds it.
    """
    # Opened for appending: the text in it is the holder's until the lock is ours.
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "an unknown process"
        file.close()
        raise CannotStart(f"this checkout already runs as process {holder}: stop that one first.") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def record(path: Path, processes: Mapping[str, int]) -> None:
    """Write down the running processes, name → pid, with the start times that tell a pid from its reuse."""
    found = []
    for name, pid in processes.items():
        try:
            found.append({"name": name, "pid": pid, "started": psutil.Process(pid).create_time()})
        except psutil.NoSuchProcess:
            continue
    write_private(path, json.dumps(found))


def end_survivors(path: Path) -> list[str]:
    """End the recorded processes that still live; return their names. Asks first, kills after some seconds."""
    survivors = dict(_living(path))
    for process, name in survivors.items():
        # PostgreSQL waits for its clients at a SIGTERM; at a SIGINT it sends them away.
        process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(list(survivors), timeout=PATIENCE_SECONDS)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=PATIENCE_SECONDS)
    path.unlink(missing_ok=True)
    return list(survivors.values())


def _living(path: Path) -> list[tuple[psutil.Process, str]]:
    try:
        entries = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return []
    found = []
    for entry in entries:
        try:
            process = psutil.Process(int(entry["pid"]))
            if abs(process.create_time() - float(entry["started"])) < 0.01:
                found.append((process, str(entry["name"])))
        except psutil.NoSuchProcess:
            continue
    return found
