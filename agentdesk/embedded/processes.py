"""Starting and ending child processes, so that none outlives us in a way that harms the next start."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from agentdesk.embedded.accounts import Account

PR_SET_PDEATHSIG = 1
LONGEST_LOG = 10 * 1024 * 1024  # bytes


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes] | int,
    death_signal: signal.Signals,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own (a Ctrl-C reaches only us), standard error joined to `output`.

    On Linux the kernel sends it `death_signal` when we die, however we die. Call it from the main thread only:
    the kernel counts the death of the thread that started the child. Raises OSError if the program cannot run.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=None if env is None else dict(env),
        cwd=folder,
        start_new_session=True,
        preexec_fn=_die_with_parent(death_signal),
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending, a long one from its start; only we may read it (it can quote what was in a statement)."""
    log = open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")  # noqa: SIM115 - the caller closes it
    if log.tell() > LONGEST_LOG:
        log.truncate(0)
    return log


def end(processes: Sequence[subprocess.Popen[bytes]], sign: signal.Signals, patience: float) -> None:
    """Send `sign` to all that still run, wait `patience` seconds in all, then kill what is left and collect it."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(sign)
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.01, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    # Loaded here, before the fork: the child may not import or allocate much between fork and exec.
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl: no signal will come
            os._exit(1)

    return ask_kernel
