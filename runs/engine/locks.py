"""Which worker processes are alive: each holds one advisory lock, on a connection of its own.

PostgreSQL frees the lock with the connection, so a killed process is gone at once and nobody keeps a lease. The lock is no
fence: a process that lost its connection may still be at work. The run's ``attempt`` is the fence.

A lock belongs to a session. A pooler that hands each transaction to another session (PgBouncer's ``pool_mode=transaction``)
would leave the lock with a session that outlives the process; so such an address is refused, here and by a system check.
``DATABASE_DIRECT_URL`` then leads around the pooler.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

NAMESPACE = 0x41444B  # "ADK": the class id of our advisory locks

# Whether the process that claimed a row of runs_run is still there.
ALIVE = f"""EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {NAMESPACE}
    AND l.objid::bigint = claimed_by AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""  # noqa: S608 - only a constant is put in


PROBES = 4  # sessions opened beside the first; a pooler that takes turns among idle ones is found out by one of them
POOLED = "The database is reached through a pooler in transaction mode, where no lock is safe. Set DATABASE_DIRECT_URL."


def is_pooled(connect: Callable[[], Any] | None = None) -> bool:
    """Whether the address leads to a pooler that shares sessions among transactions. ``connect`` opens one connection with
    autocommit. Raises psycopg.OperationalError.

    While one connection is idle, others begin transactions. A session of one's own is nobody else's then, and stays the same.
    """
    connect = connect or _connection
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(connect()))
        own = _session(first)
        for _ in range(PROBES):
            other = stack.enter_context(contextlib.closing(connect()))
            other.execute("BEGIN")
            if _session(other) == own:
                return True
        return _session(first) != own


def _session(connection: Any) -> int:
    """The id of the server process that answers now."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0])


class Presence:
    """This process's lock. Its key changes when the connection was lost: the old key's runs are then anybody's."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._key = 0
        self._session = 0
        self._is_probed = False

    def key(self) -> int:
        """The key under which this process claims runs. Connects, or connects again, where needed. Raises
        psycopg.OperationalError when the database cannot be reached."""
        with self._guard:
            if not self._holds():
                self._connect()
            return self._key

    def close(self) -> None:
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _holds(self) -> bool:
        if self._connection is None:
            return False
        try:
            return _session(self._connection) == self._session
        except psycopg.Error:
            return False

    def _connect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if not self._is_probed and is_pooled():
            raise ImproperlyConfigured(POOLED)
        self._is_probed = True
        self._connection = _connection()
        self._session = _session(self._connection)
        while True:
            key = secrets.randbelow(2**31 - 1) + 1
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (NAMESPACE, key)).fetchone()
            if row is not None and row[0]:
                self._key = key
                return


def _connection() -> psycopg.Connection[Any]:
    return psycopg.connect(conninfo(), autocommit=True, application_name="agentdesk presence")


def conninfo() -> str:
    """Connection string of the application's role, for psycopg: around a pooler, where DATABASE_DIRECT_URL says how."""
    database = {**settings.DATABASES["default"], **settings.DATABASE_DIRECT}
    parts = {
        "host": database.get("HOST"), "port": database.get("PORT"), "dbname": database["NAME"],
        "user": database.get("USER"), "password": database.get("PASSWORD"),
    }  # fmt: skip
    extra = {key: value for key, value in database.get("OPTIONS", {}).items() if key in {"sslmode", "sslrootcert", "host"}}
    return psycopg.conninfo.make_conninfo(**{key: str(value) for key, value in {**parts, **extra}.items() if value})
