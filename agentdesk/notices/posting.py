"""One POST to a place outside: to a checked address, within a time, without redirects, reading little of the answer."""

import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore

from agentdesk.notices.addresses import Refused, check_url, resolve

SECONDS = 5.0  # for connecting, sending and reading together
MOST_BYTES = 16 * 1024  # of an answer
KEPT = 500  # characters of it
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. ``code`` is None when there was no answer; ``error`` says why then. ``refused``: the desk does
    not send there, so trying again is no use. ``retry_after``: seconds that the receiver asked for."""

    code: int | None
    milliseconds: int
    text: str = ""
    error: str = ""
    refused: bool = False
    retry_after: int = 0

    @property
    def ok(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send ``body`` and say what came of it. Never raises for what the other side does."""
    began = time.monotonic()
    try:
        check_url(url)
        code, text, retry_after = _exchange(url, body, headers, began + SECONDS)
    except Refused as error:
        return Answer(None, _since(began), error=str(error)[:300], refused=True)
    except (httpcore.TimeoutException, TimeoutError):
        return Answer(None, _since(began), error=f"No answer within {SECONDS:g} seconds.")
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        return Answer(None, _since(began), error=f"{type(error).__name__}: {error}"[:300])
    return Answer(code, _since(began), text=text, retry_after=retry_after)


def _exchange(url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> tuple[int, str, int]:
    # A pool of its own for one request: no connection is kept, none is shared. It follows no redirect and knows no proxy.
    pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=_CheckedNetwork(deadline), max_keepalive_connections=0)
    left = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
    with pool, pool.stream("POST", url, headers=[*headers.items()], content=body, extensions={"timeout": left}) as response:
        read = b""
        for chunk in response.iter_stream():
            read += chunk
            if len(read) >= MOST_BYTES:
                break
        given = dict(response.headers).get(b"Retry-After") or dict(response.headers).get(b"retry-after") or b""
        retry_after = int(given) if re.fullmatch(rb"\d{1,6}", given) else 0
        return response.status, _CONTROL.sub(" ", read.decode(errors="replace"))[:KEPT].strip(), retry_after


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to the very address that was checked, so that a name which means something else a moment later is of no use;
    TLS still asks for a certificate of the name."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in resolve(host, port):
            try:
                stream = self._network.connect_tcp(str(address), port, timeout=_left(self._deadline))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _TimedStream(stream, self._deadline)
        raise problem or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Refused("no sockets of this machine")


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends at the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
