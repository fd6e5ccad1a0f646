"""The connections to PostgreSQL, as every process of the desk uses them."""

import os

import psycopg
from django.db import connection, connections

from agentdesk.people.models import Team
from tests.conftest import database_name
from tests.services import SUPERUSER_URL


def test_a_connection_that_died_in_the_pool_is_nobodys_error(committed: None) -> None:
    Team.objects.create(slug="a-team", name="A team")
    connections.close_all()  # back to the pool
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as other:
        cut = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (database_name(),)
        )
        assert (True,) in cut.fetchall()
    assert connection.connection is None
    assert Team.objects.count() == 1
