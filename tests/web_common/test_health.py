import json
import os

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client

from agentdesk import health
from agentdesk.celery import app


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)


def ready():
    response = Client().get("/readyz")
    return response.status_code, json.loads(response.content)


def test_it_says_that_the_process_lives_without_asking_the_database(django_db_blocker):
    with django_db_blocker.block():
        response = Client().get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


def test_it_is_ready_and_says_what_is_degraded(db):
    status, answer = ready()
    assert status == 200
    assert (answer["database"], answer["migrations"]) == ("ok", "applied")
    assert answer["degraded"] == ["workers"]
    assert (answer["status"], answer["workers"]) == ("degraded", 0)


def test_it_counts_living_workers_by_their_locks(db):
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as worker:
        worker.execute("SELECT pg_advisory_lock(%s, 1), pg_advisory_lock(%s, 2)", [health.LOCKS, health.LOCKS + 1])
        status, answer = ready()
    assert (status, answer["workers"], answer["status"]) == (200, 1, "ok")


def test_it_stays_ready_without_its_broker(db, monkeypatch):
    monkeypatch.setattr(app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    status, answer = ready()
    assert status == 200
    assert "broker" in answer["degraded"]


def test_it_is_not_ready_without_the_database(db, monkeypatch):
    def away():
        raise DatabaseError("gone")

    monkeypatch.setattr(health, "_living_workers", away)
    status, answer = ready()
    assert (status, answer["database"]) == (503, "away")


def test_it_is_not_ready_while_migrations_are_missing(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'people'"
            " AND name = (SELECT max(name) FROM django_migrations WHERE app = 'people')"
        )
    status, answer = ready()
    assert (status, answer["migrations"]) == (503, "missing")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_only_answers_reading(db, path):
    assert Client().post(path).status_code == 405


def test_it_passes_the_checks_as_tests_are_configured():
    call_command("check")
