"""One embedded Valkey server: broker and channel layer. It holds hints only, so it keeps nothing on disk."""

import signal
import subprocess
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agentdesk.embedded.accounts import Account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.ports import free_port, is_free
from agentdesk.embedded.postgresql import last_line
from agentdesk.embedded.processes import end, open_log, spawn
from agentdesk.embedded.programs import valkey_program
from agentdesk.embedded.secrets import Secrets, write_private

DATABASES = 64
START_SECONDS = 10.0
STOP_SECONDS = 1.0


class Valkey:
    """Valkey on a loopback port with a password; its configuration lies in `folder`/valkey.conf."""

    patience = STOP_SECONDS
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, secrets: Secrets, account: Account | None) -> None:
        self.configuration = folder / "valkey.conf"
        self.log = folder / "valkey.log"
        self.secrets = secrets
        self.account = account
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._program = valkey_program(account)

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.secrets.valkey}@127.0.0.1:{self.port}/{database}"

    def start(self, preferred_port: int = 0) -> subprocess.Popen[bytes]:
        """Start the server and wait until it answers. Raises CannotStart."""
        self.port = preferred_port if preferred_port and is_free(preferred_port) else free_port()
        return self.restart()

    def restart(self) -> subprocess.Popen[bytes]:
        """Start the server process on the port it had and wait until it answers. Raises CannotStart."""
        # A file, not arguments: everybody on the machine can read a process's arguments.
        write_private(self.configuration, self._settings())
        if self.account is not None:
            self.account.own(self.configuration)
        with open_log(self.log) as log:
            self.process = spawn(
                [str(self._program), str(self.configuration)],
                output=log,
                death_signal=self.stop_signal,
                account=self.account,
                folder=Path("/"),
                env={},
            )
        try:
            self._wait_until_ready(self.process)
        except CannotStart:
            self.stop()
            raise
        return self.process

    def stop(self) -> None:
        if self.process is not None:
            end([self.process], self.stop_signal, STOP_SECONDS)
            self.process = None

    def _settings(self) -> str:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.secrets.valkey,
            "databases": str(DATABASES),
            "save": '""',
            "appendonly": "no",
            "maxmemory": "512mb",
            # Full means an error the sender sees, not somebody else's hint thrown away in silence.
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "dir": "/",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url(), socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    break
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.01)
                else:
                    return
        raise CannotStart(f"Valkey did not start: {last_line(self.log)} (see {self.log})")
