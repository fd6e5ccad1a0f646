import socket

import pytest

from agentdesk.embedded.environment import (
    check_broker,
    check_database,
    desk_environment,
    read_port,
    write_env_file,
)
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import find_places
from agentdesk.embedded.ports import free_port
from agentdesk.embedded.secrets import make_secrets


def environment_of(tmp_path, environ):
    return desk_environment(
        environ,
        places=find_places(tmp_path, {}),
        secrets=make_secrets(),
        port=8123,
        database="postgresql://app@127.0.0.1/a",
        owner="postgresql://owner@127.0.0.1/a",
        broker="redis://127.0.0.1/0",
    )


@pytest.mark.parametrize("text", ["0", "65536", "eighty", "-1", "8000.0"])
def test_it_says_what_a_port_is(text):
    with pytest.raises(CannotStart, match="a number from 1 to 65535"):
        read_port({"PORT": text})


def test_it_offers_another_port_when_this_one_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"port {port} is taken .*make run PORT={port + 1}"):
            read_port({"PORT": str(port)})


@pytest.mark.parametrize("url", ["sqlite:///desk.db", "localhost/desk", "mysql://x@y/z"])
def test_it_knows_only_postgresql(url):
    with pytest.raises(CannotStart, match="must begin with postgresql://"):
        check_database("DATABASE_URL", url)


def test_it_says_why_a_database_does_not_answer():
    with pytest.raises(CannotStart, match=r"DATABASE_URL does not work: .*refused.* unset it") as caught:
        check_database("DATABASE_URL", f"postgresql://ana:secret-word@127.0.0.1:{free_port()}/desk")

    assert "secret-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "nonsense://x"])
def test_it_says_why_a_broker_does_not_answer(url):
    with pytest.raises(CannotStart, match="REDIS_URL does not work: "):
        check_broker("REDIS_URL", url)


def test_it_shows_demo_users_on_embedded_data_only(tmp_path):
    embedded = environment_of(tmp_path, {})
    own_servers = environment_of(tmp_path, {"DATABASE_URL": "postgresql://x/y", "AGENTDESK_DEMO": "1"})

    assert (embedded["AGENTDESK_EMBEDDED"], embedded["AGENTDESK_DEMO"]) == ("1", "1")
    assert (own_servers["AGENTDESK_EMBEDDED"], own_servers["AGENTDESK_DEMO"]) == ("0", "0")


def test_what_the_person_set_wins(tmp_path):
    environment = environment_of(tmp_path, {"AGENTDESK_URL": "https://desk.example.org", "SECRET_KEY": "mine"})

    assert environment["AGENTDESK_URL"] == "https://desk.example.org"
    assert environment["SECRET_KEY"] == "mine"


def test_the_env_file_holds_what_settings_need_and_only_we_may_read_it(tmp_path):
    environment = environment_of(tmp_path, {"HOME": "/home/ana"})

    write_env_file(tmp_path / "env", environment)

    lines = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert lines["DATABASE_URL"] == "postgresql://app@127.0.0.1/a"
    assert lines["SECRET_KEY"] == environment["SECRET_KEY"]
    assert "HOME" not in lines
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600
