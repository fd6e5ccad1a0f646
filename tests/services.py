"""PostgreSQL and Valkey for the whole test run: started once, before Django's settings are read, shared by all workers.

The migrated database is a template: every worker gets a copy of its own (see conftest.py). The folder of the migrated
server is kept between runs and made again when a migration or a pinned requirement changes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import find_places, make_places
from agentdesk.embedded.postgresql import APP, DATABASE, OWNER, SUPERUSER, PostgreSQL
from agentdesk.embedded.secrets import load_secrets
from agentdesk.embedded.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parent.parent
WORKER = "PYTEST_XDIST_WORKER"
SUPERUSER_URL = "AGENTDESK_TEST_SUPERUSER_URL"
# What decides how the migrated database looks.
MIGRATION_SOURCES = (
    "*/migrations/*.py",
    "*/*/migrations/*.py",
    "agentdesk/management/commands/migrate.py",
    "agentdesk/embedded/postgresql.py",
    "runs/engine/checkpoints.py",
    "runs/engine/stores.py",
    "requirements.lock",
    "tests/services.py",
)


FOLDER_PREFIX = "agentdesk-test-"
LEFT_OVER_SECONDS = 3600


class Services:
    """The two servers of one test run, their files in a temporary folder."""

    def __init__(self) -> None:
        _remove_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self.folder.chmod(0o711)
        self.account = service_account()
        template = migrated_template()
        subprocess.run(["cp", "-a", f"{template}/.", str(self.folder)], check=True)
        secrets = load_secrets(self.folder / "secrets.json")
        self.postgresql = PostgreSQL(self.folder, secrets, self.account, durable=False)
        self.valkey = Valkey(self.folder, secrets, self.account)

    def start(self) -> None:
        self.postgresql.start()
        self.valkey.start()
        state = self.folder / "state"
        state.mkdir()
        os.environ |= {
            "DATABASE_URL": self.postgresql.url(APP),
            "DATABASE_OWNER_URL": self.postgresql.url(OWNER),
            SUPERUSER_URL: self.postgresql.url(SUPERUSER, "postgres"),
            "REDIS_URL": self.valkey.url(),
            "SECRET_KEY": "only-for-tests-" + "x" * 40,
            # A desk that runs in this checkout, its env file and its mail folder have no part in the tests.
            "AGENTDESK_STATE_DIR": str(state),
            "AGENTDESK_HOLD_SECONDS": "",  # decisions count at once, but in the tests that are about taking them back
        }

    def stop(self) -> None:
        self.postgresql.stop()
        self.valkey.stop()
        shutil.rmtree(self.folder)


def migrated_template() -> Path:
    """Return the folder of a stopped server that holds the migrated database, made when it is missing."""
    places = find_places(CHECKOUT, {})
    make_places(places)
    shelf = places.data / "tests"
    shelf.mkdir(exist_ok=True)
    shelf.chmod(0o711)
    template = shelf / _migration_hash()
    if not template.exists():
        _remove_old(shelf)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=shelf))
        draft.chmod(0o711)
        try:
            _fill(draft)
            _rename_unless_there(draft, template)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return template


def _migration_hash() -> str:
    digest = hashlib.sha256()
    for pattern in MIGRATION_SOURCES:
        for path in sorted(CHECKOUT.glob(pattern)):
            if ".venv" not in path.parts:
                digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _fill(folder: Path) -> None:
    server = PostgreSQL(folder, load_secrets(folder / "secrets.json"), service_account(), durable=False)
    server.start()
    try:
        server.make_roles()
        _migrate(server.url(APP), server.url(OWNER), folder)
    finally:
        server.stop()


def _migrate(app_url: str, owner_url: str, folder: Path) -> None:
    environment = os.environ | {
        "DATABASE_URL": app_url,
        "DATABASE_OWNER_URL": owner_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody is there: migrations need no broker
        "SECRET_KEY": "only-for-migrations-" + "x" * 40,
        "AGENTDESK_STATE_DIR": str(folder),
    }
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotStart(f"`manage.py migrate` failed:\n{done.stdout}{done.stderr}")


def _rename_unless_there(draft: Path, template: Path) -> None:
    try:
        draft.rename(template)
    except OSError:
        if not template.exists():  # not another run that was quicker
            raise


def _remove_left_over() -> None:
    """Remove the folders of runs that were killed. Their servers ended with them, so nobody writes there any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        touched = max((path.stat().st_mtime for path in (folder, *folder.glob("*.log"))), default=0.0)
        abandoned = touched < time.time() - LEFT_OVER_SECONDS and not (folder / "postgresql" / "postmaster.pid").exists()
        if abandoned or _server_is_gone(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _server_is_gone(folder: Path) -> bool:
    try:
        pid = int((folder / "postgresql" / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, PermissionError, ValueError):
        return False  # it is being made, or is not ours
    return not psutil.pid_exists(pid)


def _remove_old(shelf: Path) -> None:
    """Remove templates that were not made within the last day; younger ones may be in use by another branch."""
    for folder in shelf.iterdir():
        if folder.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(folder, ignore_errors=True)


def worker_name() -> str:
    return os.environ.get(WORKER, "main")


def _own_environment() -> None:
    """Point this process at its own database, Valkey database and instance name."""
    name = worker_name()
    number = int(name.removeprefix("gw")) + 1 if name != "main" else 0
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        os.environ[variable] = os.environ[variable].rsplit("/", 1)[0] + f"/desk_{name}"
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rsplit("/", 1)[0] + f"/{number}"
    os.environ["AGENTDESK_INSTANCE"] = f"test-{name}"


TEMPLATE = DATABASE
_running: list[Services] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    # A wrapper, because it must come before pytest-django, which reads the settings in this hook.
    if WORKER not in os.environ:
        try:
            services = Services()
            _running.append(services)
            services.start()
        except CannotStart as problem:
            raise pytest.UsageError(str(problem)) from problem
    _own_environment()
    try:
        return (yield)
    except BaseException:
        # Broken settings end the run before there is anything to unconfigure.
        pytest_unconfigure()
        raise


def pytest_unconfigure() -> None:
    while _running:
        _running.pop().stop()


def run_beside(command: list[str]) -> int:
    """Run `command` with both servers at its side, on a database as `manage.py migrate` leaves it; return its status."""
    services = Services()
    services.start()
    try:
        return subprocess.run(command, cwd=CHECKOUT, check=False).returncode
    finally:
        services.stop()


if __name__ == "__main__":
    sys.exit(run_beside(sys.argv[1:]))
