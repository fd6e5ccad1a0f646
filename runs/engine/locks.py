"""Which worker processes are alive: each holds one advisory lock, on a connection of its own.

PostgreSQL frees the lock with the connection, so a killed process is gone at once and nobody keeps a lease. The lock is no
fence: a process that lost its connection may still be at work. The run's ``attempt`` is the fence.
"""

import secrets
import threading
from typing import Any

import psycopg
from django.conf import settings

NAMESPACE = 0x41444B  # "ADK": the class id of our advisory locks

# Whether the process that claimed a row of runs_run is still there.
ALIVE = f"""EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {NAMESPACE}
    AND l.objid::bigint = claimed_by AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""  # noqa: S608 - only a constant is put in


class Presence:
    """This process's lock. Its key changes when the connection was lost: the old key's runs are then anybody's."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._key = 0

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
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _connect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = psycopg.connect(conninfo(), autocommit=True, application_name="agentdesk presence")
        while True:
            key = secrets.randbelow(2**31 - 1) + 1
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (NAMESPACE, key)).fetchone()
            if row is not None and row[0]:
                self._key = key
                return


def conninfo() -> str:
    """Connection string of the application's role, for psycopg."""
    database = settings.DATABASES["default"]
    parts = {
        "host": database.get("HOST"), "port": database.get("PORT"), "dbname": database["NAME"],
        "user": database.get("USER"), "password": database.get("PASSWORD"),
    }  # fmt: skip
    extra = {key: value for key, value in database.get("OPTIONS", {}).items() if key in {"sslmode", "sslrootcert", "host"}}
    return psycopg.conninfo.make_conninfo(**{key: str(value) for key, value in {**parts, **extra}.items() if value})
