import tempfile
from pathlib import Path

import pytest

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.postgresql import PostgreSQL
from agentdesk.embedded.secrets import make_secrets


@pytest.fixture
def folder():
    """A folder that the servers' account can pass through; pytest's own are closed to it when we are root."""
    with tempfile.TemporaryDirectory(prefix="agentdesk-embedded-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def postgresql(folder):
    server = PostgreSQL(folder, make_secrets(), service_account(), durable=False)
    yield server
    server.stop()
