"""Checkpointers other than the desk's own: any LangGraph saver, named by ``CHECKPOINTER``.

The setting is the dotted path of a function without arguments that returns an asynchronous context manager of a saver, as
``AsyncSqliteSaver.from_conn_string`` does. The function says what the desk may use of it by an attribute ``offers``, a set of:

``fork``       ``alist``, ``aput`` and ``aput_writes`` copy a thread
``retention``  ``adelete_thread`` takes one away

Fencing is the desk's: before each write the run's attempt is looked at. It is no part of the write, as it is with the desk's
own saver in PostgreSQL, so an attempt that lost its run may finish the one write that it had begun.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.engine.checkpoints import Pool
from runs.errors import NotOffered
from runs.threads import Checkpoint as Listed
from runs.threads import waiting_nodes
from runs.tools.context import AttemptLost

type Saver = BaseCheckpointSaver[Any]
type Factory = Callable[[], AbstractAsyncContextManager[Saver]]

OFFERS = frozenset({"fork", "retention"})


def factory() -> Factory:
    """The function that the setting names. Raises ImportError."""
    found: Factory = import_string(settings.CHECKPOINTER)
    return found


def offers() -> frozenset[str]:
    """What the desk may use of it."""
    return frozenset(getattr(factory(), "offers", ()))


class Fenced(BaseCheckpointSaver[Any]):
    """A saver that looks at the run's attempt before each write."""

    def __init__(self, inner: Saver, pool: Pool, run_id: UUID, attempt: int) -> None:
        super().__init__(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.inner, self.pool, self.run_id, self.attempt = inner, pool, run_id, attempt

    def with_allowlist(self, extra_allowlist: Any) -> "Fenced":
        inner = self.inner.with_allowlist(extra_allowlist)
        return Fenced(inner, self.pool, self.run_id, self.attempt)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self.inner.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        async for saved in self.inner.alist(config, filter=filter, before=before, limit=limit):
            yield saved

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        await self._fence()
        return await self.inner.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._fence()
        await self.inner.aput_writes(config, writes, task_id, task_path)

    def get_next_version(self, current: Any, channel: None) -> Any:
        return self.inner.get_next_version(current, channel)

    async def _fence(self) -> None:
        async with self.pool.connection() as connection:
            query = "SELECT attempt FROM runs_run WHERE id = %s"
            row = await (await connection.execute(query, (self.run_id,))).fetchone()
        if row is None or row["attempt"] != self.attempt:
            raise AttemptLost(f"attempt {self.attempt} of run {self.run_id} has been taken over")


def checkpoints(thread_id: str, limit: int) -> list[Listed]:
    """The checkpoints of the thread's outermost graph, newest first."""
    return _opened(lambda saver: _listing(saver, thread_id, limit))


def copy(source: str, target: str, cut: str) -> bool:
    """Copy the thread up to and with ``cut``, without the writes at it. False when there is no such checkpoint. Raises
    NotOffered."""
    if "fork" not in offers():
        raise NotOffered(_("The checkpointer of this desk does not copy threads, so runs cannot be forked."))
    return _opened(lambda saver: _copy(saver, source, target, cut))


def delete(thread_id: str) -> None:
    """Take the thread away. Raises NotOffered."""
    if "retention" not in offers():
        raise NotOffered(_("The checkpointer of this desk does not take threads away."))
    _opened(lambda saver: saver.adelete_thread(thread_id))


def _opened[T](work: Callable[[Saver], Coroutine[Any, Any, T]]) -> T:
    """Do ``work`` with a saver of its own, on a loop of its own: for processes that drive no graphs."""

    async def run() -> T:
        async with factory()() as saver:
            return await work(saver)

    return asyncio.run(run())


async def _listing(saver: Saver, thread_id: str, limit: int) -> list[Listed]:
    found = []
    async for saved in saver.alist({"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}, limit=limit):
        meta = saved.metadata
        found.append(
            Listed(
                saved.checkpoint["id"], int(meta.get("step", 0)), str(meta.get("source", "")),
                datetime.fromisoformat(saved.checkpoint["ts"]), [],
                waiting_nodes(list(saved.checkpoint.get("updated_channels") or [])),
            )
        )  # fmt: skip
    return found


async def _copy(saver: Saver, source: str, target: str, cut: str) -> bool:
    saved = [one async for one in saver.alist({"configurable": {"thread_id": source}}) if one.checkpoint["id"] <= cut]
    if not any(one.checkpoint["id"] == cut and not one.config["configurable"].get("checkpoint_ns") for one in saved):
        return False
    for one in sorted(saved, key=lambda each: each.checkpoint["id"]):
        place = {"thread_id": target, "checkpoint_ns": one.config["configurable"].get("checkpoint_ns", "")}
        parent = (one.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        before: RunnableConfig = {"configurable": {**place, **({"checkpoint_id": parent} if parent else {})}}
        at = await saver.aput(before, one.checkpoint, one.metadata, one.checkpoint["channel_versions"])
        if one.checkpoint["id"] == cut:
            continue
        writes = defaultdict(list)
        for task, channel, value in one.pending_writes or ():
            writes[task].append((channel, value))
        for task, values in writes.items():
            await saver.aput_writes(at, values, task)
    return True
