"""Checkpoints in PostgreSQL: one pool for the process, one saver for each attempt at a run."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from agentdesk import faults
from runs.engine.locks import conninfo
from runs.tools.context import AttemptLost, DeskUnavailable, LimitReached

type Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


class FencedSaver(AsyncPostgresSaver):
    """LangGraph's saver, refusing whatever an attempt writes after another has taken the run over.

    Each write holds the run's row for as long as its transaction lasts: a takeover waits for it, or it sees the takeover.
    The stock saver puts one lock around all use of a pool; here every attempt has a saver of its own.
    """

    def __init__(self, pool: Pool, run_id: UUID, attempt: int) -> None:
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.pool, self.run_id, self.attempt = pool, run_id, attempt

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        # Texts are kept in the checkpoint's own JSON; all else in blobs, which are measured where they are made.
        texts = sum(len(value) for value in checkpoint["channel_values"].values() if isinstance(value, str))
        _refuse_if_large(texts)
        return await super().aput(config, checkpoint, metadata, new_versions)

    def _dump_blobs(self, *args: Any) -> list[tuple[str, str, str, str, str, bytes | None]]:
        blobs = super()._dump_blobs(*args)
        _refuse_if_large(sum(len(blob[-1] or b"") for blob in blobs))
        return blobs

    def _dump_writes(self, *args: Any) -> list[tuple[str, str, str, str, str, int, str, str, bytes]]:
        writes = super()._dump_writes(*args)
        _refuse_if_large(sum(len(write[-1]) for write in writes))
        return writes

    @contextlib.asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        try:
            async with self._fenced(pipeline) as cursor:
                yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DeskUnavailable(str(error)) from error

    @contextlib.asynccontextmanager
    async def _fenced(self, pipeline: bool) -> AsyncIterator[AsyncCursor[DictRow]]:
        async with self.pool.connection() as connection:
            if not pipeline:
                async with connection.cursor(binary=True, row_factory=dict_row) as cursor:
                    yield cursor
                return
            async with connection.transaction(), connection.cursor(binary=True, row_factory=dict_row) as cursor:
                await cursor.execute("SELECT attempt FROM runs_run WHERE id = %s FOR SHARE", (self.run_id,))
                row = await cursor.fetchone()
                if row is None or row["attempt"] != self.attempt:
                    raise AttemptLost(f"attempt {self.attempt} of run {self.run_id} has been taken over")
                await faults.at_on_loop("checkpoint.write.before")
                yield cursor
            await faults.at_on_loop("checkpoint.write.after")


def _refuse_if_large(size: int) -> None:
    """One step of a graph may write so many bytes and no more: a state that grows without end would fill the database."""
    if size > settings.CHECKPOINT_MAX_BYTES:
        raise LimitReached("checkpoint_bytes", settings.CHECKPOINT_MAX_BYTES)


def open_pool(size: int) -> Pool:
    """The pool for checkpoints and steps. Open it on the loop that uses it."""
    return AsyncConnectionPool(
        conninfo(), min_size=1, max_size=size, open=False, timeout=10, check=None, name="checkpoints",
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0, "application_name": "agentdesk runs"},
    )  # fmt: skip


def create_tables(params: Mapping[str, Any]) -> None:
    """Make or upgrade LangGraph's checkpoint tables. ``params`` are psycopg connection parameters of the owner's role."""
    wanted = {key: params[key] for key in ("host", "port", "dbname", "user", "password") if params.get(key)}
    with psycopg.connect(**wanted, autocommit=True, row_factory=dict_row, prepare_threshold=None) as connection:
        PostgresSaver(connection).setup()
