"""Named places on the road of a run where a test stops a process, to kill it there from outside, or loses what comes there.

:func:`at` does nothing, at the cost of one comparison, unless this process was started with ``AGENTDESK_FAULTS`` naming a
folder, on a desk whose address is on loopback; a system check refuses the setting anywhere else. There is no way to switch
it on in a running process.

The folder is how a test and the processes talk, one file for each word:

    NAME                 written by the test: the next process that comes to the point NAME takes it, and stops
    at/NAME.PID.TOKEN    written by that process: it waits at the point; its content is the run it is about, if any
    go/NAME.PID.TOKEN    written by the test: go on
    lose/NAME            written by the test: this share of what comes there is lost, from 0 to 1
"""

import asyncio
import os
import random
import threading
import time
from pathlib import Path

from django.conf import settings

from agentdesk.telemetry import ids

POINTS = (
    # A web process: the run's row, the hint, the decision. The last two also in workers.
    "run.insert.before", "run.insert.after", "decision.begin", "decision.write.before",
    "decision.write.after", "decision.commit.after", "hint.send.before", "hint.send.after",
    # A worker: from the message to the graph.
    "advance.begin", "claim.before", "claim.after", "claim.commit.after", "checkpoint.read.before", "checkpoint.read.after",
    "resume.before", "resume.after", "checkpoint.write.before", "checkpoint.write.after",
    # The gate and the ledger.
    "gate.enter.before", "gate.evaluated", "gate.proposed", "gate.decision.taken", "gate.executing", "gate.enter.after",
    "tool.start", "tool.end", "ledger.finish.before", "ledger.finish.after", "ledger.commit.after", "gate.answer.before",
    # The pause, and letting go.
    "pause.look.before", "approval.insert.before", "approval.insert.after", "pause.commit.after", "delivered.before",
    "delivered.after", "release.before", "release.after", "release.commit.after", "close.after",
    # The sweeps.
    "sweep.before", "sweep.after",
)  # fmt: skip

POLL = 0.005  # seconds

_folder: Path | None = None


def at(point: str) -> None:
    """This process has come to ``point``, one of :data:`POINTS`. It goes on at once unless a test armed the point."""
    if _folder is not None:
        _stop(_folder, point)


async def at_on_loop(point: str) -> None:
    """The same on an event loop, which goes on meanwhile: one that stands still would hold the transactions of others open."""
    if _folder is not None:
        await asyncio.to_thread(_stop, _folder, point)


def loses(point: str) -> bool:
    """Whether what has come to ``point`` is to be lost, by chance, as a test wants it."""
    if _folder is None:
        return False
    try:
        share = float((_folder / "lose" / point).read_text())
    except FileNotFoundError:
        return False
    return random.random() < share  # noqa: S311  # a test's dice


def switch_on() -> None:
    """Called once, when Django is ready. Raises ValueError for a folder that is not there."""
    global _folder
    if not settings.FAULTS or not settings.LOOPBACK:
        return
    folder = Path(settings.FAULTS)
    if not folder.is_dir():
        raise ValueError(f"AGENTDESK_FAULTS: there is no folder {folder}")
    _folder = folder


def _stop(folder: Path, point: str) -> None:
    name = f"{point}.{os.getpid()}.{threading.get_ident()}"
    try:
        (folder / point).rename(folder / f"taken.{name}")  # of several that come at once, one takes it
    except FileNotFoundError:
        return
    draft = folder / f"draft.{name}"
    draft.write_text(ids().get("run", ""))
    draft.rename(folder / "at" / name)
    go = folder / "go" / name
    while not go.exists():
        time.sleep(POLL)
    go.unlink()
