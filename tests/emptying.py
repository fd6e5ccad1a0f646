"""Bringing a test's database back to what the template holds, without making it anew: that takes a copy of thousands of files.

What tests write are rows, in tables that are empty in the template: those are deleted, and sequences are set back. Then the
database is compared with what it was when it was new. One that differs in anything else (tests may create tables, alter
columns, change the rows of migrations, grant rights) is not mended but made anew by the caller.
"""

import os
import time
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tests.services import SUPERUSER_URL

type Row = tuple[Any, ...]
type Sequences = dict[str, int | None]

GRACE = 2.0  # seconds for late threads to end what they do in a database that is to be emptied or dropped
END_MILLISECONDS = 5_000  # for a connection that is ended to be gone

TABLES: LiteralString = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname), pg_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm') AND c.oid >= 16384 AND relpersistence <> 't' AND nspname <> 'pg_toast' ORDER BY 1
"""
SEQUENCES: LiteralString = (
    "SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value FROM pg_sequences ORDER BY 1"
)
# What the schema consists of: catalog, which of its rows count (16384: the first that is not PostgreSQL's own), and what tells
# that one was changed. The rows of most are as old as their last change; those of pg_class are renewed by VACUUM too.
CATALOGS: tuple[tuple[LiteralString, LiteralString, LiteralString], ...] = (
    (
        "pg_class",
        "oid >= 16384 AND relpersistence <> 't'",
        "oid, relname, relnamespace, relkind, relowner, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,"
        " relacl, reloptions",
    ),
    ("pg_attribute", "attrelid >= 16384", "ctid, xmin"),
    ("pg_attrdef", "true", "oid, xmin"),
    ("pg_index", "indexrelid >= 16384", "indexrelid, xmin"),
    ("pg_constraint", "oid >= 16384", "oid, xmin"),
    ("pg_trigger", "true", "oid, xmin"),
    ("pg_rewrite", "oid >= 16384", "oid, xmin"),
    ("pg_policy", "true", "oid, xmin"),
    ("pg_proc", "oid >= 16384", "oid, xmin"),
    ("pg_type", "oid >= 16384", "oid, xmin"),
    ("pg_namespace", "nspname NOT LIKE 'pg_%temp_%'", "oid, xmin"),
    ("pg_extension", "true", "oid, xmin"),
    ("pg_default_acl", "true", "oid, xmin"),
    ("pg_inherits", "true", "ctid, xmin"),
    ("pg_largeobject_metadata", "true", "oid, xmin"),
    ("pg_statistic", "starelid >= 16384", "starelid, staattnum"),
    ("pg_database", "datname = current_database()", "datdba, datacl, datconnlimit, datallowconn"),
    (
        "pg_db_role_setting",
        "setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
        "setrole, setconfig",
    ),
)
# The order of the rows does not count: their hashes are added up.
SCHEMA = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT {}, count(*), sum(hashtextextended(concat_ws(' ', {}), 0)) FROM {} WHERE {}").format(
        catalog, sql.SQL(telling), sql.Identifier(catalog), sql.SQL(which)
    )
    for catalog, which, telling in CATALOGS
)


@dataclass(frozen=True)
class State:
    """What a database is like: its schema, the content of the tables that migrations write into, which of the others hold
    anything, and where its sequences stand. A table of no bytes has never held a row, or was vacuumed after all of them were
    deleted."""

    schema: tuple[Row, ...]
    seeded: tuple[Row, ...]
    written: tuple[str, ...]
    sequences: Sequences


def database_url(name: str) -> str:
    return os.environ[SUPERUSER_URL].rsplit("/", 1)[0] + f"/{name}"


def fresh_state(name: str) -> State:
    """The state of a database that was made from the template just now."""
    with psycopg.connect(database_url(name), autocommit=True) as connection:
        return _state(connection, [table for table, size in connection.execute(TABLES) if size])


def empty(name: str, fresh: State) -> bool:
    """Take out what was written since the database was ``fresh``; nobody else is connected to it afterwards. Return whether
    it is as fresh again; it may be half empty otherwise, and is to be made anew."""
    with psycopg.connect(database_url(name), autocommit=True) as connection:
        end_others(connection, name)
        seeded = [row[0] for row in fresh.seeded]
        before = _state(connection, seeded)
        if before == fresh:
            return True
        if before.schema != fresh.schema or before.seeded != fresh.seeded:
            return False
        _delete(connection, before.written)
        set_back(connection, before.sequences, fresh.sequences)
        return _state(connection, seeded) == fresh


def end_others(connection: psycopg.Connection[Any], name: str) -> None:
    """Wait until nobody else is connected to the database, :data:`GRACE` seconds at most; end who is there still."""
    others = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    until = time.monotonic() + GRACE
    while connection.execute(f"SELECT 1 {others} LIMIT 1", (name,)).fetchone():
        if time.monotonic() > until:
            connection.execute(f"SELECT pg_terminate_backend(pid, {END_MILLISECONDS}) {others}", (name,))
            return
        time.sleep(0.005)


def _state(connection: psycopg.Connection[Any], seeded: list[str]) -> State:
    contents = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, count(*), sum(hashtextextended(t::text, 0)) FROM {} t").format(table, sql.SQL(table))
        for table in seeded
    )
    return State(
        schema=tuple(connection.execute(SCHEMA).fetchall()),
        seeded=tuple(connection.execute(contents).fetchall()),
        written=tuple(table for table, size in connection.execute(TABLES) if size and table not in seeded),
        sequences=sequences(connection),
    )


def _delete(connection: psycopg.Connection[Any], tables: tuple[str, ...]) -> None:
    """Delete all rows and give their pages back. As a replica does: neither foreign keys nor the triggers of insert-only
    tables object."""
    connection.execute("SET session_replication_role = replica")
    with connection.transaction():
        for table in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.SQL(table)))
    for table in tables:
        connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(table)))
        # A new table has no statistics, and the planner thinks of it otherwise than of one that was counted as empty.
        connection.execute(
            "SELECT pg_clear_relation_stats(relnamespace::regnamespace::text, relname::text) FROM pg_class"
            " WHERE oid = %s::regclass",
            (table,),
        )


def set_back(connection: psycopg.Connection[Any], found: Sequences, wanted: Sequences) -> None:
    """Let the sequences stand where they are ``wanted``; None: never asked."""
    for sequence, value in wanted.items():
        if found[sequence] != value:
            connection.execute(
                "SELECT setval(%s::regclass, coalesce(%s, seqstart), %s) FROM pg_sequence WHERE seqrelid = %s::regclass",
                (sequence, value, value is not None, sequence),
            )


def sequences(connection: psycopg.Connection[Any]) -> Sequences:
    """Where each sequence stands."""
    return dict(connection.execute(SEQUENCES).fetchall())


def written_tables(connection: psycopg.Connection[Any], fresh: State) -> tuple[str, ...]:
    """The tables that something was written into, of those that were empty when the database was ``fresh``."""
    seeded = {row[0] for row in fresh.seeded}
    return tuple(table for table, size in connection.execute(TABLES) if size and table not in seeded)
