"""LangGraph's store in PostgreSQL: what an agent keeps beyond one run. Each manifest has a part of it to itself."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from langgraph.store.base import (
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from langgraph.store.postgres import AsyncPostgresStore, PostgresStore
from psycopg.rows import dict_row

from runs.engine.checkpoints import Pool


class DeskStore(AsyncPostgresStore):
    """The store on the process's pool. ``part`` comes before every namespace on the way in and is taken off on the way out,
    so that two projects which keep ``("memories", user)`` do not meet. Its writes are not fenced: what a node keeps while
    another attempt takes its run over stays kept, as it does with any other effect of a node."""

    def __init__(self, pool: Pool, part: str) -> None:
        super().__init__(pool)
        self.part = part

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return [self._out(result) for result in await super().abatch([self._in(op) for op in ops])]

    async def close(self) -> None:
        """End the task that gathers calls into batches."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _in(self, op: Op) -> Op:
        match op:
            case GetOp() | PutOp():
                return op._replace(namespace=(self.part, *op.namespace))
            case SearchOp():
                return op._replace(namespace_prefix=(self.part, *op.namespace_prefix))
            case ListNamespacesOp():
                return self._listing(op)
        raise TypeError(f"{type(op).__name__} is no operation of a store")

    def _listing(self, op: ListNamespacesOp) -> ListNamespacesOp:
        conditions = tuple(op.match_conditions or ())
        prefixes = [c._replace(path=(self.part, *c.path)) for c in conditions if c.match_type == "prefix"]
        others = [c for c in conditions if c.match_type != "prefix"]
        mine = prefixes or [MatchCondition("prefix", (self.part,))]
        depth = None if op.max_depth is None else op.max_depth + 1
        return op._replace(match_conditions=(*mine, *others), max_depth=depth)

    def _out(self, result: Result) -> Result:
        if isinstance(result, list):
            listed: list[Any] = [each[1:] if isinstance(each, tuple) else self._mine(each) for each in result]
            return listed
        return result if result is None else self._mine(result)

    def _mine(self, item: Item) -> Item:
        item.namespace = item.namespace[1:]
        return item


def create_tables(params: Mapping[str, Any]) -> None:
    """Make or upgrade the store's tables. ``params`` are psycopg connection parameters of the owner's role."""
    wanted = {key: params[key] for key in ("host", "port", "dbname", "user", "password") if params.get(key)}
    with psycopg.connect(**wanted, autocommit=True, row_factory=dict_row, prepare_threshold=None) as connection:
        PostgresStore(connection).setup()
