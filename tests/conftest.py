"""What every test can use.

`db`: a transaction that is rolled back. `committed`: real commits, undone by emptying the database (tests/emptying.py).
`desk`: the whole desk running, its data kept from test to test; `fresh_desk`: the same, started on an empty database.
`page`, `new_page`: Chromium pages. They fail the test over uncaught errors and anything the security policy blocks.
"""

import gc
import os
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connections
from django.test import override_settings
from psycopg import sql

from agentdesk.live.sender import sender
from tests.desk import Desk, desk_environment
from tests.emptying import State, empty, end_others, fresh_state
from tests.seeding import seed_once
from tests.services import SUPERUSER_URL, TEMPLATE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

EXPECT_MS = 15_000  # so long a page may take to show what is expected of it, on a machine that does much else
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--font-render-hinting=none",  # letters are as wide on every machine
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class OneRoundHasher(PBKDF2PasswordHasher):
    """The real algorithm with one round: cheap to make here, and a real desk can still check it."""

    iterations = 1


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Generator[None]:
    with override_settings(PASSWORD_HASHERS=["tests.conftest.OneRoundHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def collect_between_tests() -> Generator[None]:
    """Garbage is collected between tests only. LangChain leaves coroutines behind that were never awaited, which are known and
    ignored (pyproject.toml); but where one is collected while a named tuple is made, whose code has no builtins, Python
    fails to warn of it and raises instead."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Generator[None]:
    """What a test left is collected as its own: all of it now and then, what is young every time."""
    yield
    done = request.config.stash.get(_TESTS_DONE, 0) + 1
    request.config.stash[_TESTS_DONE] = done
    gc.collect(2 if done % 50 == 0 else 1)


_TESTS_DONE = pytest.StashKey[int]()
_fresh: dict[str, State] = {}  # by name: what each database of this process was like when it was new


def make_database(name: str) -> None:
    """Make the database anew from the migrated template. This process's pools lead nowhere else afterwards: a thread of an
    earlier test that is still at work would leave a broken connection in them."""
    database, owner = sql.Identifier(name), sql.Identifier(connections["owner"].settings_dict["USER"])
    leave_database()
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as connection:
        end_others(connection, name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(database, owner, sql.Identifier(TEMPLATE)))
    _fresh[name] = fresh_state(name)
    close_connections()


def clear_database(name: str) -> None:
    """Leave the database as `make_database` does: by emptying it where that is enough, which is much quicker."""
    leave_database()
    if name not in _fresh or not empty(name, _fresh[name]):
        make_database(name)
    close_connections()


def begin_with(key: Hashable, make: Callable[[], object]) -> None:
    """Fill this process's database as ``make`` does, quicker from the second time on (tests/seeding.py)."""
    name = database_name()
    if connections["default"].in_atomic_block:  # nobody else sees what is made here
        make()
        return
    seed_once((name, key), name, _fresh[name], make)


def leave_database() -> None:
    sender().flush(5)  # what is sent in the background asks the database too
    close_connections()


def close_connections() -> None:
    """Close this thread's connections and the pools behind them."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool is not None:
            close_pool()


def database_name() -> str:
    return str(connections["default"].settings_dict["NAME"])


@contextmanager
def database(name: str) -> Iterator[None]:
    """Let this process's connections lead to another database for a while."""
    usual = database_name()
    close_connections()
    for alias in ("default", "owner"):
        connections[alias].settings_dict["NAME"] = name
    try:
        yield
    finally:
        sender().flush(5)  # what is sent in the background asks the database too
        close_connections()
        for alias in ("default", "owner"):
            connections[alias].settings_dict["NAME"] = usual
        close_connections()  # a pool that another thread had opened meanwhile leads to the other database


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Generator[None]:
    """Replaces pytest-django's: the app's role may neither create nor flush databases."""
    with django_db_blocker.unblock():
        make_database(database_name())
    yield
    with django_db_blocker.unblock():
        close_connections()


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Generator[None]:
    """Real commits, from any thread or process; afterwards the database is what a fresh copy of the template would be."""
    with django_db_blocker.unblock():
        yield
        clear_database(database_name())


@pytest.fixture(scope="session")
def desk_processes(django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    name = f"{database_name()}_live"
    addresses = [os.environ[key].rsplit("/", 1)[0] + f"/{name}" for key in ("DATABASE_URL", "DATABASE_OWNER_URL")]
    folder = tmp_path_factory.mktemp("desk")
    desk = Desk(folder, desk_environment(folder, *addresses))
    with django_db_blocker.unblock():
        make_database(name)
    try:
        desk.start()
        yield desk
    finally:
        desk.stop()


@pytest.fixture
def desk(desk_processes: Desk, django_db_blocker: Any) -> Generator[Desk]:
    """The running desk, the test's own connections leading to its database. What tests write there stays: use own names."""
    for name, process in desk_processes.processes.items():
        if process.poll() is not None:  # killed by the test before
            desk_processes.restart(name)
    with django_db_blocker.unblock(), database(f"{database_name()}_live"):
        yield desk_processes


@pytest.fixture
def fresh_desk(desk_processes: Desk, django_db_blocker: Any) -> Generator[Desk]:
    """The desk, started anew on a database with nothing in it but the seed. Costs some seconds."""
    name = f"{database_name()}_live"
    with django_db_blocker.unblock(), database(name):
        desk_processes.stop()
        clear_database(name)
        desk_processes.start()
        yield desk_processes


@pytest.fixture(scope="module")
def browser() -> Generator["Browser"]:
    """Chromium. One per module, because Playwright keeps an event loop running, which async tests cannot bear."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=EXPECT_MS)
    program = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    if not Path(program).exists():
        pytest.fail("the browser tests need Chromium: install it, or set CHROMIUM=/path/to/it")
    # Django takes Playwright's loop for an async caller of the ORM, which has connections of its own: those of before would not
    # be closed with the others, and a database that is made anew meanwhile would leave them broken to the next module.
    close_connections()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_OPTIONS))
        yield chromium
        chromium.close()
        close_connections()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def new_page(browser: "Browser", request: pytest.FixtureRequest) -> Generator[Callable[..., "Page"]]:
    """Return a function that opens a page in a browser profile of its own; options as for `Browser.new_context`."""
    pages: list[Page] = []
    problems: list[str] = []

    def note_console(message: "ConsoleMessage") -> None:
        if "Content Security Policy" in message.text:
            problems.append(message.text)

    def open_page(**options: Any) -> "Page":
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(f"uncaught in {page.url}: {error}"))
        page.on("console", note_console)
        pages.append(page)
        return page

    yield open_page
    if request.session.testsfailed:
        keep_screenshots(pages, request.node.name)
    for page in pages:
        page.context.close()
    assert problems == []


@pytest.fixture
def page(new_page: Callable[..., "Page"]) -> "Page":
    return new_page()


def keep_screenshots(pages: "list[Page]", test: str) -> None:
    folder = Path("test-results")
    folder.mkdir(exist_ok=True)
    for number, page in enumerate(pages):
        page.screenshot(path=folder / f"{test}-{number}.png", full_page=True)
