"""One hub per web process: it hears the events of all processes and gives every open page what its user may see.

The hub proves by an echo of its own that it hears. While it does not, pages get no heartbeat and so show "offline"; when it
hears again they are told to fetch everything anew. What was lost it finds in the database, heard or not (lookout.py).
"""

import asyncio
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.db import close_old_connections

from agentdesk import faults
from agentdesk.ids import new_id
from agentdesk.live.audience import Delivery, Event, Seat, Topic, prepare, still_present
from agentdesk.live.lookout import Lookout, changes
from agentdesk.live.sender import GROUP

log = logging.getLogger(__name__)

TICK = 3.0  # seconds between echoes, checks of who is still signed in, and looks for what was lost
HEARTBEAT_TICKS = 5
DEAF_AFTER = 10.0  # seconds in which nothing came, no echo either
BATCH = 100  # events that are rendered together, so that no more than these frames are held
BETWEEN_BATCHES = 0.05  # seconds; what arrives meanwhile goes out together
SEND_TIMEOUT = 5.0  # seconds a page may block a frame, with servers that wait for it
RETRY = 2.0  # seconds
HEARTBEAT = json.dumps({"kind": "hb"})
RESYNC = json.dumps({"kind": "resync"})


class Socket(Protocol):
    """An open page."""

    seat: Seat

    async def send_frame(self, text: str) -> None: ...
    async def end(self) -> None: ...
    async def drop(self) -> None: ...


