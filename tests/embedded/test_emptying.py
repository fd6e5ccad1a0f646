"""What `committed` tests leave behind: nothing, whatever they wrote, and without a new database where rows are all."""

import hashlib
import os
from contextlib import suppress

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection, connections, transaction
from psycopg import sql

from agentdesk.audit.models import AuditContent, AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.people.models import Team
from tests.conftest import begin_with, clear_database, database_name, make_database
from tests.emptying import database_url


def contents(name):
    """Every row of every table, and every sequence, of a database."""
    with psycopg.connect(database_url(name), autocommit=True) as one:
        tables = one.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        digests = {}
        for (table,) in tables.fetchall():
            rows = one.execute(sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(table))).fetchall()
            digests[table] = len(rows), hashlib.sha256(repr(rows).encode()).hexdigest()
        return digests, sorted(one.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall())


def database_oid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


@pytest.fixture(scope="module")
def template(django_db_setup, django_db_blocker):
    """What a copy of the template holds. The template itself takes no connection while a test on another worker copies it."""
    name = f"{database_name()}_copy"
    with django_db_blocker.unblock():
        make_database(name)
    yield contents(name)
    with psycopg.connect(database_url("postgres"), autocommit=True) as one:
        one.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def write_into_tables():
    """A row into each table that takes one made up, with neither keys nor triggers in the way; return how many there are."""
    written = 0
    with psycopg.connect(database_url(database_name()), autocommit=True) as one:
        one.execute("SET session_replication_role = replica")
        tables = one.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND pg_relation_size(oid) = 0"
        ).fetchall()
        for (table,) in tables:
            columns = one.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped AND attnotnull AND attidentity = '' AND attgenerated = '' AND NOT atthasdef",
                (table,),
            ).fetchall()
            names = sql.SQL(", ").join(sql.Identifier(column) for column, _ in columns)
            values = sql.SQL(", ").join(
                sql.SQL("'{}'" if kind.endswith("[]") else VALUES.get(kind, "'1'")) for _, kind in columns
            )
            into = sql.SQL("INSERT INTO {} ({}) VALUES ({})") if columns else sql.SQL("INSERT INTO {} DEFAULT VALUES")
            with suppress(psycopg.errors.CheckViolation):
                written += one.execute(into.format(sql.Identifier(table), names, values)).rowcount
    return written


VALUES = {
    "uuid": "gen_random_uuid()", "jsonb": "'{}'", "timestamp with time zone": "now()", "boolean": "true", "bytea": "'x'",
    "inet": "'::1'", "date": "current_date",
}  # fmt: skip


def test_it_takes_out_every_row_without_a_new_database(committed, template):
    before = database_oid()
    assert write_into_tables() > 25
    assert contents(database_name()) != template

    clear_database(database_name())

    assert contents(database_name()) == template
    assert database_oid() == before


def test_it_takes_out_what_is_insert_only_and_sets_sequences_back(committed, template):
    before = database_oid()
    team = Team.objects.create(slug="refunds", name="Refunds")
    record("run.started", actor=Actor.desk(), object_type="run", object_id="1", team_id=team.pk, content={"input": "secret"})
    first = AuditEntry.objects.get().pk

    clear_database(database_name())

    assert not AuditEntry.objects.exists()
    assert not AuditContent.objects.exists()
    assert contents(database_name()) == template
    record("run.started", actor=Actor.desk(), object_type="run", object_id="1")
    assert AuditEntry.objects.get().pk == first
    assert database_oid() == before


def test_it_notices_what_was_only_rolled_back(committed, template):
    with transaction.atomic():
        Group.objects.create(name="nobody")
        Permission.objects.create(name="nothing", codename="nothing", content_type_id=1)
        transaction.set_rollback(True)

    clear_database(database_name())

    assert contents(database_name()) == template


def test_it_ends_who_is_still_at_work_there(committed, template, monkeypatch):
    monkeypatch.setattr("tests.emptying.GRACE", 0.05)
    with psycopg.connect(database_url(database_name())) as late:
        late.execute("INSERT INTO auth_group (name) VALUES ('late')")

        clear_database(database_name())

        with pytest.raises(psycopg.OperationalError):
            late.execute("INSERT INTO auth_group (name) VALUES ('later')")
    assert contents(database_name()) == template


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE note (text text)",
        "CREATE VIEW everybody AS SELECT * FROM people_user",
        "ALTER TABLE people_user ADD note text",
        "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
        "ALTER TABLE runs_run ALTER status SET DEFAULT 'queued'",
        "ALTER TABLE people_membership DROP CONSTRAINT people_membership_pkey CASCADE",
        "DROP TABLE runs_step CASCADE",
        "CREATE INDEX by_name ON people_user (first_name)",
        "CREATE SCHEMA support",
        "CREATE SEQUENCE numbers",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1",
        "GRANT DELETE ON audit_auditentry TO agentdesk_app",
        "UPDATE auth_permission SET name = 'Can do anything' WHERE id = 1",
        "DELETE FROM checkpoint_migrations",
        "INSERT INTO people_team (id, slug, name, reject_reasons) SELECT gen_random_uuid(), 'a', 'A', ''; ANALYZE",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$",
    ],
)
def test_it_makes_a_database_anew_that_was_changed_otherwise(committed, template, statement):
    before = database_oid()
    with psycopg.connect(database_url(database_name()), autocommit=True) as one:
        one.execute(statement)

    clear_database(database_name())

    assert database_oid() != before
    assert contents(database_name()) == template


def test_a_desk_finds_its_rows_gone_and_its_connections_whole(committed):
    get_user_model().objects.create_user("ana", password="secret")

    clear_database(database_name())

    assert not get_user_model().objects.exists()
    assert connections["owner"].settings_dict["NAME"] == os.environ["DATABASE_OWNER_URL"].rsplit("/", 1)[1]


def test_what_tests_begin_with_is_made_once_and_the_same_each_time(committed):
    made = []

    def make():
        made.append(1)
        team = Team.objects.create(slug="refunds", name="Refunds")
        record(
            "run.started", actor=Actor.desk(), object_type="run", object_id="1", team_id=team.pk, content={"input": "secret"}
        )

    begin_with("one-team", make)
    first = contents(database_name())
    next_entry = AuditEntry.objects.get().pk + 1
    clear_database(database_name())
    begin_with("one-team", make)

    assert contents(database_name()) == first
    assert made == [1]
    record("run.started", actor=Actor.desk(), object_type="run", object_id="1")
    assert AuditEntry.objects.latest("id").pk == next_entry
    begin_with("another", lambda: made.append(2))  # there are rows already: it is asked, and none of them are remembered
    clear_database(database_name())
    begin_with("another", lambda: made.append(3))
    assert made == [1, 2, 3]
    assert not Team.objects.exists()
