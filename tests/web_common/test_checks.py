"""The system checks refuse an insecure production configuration."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from agentdesk import checks
from tests.services import CHECKOUT

SECURE = {
    "AGENTDESK_URL": "https://desk.example.com",
    "LOOPBACK": False,
    "SECURE": True,
    "DEBUG": False,
    "DEMO": False,
    "EMBEDDED": False,
    "FAULTS": "",
    "CHECKPOINTER": "postgres",
    "ALLOWED_HOSTS": ["desk.example.com"],
    "SECRET_KEY": "k3v9x7q1m5z8w2r6t0y4u1i3o5p7a9s2d4f6g8h0",
    "DATABASES": {"default": {"USER": "app"}, "owner": {"USER": "owner"}},
    "REDIS_URL": "rediss://:secret@redis.example.com/0",
    "BROKER_URL": "amqps://desk:secret@rabbit.example.com/desk",
}


@pytest.fixture
def found(monkeypatch):
    """The ids of what is found in a secure configuration with some changes."""

    def check(**changes):
        monkeypatch.setattr(checks, "settings", SimpleNamespace(**{**SECURE, **changes}))
        return [message.id.removeprefix("agentdesk.") for message in checks.check_configuration(None)]

    return check


def test_it_has_nothing_to_say_to_a_sound_configuration(found):
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"DEBUG": True}, ["E010"]),
        ({"SECURE": False}, ["E011"]),
        ({"SECRET_KEY": "short"}, ["E012"]),
        ({"SECRET_KEY": "x" * 60}, ["E012"]),
        ({"DEMO": True}, ["E003", "E013"]),
        ({"FAULTS": "/tmp/faults"}, ["E015"]),
        ({"EMBEDDED": True}, ["W010"]),
        ({"ALLOWED_HOSTS": ["desk.example.com", "*"]}, ["E001"]),
        ({"AGENTDESK_URL": "desk.example.com"}, ["E002"]),
        ({"DATABASES": {"default": {"USER": "one"}, "owner": {"USER": "one"}}}, ["W011"]),
        ({"REDIS_URL": "rediss://redis.example.com/0"}, ["E014"]),
        ({"REDIS_URL": "redis://:secret@redis.example.com/0"}, ["W012"]),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, []),
        ({"BROKER_URL": "amqp://rabbit.example.com/"}, ["E014", "W012"]),
    ],
)
def test_it_names_what_is_insecure(found, changes, expected):
    assert found(**changes) == expected


def test_it_leaves_a_desk_on_loopback_alone(found):
    assert found(LOOPBACK=True, SECURE=False, SECRET_KEY="x", DEBUG=True, EMBEDDED=True, DEMO=True) == []


def test_it_serves_no_page_with_an_insecure_configuration():
    environment = os.environ | {"AGENTDESK_URL": "http://desk.example.com", "SECRET_KEY": "short"}
    command = [sys.executable, "-c", "import agentdesk.asgi"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "agentdesk.E011" in last
    assert "agentdesk.E012" in last


def test_it_makes_no_demo_users_in_somebodys_database(found):
    assert found(LOOPBACK=True, DEMO=True) == ["E003"]


@pytest.mark.parametrize(
    ("zone", "ids"), [("Europe/Berlin", []), ("Berlin", ["agentdesk.E020"]), ("../etc", ["agentdesk.E020"])]
)
def test_it_refuses_a_time_zone_that_does_not_exist(settings, zone, ids):
    settings.DESK_TIME_ZONE = zone
    assert [message.id for message in checks.check_time_zone(None)] == ids


@pytest.mark.parametrize(("language", "ids"), [("de", []), ("fr", ["agentdesk.E022"]), ("", ["agentdesk.E022"])])
def test_it_refuses_a_language_that_the_desk_does_not_speak(settings, language, ids):
    settings.DESK_LANGUAGE = language
    assert [message.id for message in checks.check_language(None)] == ids
