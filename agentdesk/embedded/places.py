"""Where a checkout keeps its files.

Ordinary user: everything in `<checkout>/.agentdesk/`.
Root: the servers run as another user, who must reach their data without anybody opening a home folder for it.
So the data lie in `/var/lib/agentdesk/<hash of the checkout's path>/`, and only the rest in `<checkout>/.agentdesk/`.
`AGENTDESK_STATE_DIR` and `AGENTDESK_DATA_DIR` choose other places.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentdesk.embedded.errors import CannotStart

ROOT_DATA = Path("/var/lib/agentdesk")
NEEDED_BYTES = 300 * 1024 * 1024


@dataclass(frozen=True)
class Places:
    """The folders of one checkout: `state` for what the desk writes, `data` for the embedded servers."""

    checkout: Path
    state: Path
    data: Path

    @property
    def env_file(self) -> Path:
        """KEY=value lines that settings.py reads for what the environment does not say."""
        return self.state / "env"

    @property
    def lock_file(self) -> Path:
        return self.state / "lock"

    @property
    def process_file(self) -> Path:
        return self.state / "processes.json"

    @property
    def secrets_file(self) -> Path:
        """Lies beside the data: the passwords in it open these data and no others."""
        return self.data / "secrets.json"

    @property
    def instance(self) -> str:
        """Name that keeps this desk's queues, channels and cookies apart from a neighbour's."""
        return "desk-" + checkout_hash(self.checkout)[:8]


def checkout_hash(checkout: Path) -> str:
    return hashlib.sha256(str(checkout.resolve()).encode()).hexdigest()[:16]


def find_places(checkout: Path, environ: Mapping[str, str]) -> Places:
    """Say where things are; makes nothing."""
    checkout = checkout.resolve()
    state = Path(environ.get("AGENTDESK_STATE_DIR") or checkout / ".agentdesk")
    default = ROOT_DATA / checkout_hash(checkout) if os.geteuid() == 0 else state
    return Places(checkout, state.absolute(), Path(environ.get("AGENTDESK_DATA_DIR") or default).absolute())


def make_places(places: Places) -> None:
    """Make the folders and see that they can be written. Raises CannotStart for a read-only or a full disk."""
    # Root's servers run as another user, who must pass through the data folder; nobody else has business there.
    data_mode = 0o711 if os.geteuid() == 0 else 0o700
    _make_writable(places.state, 0o700, "AGENTDESK_STATE_DIR")
    _make_writable(places.data, data_mode, "AGENTDESK_DATA_DIR")
    free = shutil.disk_usage(places.data).free
    if free < NEEDED_BYTES:
        raise CannotStart(
            f"only {free // 2**20} MB are free at {places.data}, {NEEDED_BYTES // 2**20} MB are needed: "
            "make room, or set AGENTDESK_DATA_DIR to a folder on another disk."
        )


def _make_writable(folder: Path, mode: int, variable: str) -> None:
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as problem:
        raise CannotStart(_why_not_writable(folder, problem, variable)) from problem


def _why_not_writable(folder: Path, problem: OSError, variable: str) -> str:
    if problem.errno == errno.ENOSPC:
        return f"the disk of {folder} is full: make room, or set {variable} to a folder on another disk."
    if problem.errno == errno.EROFS:
        return f"{folder} is on a read-only disk: set {variable} to a folder that can be written."
    if problem.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{folder} belongs to another user (was the desk started as root before?): "
            f"start it as that user, or set {variable} to a folder of your own."
        )
    return f"cannot write to {folder} ({problem.strerror}): set {variable} to a folder that can be written."
