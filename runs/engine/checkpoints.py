"""Checkpoints in PostgreSQL: one pool for the process, one saver for each attempt at a run."""

import contextlib
import copy
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import psycopg
from django.conf import settings
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple, get_checkpoint_id
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


# What LangGraph's saver would write in a transaction of many statements, as one statement that writes nothing at all where the
# run has a newer attempt. It answers whether the attempt stands: rows that are there already are no news.
FENCE = "WITH fence AS (SELECT id FROM runs_run WHERE id = %(run)s AND attempt = %(attempt)s FOR SHARE)"
PUT = f"""{FENCE}, blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT b.* FROM fence, unnest(%(b0)s::text[], %(b1)s::text[], %(b2)s::text[], %(b3)s::text[], %(b4)s::text[],
        %(b5)s::bytea[]) AS b
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), checkpoint AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT %(c0)s::text, %(c1)s::text, %(c2)s::text, %(c3)s::text, %(c4)s::jsonb, %(c5)s::jsonb FROM fence
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
    DO UPDATE SET checkpoint = excluded.checkpoint, metadata = excluded.metadata
) SELECT id FROM fence"""  # noqa: S608 - only constants are put in
WRITES = f"""{FENCE}, writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT w.* FROM fence, unnest(%(w0)s::text[], %(w1)s::text[], %(w2)s::text[], %(w3)s::text[], %(w4)s::text[],
        %(w5)s::int[], %(w6)s::text[], %(w7)s::text[], %(w8)s::bytea[]) AS w
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)"""  # noqa: S608 - only constants are put in
KEEP = f"{WRITES} DO NOTHING) SELECT id FROM fence"  # noqa: S608
REPLACE = f"""{WRITES}
    DO UPDATE SET channel = excluded.channel, type = excluded.type, blob = excluded.blob) SELECT id FROM fence"""  # noqa: S608

type Place = tuple[str, str, str]  # thread, namespace, and checkpoint or "" for the newest

_row: ContextVar[DictRow | None] = ContextVar("checkpoint_row", default=None)  # what LangGraph's saver has just read


class FencedSaver(AsyncPostgresSaver):
    """LangGraph's saver, refusing whatever an attempt writes after another has taken the run over.

    Each write holds the run's row for as long as its transaction lasts: a takeover waits for it, or it sees the takeover.
    The stock saver puts one lock around all use of a pool; here every attempt has a saver of its own.

    Nobody else writes to the run's own thread while the attempt stands: what was read of it is still true until this saver
    writes, and is not read again. Of other threads, which an agent's code may name, nothing is kept.
    """

    def __init__(self, pool: Pool, run_id: UUID, attempt: int) -> None:
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.pool, self.run_id, self.attempt = pool, run_id, attempt
        self._known = _Known()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As LangGraph's: each time made anew from the row, for an agent may change what it is handed. Raises
        DeskUnavailable."""
        configurable = config["configurable"]
        place = configurable["thread_id"], configurable.get("checkpoint_ns", ""), get_checkpoint_id(config) or ""
        known = self._known
        if place[0] != str(self.run_id):
            return await super().aget_tuple(config)
        if place in known.rows:
            row = known.rows[place]
            return None if row is None else await super()._load_checkpoint_tuple(_fresh(row))
        writes = known.writes
        _row.set(None)
        found = await super().aget_tuple(config)
        if writes == known.writes:
            known.rows[place] = _row.get()
        return found

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        _row.set(_fresh(value))
        return await super()._load_checkpoint_tuple(value)

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
            if pipeline:  # LangGraph's saver writes: what it says is gathered, and said at once
                batch = _Batch()
                yield cast("AsyncCursor[DictRow]", batch)
                await self._write(batch)
                return
            async with self.pool.connection() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
                yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DeskUnavailable(str(error)) from error

    async def _write(self, batch: "_Batch") -> None:
        statement, params = batch.statement()
        self._known.forget()
        try:
            async with self.pool.connection() as connection:
                await faults.at_on_loop("checkpoint.write.before")
                cursor = await connection.execute(statement, {"run": self.run_id, "attempt": self.attempt, **params})
                stands = await cursor.fetchone()
        finally:  # also where the answer was lost: it may have been written
            self._known.forget()
        if stands is None:
            raise AttemptLost(f"attempt {self.attempt} of run {self.run_id} has been taken over")
        await faults.at_on_loop("checkpoint.write.after")


@dataclass(slots=True)
class _Known:
    """What was read of a thread since the last write. LangGraph makes copies of its saver, and they share this."""

    rows: dict[Place, DictRow | None] = field(default_factory=dict)
    writes: int = 0  # what was being read while it rose may be old

    def forget(self) -> None:
        self.writes += 1
        self.rows.clear()


class _Batch:
    """Stands where LangGraph's saver has a cursor to write with, and gathers what it says."""

    def __init__(self) -> None:
        self._said: dict[str, list[Sequence[Any]]] = {}

    async def execute(self, query: str, params: Sequence[Any]) -> None:
        self._said.setdefault(query, []).append(params)

    async def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        self._said.setdefault(query, []).extend(rows)

    def statement(self) -> tuple[str, dict[str, Any]]:
        """All of it as one statement, with its parameters. Raises NotImplementedError for what nobody writes here, such as
        the end of a thread: that is not for the attempt at a run."""
        saver = AsyncPostgresSaver
        match set(self._said):
            case said if saver.UPSERT_CHECKPOINTS_SQL in said and said <= {
                saver.UPSERT_CHECKPOINTS_SQL,
                saver.UPSERT_CHECKPOINT_BLOBS_SQL,
            }:
                (checkpoint,) = self._said[saver.UPSERT_CHECKPOINTS_SQL]
                blobs = self._said.get(saver.UPSERT_CHECKPOINT_BLOBS_SQL, [])
                return PUT, {**_columns("b", blobs, 6), **{f"c{n}": value for n, value in enumerate(checkpoint)}}
            case said if said == {saver.INSERT_CHECKPOINT_WRITES_SQL}:
                return KEEP, _columns("w", self._said[saver.INSERT_CHECKPOINT_WRITES_SQL], 9)
            case said if said == {saver.UPSERT_CHECKPOINT_WRITES_SQL}:
                # The last one of a place has the word; one statement takes each place once.
                rows = {(*row[:4], row[5]): row for row in self._said[saver.UPSERT_CHECKPOINT_WRITES_SQL]}
                return REPLACE, _columns("w", list(rows.values()), 9)
            case said:
                raise NotImplementedError(f"not written by an attempt at a run: {said}")


def _columns(name: str, rows: Sequence[Sequence[Any]], count: int) -> dict[str, Any]:
    """Parameters: the columns of ``rows``, each as a list."""
    return {f"{name}{n}": [row[n] for row in rows] for n in range(count)}


def _fresh(row: DictRow) -> DictRow:
    """A copy that nobody changes: LangGraph goes on writing in the checkpoint that it has read."""
    return {**row, "checkpoint": copy.deepcopy(row["checkpoint"]), "metadata": copy.deepcopy(row["metadata"])}


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
