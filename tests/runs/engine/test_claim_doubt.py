"""The connection breaks at the very commit of a claim: nobody is told whether it stands."""

import contextlib
import socket
import threading
from collections.abc import Generator

import pytest
from django.db import connections

from approvals.models import Approval
from runs.engine.advance import advance
from runs.models import Run
from runs.states import RunStatus
from tests.conftest import close_connections
from tests.runs.engine.conftest import Engine
from tests.runs.engine.test_claims import PAY

COMMIT = b"COMMIT"


class Wire:
    """Stands between a client and PostgreSQL. Armed, it breaks at the next COMMIT: the server never hears of it, or has done it
    and its answer is lost."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.armed = ""
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        while heard := _receive(client):
            if self.armed and COMMIT in heard:
                is_done, self.armed = self.armed == "done", ""
                _hang_up(client)  # from here on, no answer reaches the client
                self.broken += 1
                if is_done:
                    server.sendall(heard)
                    return
                break
            server.sendall(heard)
        _hang_up(server)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        while heard := _receive(server):
            try:
                client.sendall(heard)
            except OSError:
                break
        _hang_up(client)
        _hang_up(server)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def _hang_up(end: socket.socket) -> None:
    """Shut down, not only closed: another thread that waits at it would hold it open."""
    with contextlib.suppress(OSError):  # the other side was faster
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture
def wire(engine: Engine) -> Generator[Wire]:
    """The ORM's connections of this process go through it; the lock's does not."""
    facts = connections["default"].settings_dict
    straight = facts["HOST"], facts["PORT"]
    wire = Wire(facts["HOST"], int(facts["PORT"]))
    close_connections()
    facts["HOST"], facts["PORT"] = "127.0.0.1", wire.port
    yield wire
    close_connections()
    facts["HOST"], facts["PORT"] = straight
    wire.close()


@pytest.mark.parametrize(("what", "attempts"), [("done", 2), ("never heard of", 1)])
def test_a_claim_whose_commit_is_in_doubt_neither_blocks_nor_doubles_the_run(
    engine: Engine, wire: Wire, what: str, attempts: int
) -> None:
    run = engine.script("teller", [PAY])
    (approval,) = engine.pending(run)
    before = run.attempt
    Run.objects.filter(pk=run.pk).update(status=RunStatus.QUEUED)
    wire.armed = what
    advance(run.pk)
    run.refresh_from_db()
    assert (wire.broken, run.status, run.attempt) == (1, RunStatus.WAITING, before + attempts)
    assert [one.pk for one in engine.pending(run)] == [approval.pk]
    engine.decide(approval)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1
    assert Approval.objects.filter(source_ref=str(run.pk)).count() == 1
