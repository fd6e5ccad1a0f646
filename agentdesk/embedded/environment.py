"""The environment of the desk's processes: what the person set, what the embedded servers say, and the env file."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import Places
from agentdesk.embedded.ports import is_free
from agentdesk.embedded.secrets import Secrets, write_private

DEFAULT_PORT = 8000
CONNECT_SECONDS = 5
# Everything that settings.py needs beside a running desk. A plain variable of the same name wins over the file.
IN_FILE = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "AGENTDESK_INSTANCE",
    "AGENTDESK_URL",
    "AGENTDESK_EMBEDDED",
    "AGENTDESK_DEMO",
    "AGENTDESK_STATE_DIR",
    "AGENTDESK_AGENTS",
)


def read_port(environ: Mapping[str, str]) -> int:
    """Return the port for the pages. Raises CannotStart when it is no port or taken."""
    text = environ.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not re.fullmatch(r"\d{1,5}", text) or not 0 < int(text) < 65_536:
        raise CannotStart(f"PORT is {text!r}: set it to a number from 1 to 65535, such as `make run PORT=8001`.")
    port = int(text)
    if not is_free(port):
        raise CannotStart(f"port {port} is taken by another program: choose another one, `make run PORT={port + 1}`.")
    return port


def desk_environment(
    environ: Mapping[str, str], *, places: Places, secrets: Secrets, port: int, database: str, owner: str, broker: str
) -> dict[str, str]:
    """Return the whole environment of the desk's processes. `database`, `owner` and `broker` are addresses."""
    embedded = "DATABASE_URL" not in environ
    ours = {
        "SECRET_KEY": secrets.signing_key,
        "AGENTDESK_INSTANCE": places.instance,
        "AGENTDESK_URL": f"http://127.0.0.1:{port}",
        "AGENTDESK_STATE_DIR": str(places.state),
        "PYTHONUNBUFFERED": "1",
    }
    fixed = {
        "DATABASE_URL": database,
        "DATABASE_OWNER_URL": owner,
        "REDIS_URL": broker,
        "AGENTDESK_EMBEDDED": "1" if embedded else "0",
        # The demo's passwords are public: only for a desk that nobody else can reach, on data of its own.
        "AGENTDESK_DEMO": "1" if embedded else "0",
    }
    return ours | dict(environ) | fixed


def write_env_file(path: Path, environment: Mapping[str, str]) -> None:
    write_private(path, "".join(f"{name}={environment[name]}\n" for name in IN_FILE if name in environment))


def check_database(variable: str, url: str) -> None:
    """Connect once to a database that the person named. Raises CannotStart with the reason in one line."""
    if urlsplit(url).scheme not in ("postgres", "postgresql"):
        raise CannotStart(f"{variable} must begin with postgresql:// (PostgreSQL is the only database AgentDesk knows).")
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.Error as problem:
        reason = " ".join(str(problem).split())
        raise CannotStart(f"{variable} does not work: {reason}. Correct it, or unset it to use the embedded one.") from None


def check_broker(variable: str, url: str) -> None:
    """Ping a Redis or Valkey that the person named. Raises CannotStart with the reason in one line."""
    try:
        with redis.Redis.from_url(url, socket_timeout=CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except (redis.RedisError, ValueError) as problem:
        raise CannotStart(f"{variable} does not work: {problem}. Correct it, or unset it to use the embedded one.") from None