class Hub:
    """Lives in one event loop; listens while at least one socket is open."""

    def __init__(self) -> None:
        self._id = str(new_id())
        self._sockets: dict[Socket, frozenset[Topic]] = {}
        self._watching: dict[Topic, set[Socket]] = defaultdict(set)
        self._users: Counter[UUID] = Counter()
        self._arrived: dict[object, Event] = {}
        self._any = asyncio.Event()
        self._hears = asyncio.Event()
        self._missed = False
        self._lookout = Lookout()
        self._work: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="live")

    def open_for(self, user_id: UUID) -> int:
        """How many sockets the user has open here."""
        return self._users[user_id]

    @property
    def hears(self) -> bool:
        return self._hears.is_set()

    async def join(self, socket: Socket, patience: float = 2.0) -> None:
        """Add a socket, and wait (at most ``patience`` seconds) until events are heard, so that none falls into the gap
        between the page's fetch and the subscription."""
        self._sockets[socket] = frozenset()
        self._users[socket.seat.user_id] += 1
        if self._work is None:
            self._ended = self._work = asyncio.create_task(self._run(self._ended))
        try:
            async with asyncio.timeout(patience):
                await self._hears.wait()
        except TimeoutError:
            self._missed = True
            log.info("a page was opened while live events are not heard")

    def leave(self, socket: Socket) -> None:
        """Forget a socket; the last one that leaves ends the listening."""
        topics = self._sockets.pop(socket, None)
        if topics is None:
            return
        self._unwatch(socket, topics)
        self._users -= Counter({socket.seat.user_id: 1})
        if not self._sockets and self._work is not None:
            self._work.cancel()
            self._work = None
            self._hears.clear()

    def watch(self, socket: Socket, topics: Collection[Topic]) -> None:
        """What this socket wants to hear of, in place of what it wanted before."""
        before = self._sockets.get(socket)
        if before is None:
            return
        self._unwatch(socket, before)
        self._sockets[socket] = frozenset(topics)
        for topic in topics:
            self._watching[topic].add(socket)

    async def call[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that uses the database in a thread, and give its connection back."""

        def work() -> R:
            close_old_connections()
            try:
                return function(*args, **kwargs)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _unwatch(self, socket: Socket, topics: Iterable[Topic]) -> None:
        for topic in topics:
            self._watching[topic].discard(socket)
            if not self._watching[topic]:
                del self._watching[topic]

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])  # or its unsubscribing could overtake our subscribing
        self._lookout = Lookout()  # who connects fetches: of what was before nobody has to be told
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._deliver())
            tasks.create_task(self._tick())

    # --- hearing --------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Subscribe and hear; after any failure anew, on new connections: listening must begin some time."""
        layer = get_channel_layer()
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                await self._echo()
                while True:
                    async with asyncio.timeout(DEAF_AFTER):
                        message = await layer.receive(channel)
                    await self._hear(message)
            except TimeoutError:  # the layer may take itself for subscribed where the broker does not
                self._notice_deafness()
            except Exception as error:  # what the layer's client raises is of many kinds
                log.warning("live events cannot be heard yet: %s: %s", type(error).__name__, error)
                self._notice_deafness()
                await asyncio.sleep(RETRY)
            finally:
                await self._let_go(layer)

    async def _let_go(self, layer: Any) -> None:
        """Close the layer's connections in this loop, and forget what they were subscribed to: the hub alone listens here."""
        try:
            async with asyncio.timeout(RETRY):
                await layer.flush()
        except Exception as error:  # the broker is away, so there is nothing to end
            log.debug("flush: %s: %s", type(error).__name__, error)

    async def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "live.echo":
            if message["from"] == self._id:
                await self._heard_itself()
            return
        for raw in message["events"]:
            if faults.loses("push.heard"):
                continue
            try:
                event = Event.read(raw)
            except (KeyError, TypeError, ValueError):
                log.exception("this is not a live event: %r", raw)
                continue
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.topic in self._watching:
            # The latest place in the order, the latest version: it is rendered once, as it is then.
            key: object = (event.kind, event.id, event.seq)
            before = self._arrived.pop(key, event)
            self._arrived[key] = event if event.version >= before.version else before
            self._any.set()

    def _notice_deafness(self) -> None:
        if self.hears:
            self._hears.clear()
            self._missed = True
            log.warning("live events are not heard any more; pages show themselves as offline")

    async def _heard_itself(self) -> None:
        if not self.hears:
            self._hears.set()
            if self._missed:
                self._missed = False
                log.info("live events are heard again")
                await self._send(RESYNC, list(self._sockets))

    async def _echo(self) -> None:
        async with asyncio.timeout(TICK):
            await get_channel_layer().group_send(GROUP, {"type": "live.echo", "from": self._id})

    # --- telling --------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        while True:
            await self._any.wait()
            batch = [self._arrived.pop(key) for key in list(islice(self._arrived, BATCH))]
            if not self._arrived:
                self._any.clear()
            plan = [(event, tuple(self._watching.get(event.topic, ()))) for event in batch]
            try:
                await self._carry_out(await self.call(prepare, [part for part in plan if part[1]]))
            except Exception:  # a database that is away, a fragment that fails: the pages fetch once it works again
                log.exception("live events were lost")
                await self._send(RESYNC, {socket for _, watchers in plan for socket in watchers})
            await asyncio.sleep(BETWEEN_BATCHES)

    async def _carry_out(self, delivery: Delivery[Socket]) -> None:
        for kind, id, version in delivery.told:
            if kind != "token":
                self._lookout.tell(kind, id, version)
        await self._end(delivery.ended)
        for text, receivers in delivery.frames:
            await self._send(text, receivers)
            await asyncio.sleep(0)  # with Daphne sending never waits: let the sockets be written to

    async def _send(self, text: str, receivers: Iterable[Socket]) -> None:
        for socket in receivers:
            if socket not in self._sockets:
                continue
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await socket.send_frame(text)
            except Exception as error:  # gone, or stuck: each server says so in its own way
                log.info("a page is given up: %s: %s", type(error).__name__, error)
                self.leave(socket)
                await self._drop(socket)

    async def _drop(self, socket: Socket) -> None:
        """Close the socket of a page that is given up: left open, the page would wait for ever instead of connecting again."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await socket.drop()
        except Exception as error:
            log.debug("drop: %s: %s", type(error).__name__, error)

    async def _end(self, sockets: Iterable[Socket]) -> None:
        for socket in sockets:
            if socket in self._sockets:
                self.leave(socket)
                await socket.end()

    # --- watching over --------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK)
            ticks += 1
            for work in (self._echo, self._look, self._see_who_left):  # the broker's absence keeps nobody from the database
                try:
                    await work()
                except Exception as error:  # one of the two is away; said once, below or by the one who needs it
                    log.debug("tick: %s: %s", type(error).__name__, error)
            if self.hears and ticks % HEARTBEAT_TICKS == 0:
                await self._send(HEARTBEAT, list(self._sockets))

    async def _see_who_left(self) -> None:
        """Close the sockets of those who are not signed in any more."""
        sockets = list(self._sockets)
        present = await self.call(still_present, sockets)
        await self._end(socket for socket in sockets if socket not in present)

    async def _look(self) -> None:
        """Send what a push should have told."""
        began = time.monotonic()
        found = await self.call(changes, list(self._watching), self._lookout.seconds())
        for event in self._lookout.untold(found, began):
            self._take(event)


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
