import psycopg
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import ProgrammingError, connection


def role_and_database() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        role, database = cursor.fetchone()
    return role, database


def test_it_connects_as_the_app_role_to_a_database_of_its_own(db):
    role, database = role_and_database()

    assert role == "agentdesk_app"
    assert database == settings.DATABASES["default"]["NAME"]
    assert database.startswith("desk_")


@pytest.mark.parametrize("attempt", [1, 2])
def test_it_rolls_back_what_a_db_test_wrote(db, attempt):
    assert not get_user_model().objects.exists()
    get_user_model().objects.create_user(username="ana", password="secret")


@pytest.mark.parametrize("attempt", [1, 2])
def test_it_removes_what_a_committed_test_wrote(committed, attempt):
    assert not get_user_model().objects.exists()
    get_user_model().objects.create_user(username="ana", password="secret")

    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None}) as other:
        assert other.execute("SELECT count(*) FROM people_user").fetchone() == (1,)


def test_it_may_not_truncate(db):
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE people_user CASCADE")
