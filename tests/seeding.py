"""What many tests begin with, made once by the desk's own verbs and copied into the empty database for each test after that."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tests.emptying import State, database_url, sequences, set_back, written_tables


@dataclass(frozen=True)
class Seed:
    """Rows by table, as COPY writes them, and where they leave the sequences."""

    rows: dict[str, bytes]
    sequences: dict[str, int | None]


_seeds: dict[Hashable, Seed] = {}


def seed_once(key: Hashable, database: str, fresh: State, make: Callable[[], object]) -> None:
    """Fill the database as ``make`` does. ``make`` is called where ``key`` is new, and where the database is not empty: then
    it may find something to do with what is there. The same rows have the same keys in all tests, and the time of the first."""
    with psycopg.connect(database_url(database), autocommit=True) as connection:
        if written_tables(connection, fresh):
            make()
        elif seed := _seeds.get(key):
            _put(connection, seed)
        else:
            make()
            _seeds[key] = _take(connection, fresh)


def _take(connection: psycopg.Connection, fresh: State) -> Seed:
    rows = {}
    for table in written_tables(connection, fresh):
        with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.SQL(table))) as copy:
            rows[table] = b"".join(bytes(block) for block in copy)
    return Seed(rows, sequences(connection))


def _put(connection: psycopg.Connection, seed: Seed) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # the tables in any order
        for table, rows in seed.rows.items():
            with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.SQL(table))) as copy:
                copy.write(rows)
    set_back(connection, sequences(connection), seed.sequences)
