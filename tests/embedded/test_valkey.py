import psutil
import pytest
import redis

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.secrets import make_secrets
from agentdesk.embedded.valkey import Valkey


@pytest.fixture
def valkey(folder):
    server = Valkey(folder, make_secrets(), service_account())
    yield server
    server.stop()


def test_it_answers_only_to_the_password(valkey):
    valkey.start()

    with redis.Redis.from_url(valkey.url(63)) as client:
        assert client.ping()
    with redis.Redis(port=valkey.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_it_comes_back_on_the_same_port(valkey):
    process = valkey.start()
    port = valkey.port
    process.kill()
    process.wait()

    valkey.restart()

    with redis.Redis.from_url(valkey.url()) as client:
        assert client.ping()
    assert valkey.port == port


def test_it_shows_no_password_to_other_users(valkey):
    process = valkey.start()

    assert valkey.secrets.valkey not in " ".join(psutil.Process(process.pid).cmdline())
    assert valkey.configuration.stat().st_mode & 0o077 == 0
