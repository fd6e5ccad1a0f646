"""What every test can use. `db`: a transaction that is rolled back. `committed`: real commits, undone by a new database."""

import os
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connections
from django.test import override_settings
from psycopg import sql

from tests.services import SUPERUSER_URL, TEMPLATE


class OneRoundHasher(PBKDF2PasswordHasher):
    """The real algorithm with one round: cheap to make here, and a real desk can still check it."""

    iterations = 1


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Generator[None]:
    with override_settings(PASSWORD_HASHERS=["tests.conftest.OneRoundHasher"]):
        yield


def make_database() -> None:
    """Make this worker's database anew from the migrated template, whoever is still connected to it."""
    settings = connections["default"].settings_dict
    name, owner = sql.Identifier(settings["NAME"]), sql.Identifier(connections["owner"].settings_dict["USER"])
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(name, owner, sql.Identifier(TEMPLATE)))


def close_connections() -> None:
    """Close this thread's connections and the pools behind them."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool is not None:
            close_pool()


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Generator[None]:
    """Replaces pytest-django's: the app's role may neither create nor flush databases."""
    with django_db_blocker.unblock():
        make_database()
    yield
    with django_db_blocker.unblock():
        close_connections()


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Generator[None]:
    """Real commits, from any thread or process; afterwards the database is a fresh copy of the template."""
    with django_db_blocker.unblock():
        yield
        close_connections()
        make_database()
