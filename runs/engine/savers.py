"""Which saver an attempt at a run writes its checkpoints with: the desk's own, or one that ``CHECKPOINTER`` names."""

from contextlib import AsyncExitStack
from typing import Any, Self
from uuid import UUID

from langgraph.checkpoint.base import BaseCheckpointSaver

from runs import threads
from runs.engine import foreign
from runs.engine.checkpoints import FencedSaver, Pool


class Savers:
    """Those of one process; open and close them on its loop."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._stack = AsyncExitStack()
        self._foreign: foreign.Saver | None = None

    async def open(self) -> Self:
        if not threads.is_own():
            self._foreign = await self._stack.enter_async_context(foreign.factory()())
        return self

    async def close(self) -> None:
        await self._stack.aclose()

    def of(self, run_id: UUID, attempt: int) -> BaseCheckpointSaver[Any]:
        """The saver of one attempt: whatever an older one still writes is refused."""
        if self._foreign is None:
            return FencedSaver(self.pool, run_id, attempt)
        return foreign.Fenced(self._foreign, self.pool, run_id, attempt)
