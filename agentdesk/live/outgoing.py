"""How much of what was sent to a page still waits in this process, with Daphne.

Daphne takes everything that is sent, at once, and keeps what the page does not read. So each socket's transport tells us when
it holds more than it likes (Twisted's producers), and we count what is added until it has got rid of all of it. A page that
lets more than :data:`LIMIT` pile up is cut off: it connects again when it can, and fetches what it shows. Servers that wait for
the page instead (uvicorn, hypercorn) need none of this: there, the hub gives a page a few seconds.
"""

from functools import partial
from typing import Any, Self

LIMIT = 4 * 1024 * 1024  # bytes for one page, beside the 64 KiB at which Twisted first complains


class Outgoing:
    """A push producer, as Twisted has them, that only counts."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._is_behind = False
        self._waiting = 0
        transport.unregisterProducer()  # the HTTP channel that the socket was before
        transport.registerProducer(self, True)

    @classmethod
    def of(cls, send: object) -> Self | None:
        """For a socket whose ASGI ``send`` is Daphne's; None for another server's."""
        transport = getattr(send.args[0], "transport", None) if isinstance(send, partial) and send.args else None
        return cls(transport) if hasattr(transport, "abortConnection") else None

    def add(self, size: int) -> bool:
        """Count ``size`` bytes that were sent. False when that is too much: the connection is cut, and its memory is free."""
        if not self._is_behind:
            return True
        self._waiting += size
        if self._waiting <= LIMIT:
            return True
        self._transport.abortConnection()
        return False

    def pauseProducing(self) -> None:  # Twisted's word
        self._is_behind = True

    def resumeProducing(self) -> None:
        self._is_behind, self._waiting = False, 0

    def stopProducing(self) -> None:
        """The connection is gone."""
