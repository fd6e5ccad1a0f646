"""What a worker process holds: its presence, one event loop in a thread of its own, the checkpoint pool."""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

from runs.engine.checkpoints import Pool, open_pool
from runs.engine.locks import Presence
from runs.engine.making import Graph, Held, Maker, Occasion
from runs.engine.registry import MAKING_SECONDS, LoadedAgent
from runs.engine.savers import Savers
from runs.engine.stores import DeskStore
from runs.errors import AgentUnavailable
from runs.models import ModelPrice
from runs.tools.hung import Threads

log = logging.getLogger(__name__)

PRICES_SECONDS = 5.0  # until what an admin writes into the price table is looked at


class Process:
    """Made once, when the first run comes; never at import."""

    def __init__(self) -> None:
        self.presence = Presence()
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(Threads(max_workers=32, thread_name_prefix="node"))
        self._thread = threading.Thread(target=self.loop.run_forever, name="graphs", daemon=True)
        self._thread.start()
        self.pool: Pool = self.run(self._open())
        self.savers = self.run(Savers(self.pool).open())
        self._stores: dict[str, DeskStore] = {}
        self._prices: tuple[float, list[ModelPrice]] | None = None

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` on the loop while the calling thread waits. Its database connection goes back to the pool meanwhile:
        waiting threads that held all of them would starve the very work they wait for."""
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def store(self, label: str) -> DeskStore:
        """LangGraph's store for the graphs of one worker group: what they keep beyond a run."""
        return self._stores.get(label) or self.run(self._store(label))

    def prices(self) -> list[ModelPrice]:
        """The price table, not older than :data:`PRICES_SECONDS`: runs begin too often to read it for each."""
        now = time.monotonic()
        if self._prices is None or now - self._prices[0] > PRICES_SECONDS:
            self._prices = now, list(ModelPrice.objects.all())
        return self._prices[1]

    @contextmanager
    def opened(self, loaded: LoadedAgent, occasion: Occasion) -> Iterator[Graph]:
        """The agent's graph for one attempt; a factory is asked for it. Raises what the agent's code raises."""
        if loaded.graph is None or loaded.maker is None:
            raise AgentUnavailable(loaded.error)
        if not loaded.maker.is_factory:
            yield loaded.graph
            return
        held = self.run(self._hold(loaded.maker, occasion))
        try:
            yield self.run(held.graph(MAKING_SECONDS))
        finally:
            try:
                self.run(held.close())
            except Exception:  # the agent's code, after its graph has come to rest: that stands
                log.exception("the factory of %s did not close well", loaded.slug)

    def close(self) -> None:
        self.run(self._close_stores())
        self.run(self.savers.close())
        self.run(self.pool.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self.loop.close()
        self.presence.close()

    async def _hold(self, maker: Maker, occasion: Occasion) -> Held:
        return Held(maker, occasion)

    async def _store(self, label: str) -> DeskStore:
        return self._stores.setdefault(label, DeskStore(self.pool, label))

    async def _close_stores(self) -> None:
        for store in self._stores.values():
            await store.close()

    async def _open(self) -> Pool:
        pool = open_pool(settings.CHECKPOINT_POOL)
        await pool.open()
        return pool


_process: Process | None = None
_guard = threading.Lock()


def this_process() -> Process:
    """The one of this process."""
    global _process
    with _guard:
        if _process is None:
            _process = Process()
        return _process


def close() -> None:
    """End it, as a worker does when it stops."""
    global _process
    with _guard:
        if _process is not None:
            _process.close()
            _process = None
