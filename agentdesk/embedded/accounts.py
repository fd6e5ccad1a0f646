"""The account that the embedded servers run as. PostgreSQL refuses to run as root, so root hands it to a system user."""

import grp
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVICE_USER = "agentdesk"
FALLBACK_USER = "nobody"


@dataclass(frozen=True)
class Account:
    """A system user, by numbers: `uid` and `gid` as the kernel knows them."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give `path` itself (not what is in it) to this account."""
        os.chown(path, self.uid, self.gid)


def service_account() -> Account | None:
    """Return the account for the servers when we are root, else None: they then run as we do.

    Makes the system user on first use; where that is not possible `nobody` does it.
    """
    if os.geteuid() != 0:
        return None
    return _find(SERVICE_USER) or _make(SERVICE_USER) or _must_find(FALLBACK_USER)


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _make(name: str) -> Account | None:
    command = shutil.which("useradd")
    if command is None:
        return None
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    options.append("--gid" if _group_exists(name) else "--user-group")
    if options[-1] == "--gid":
        options.append(name)
    # A failure (read-only /etc, another useradd at work) is not the end: the caller looks again and falls back.
    subprocess.run([command, *options, name], capture_output=True, check=False)
    return _find(name)


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _must_find(name: str) -> Account:
    account = _find(name)
    if account is None:
        raise LookupError(f"this system has neither a user {SERVICE_USER!r} nor {FALLBACK_USER!r}")
    return account
