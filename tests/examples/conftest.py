"""The support example, run as it is: its own tables in a database of its own, its mail in a folder."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.services import SUPERUSER_URL, worker_name

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "support"
sys.path.insert(0, str(EXAMPLE))


@dataclass(frozen=True)
class Shop:
    """The seeded shop: `seed` empties it and fills it again, `rows` looks into it, `mails` reads what was sent."""

    owner_url: str
    app_role: str
    mail_dir: Path

    def seed(self, **data: Any) -> None:
        from support.seed import seed

        with psycopg.connect(self.owner_url) as connection:
            # Much quicker than dropping the tables, which is done by the test that needs it.
            if connection.execute("SELECT to_regclass('support.tickets') IS NOT NULL").fetchone() == (True,):
                connection.execute("TRUNCATE support.customers, support.tickets CASCADE")
        seed(self.owner_url, role=self.app_role, **data)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.owner_url) as connection:
            return connection.execute(sql.SQL(query)).fetchall()

    def mails(self) -> list[EmailMessage]:
        found = []
        for path in sorted(self.mail_dir.glob("*")):
            for text in path.read_bytes().split(b"-" * 79 + b"\n"):
                if text.strip():
                    found.append(message_from_bytes(text, _class=EmailMessage, policy=policy.default))
        return found


def _in_database(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"


@pytest.fixture(scope="session")
def shop_database() -> Iterator[tuple[str, str]]:
    """An empty database of this worker: its URL for the owner and for the role that the agent connects as."""
    name = f"support_{worker_name()}"
    owner_url = _in_database(os.environ["DATABASE_OWNER_URL"], name)
    owner = sql.Identifier(str(conninfo_to_dict(owner_url)["user"]))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), owner))
        yield owner_url, _in_database(os.environ["DATABASE_URL"], name)
        _close_pools()
        connection.execute(drop)


def _close_pools() -> None:
    from support import store

    for pool in store._pools.values():
        pool.close()
    store._pools.clear()


@pytest.fixture
def shop(shop_database: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    """A freshly seeded shop; the tools find it by the environment, as they would anywhere."""
    owner_url, app_url = shop_database
    monkeypatch.setenv("SUPPORT_DATABASE_URL", app_url)
    monkeypatch.setenv("SUPPORT_MAIL_DIR", str(tmp_path / "mail"))
    monkeypatch.setenv("SUPPORT_TOKEN_DELAY", "0")
    monkeypatch.delenv("EMAIL_URL", raising=False)
    made = Shop(owner_url, str(conninfo_to_dict(app_url)["user"]), tmp_path / "mail")
    made.seed()
    return made


@pytest.fixture
def call(shop: Shop) -> Callable[..., dict[str, Any]]:
    """Call a tool by name, the way a graph does."""
    from support.tools import TOOLS

    tools = {tool.name: tool for tool in TOOLS}

    def act(name: str, /, *, key: str | None = None, **args: Any) -> dict[str, Any]:
        result: dict[str, Any] = tools[name].invoke(args, {"configurable": {"idempotency_key": key}} if key else None)
        return result

    return act
