import signal

import psutil
import psycopg
import pytest

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.postgresql import APP, OWNER, PostgreSQL


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def test_it_serves_an_app_role_that_owns_nothing(postgresql):
    postgresql.start()
    postgresql.make_roles()

    with psycopg.connect(postgresql.url(OWNER)) as owner:
        owner.execute("CREATE TABLE note (text text)")

    with psycopg.connect(postgresql.url(APP)) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("SELECT * FROM note")
        app.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("CREATE TABLE mine (text text)")
    assert rows(postgresql.url(APP), "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user") == [
        (False, False)
    ]


def test_it_is_version_18_with_the_settings_the_locks_rely_on(postgresql):
    postgresql.start()
    postgresql.make_roles()

    assert str(rows(postgresql.url(APP), "SHOW server_version")[0][0]).startswith("18.")
    assert rows(postgresql.url(APP), "SHOW client_connection_check_interval") == [("2s",)]
    assert rows(postgresql.url(APP), "SHOW statement_timeout") == [("30s",)]
    assert rows(postgresql.url(OWNER), "SHOW statement_timeout") == [("0",)]
    assert int(str(rows(postgresql.url(APP), "SHOW max_connections")[0][0])) >= 200


def test_it_refuses_a_wrong_password(postgresql):
    postgresql.start()
    postgresql.make_roles()
    wrong = postgresql.url(APP).replace(postgresql.secrets.app, "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_it_keeps_the_data_when_everything_was_killed(postgresql):
    postgresql.durable = True
    process = postgresql.start()
    postgresql.make_roles()
    with psycopg.connect(postgresql.url(OWNER)) as owner:
        owner.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    for member in family:
        member.kill()
    process.wait()
    assert (postgresql.data / "postmaster.pid").exists()

    postgresql.start()

    assert rows(postgresql.url(OWNER), "SELECT text FROM note") == [("kept",)]


def test_it_starts_beside_a_stale_pid_file_whose_number_is_somebody_elses(postgresql):
    postgresql.start()
    postgresql.stop()
    stranger = psutil.Process()  # the tests' own process: alive, and no PostgreSQL
    (postgresql.data / "postmaster.pid").write_text(f"{stranger.pid}\n{postgresql.data}\n0\n")

    postgresql.start()

    assert stranger.is_running()


def test_it_takes_over_from_a_server_that_was_left_running(postgresql, folder):
    left_over = PostgreSQL(folder, postgresql.secrets, service_account(), durable=False)
    old = left_over.start()

    postgresql.start()

    assert old.wait(timeout=5) == 0
    assert rows(postgresql.url("postgres", "postgres"), "SELECT 1") == [(1,)]


def test_it_names_the_way_out_for_data_of_another_version(postgresql):
    postgresql.data.mkdir()
    (postgresql.data / "PG_VERSION").write_text("16\n")

    with pytest.raises(CannotStart, match="PostgreSQL 16, this version brings 18: move that folder away"):
        postgresql.start()


def test_it_leaves_no_half_made_data_folder(postgresql, folder):
    postgresql.log.write_text("")
    (folder / "postgresql.new").mkdir()
    (folder / "postgresql.new" / "PG_VERSION").write_text("18\n")

    postgresql.start()

    assert not (folder / "postgresql.new").exists()
    assert not (folder / "postgresql.password").exists()


def test_it_shows_no_password_to_other_users(postgresql, folder):
    process = postgresql.start()
    postgresql.make_roles()

    shown = " ".join(psutil.Process(process.pid).cmdline())
    assert not any(secret in shown for secret in vars(postgresql.secrets).values())
    assert postgresql.log.stat().st_mode & 0o077 == 0
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 0
