"""Checkpointers as somebody else would name them in CHECKPOINTER."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def sqlite() -> AsyncIterator[Any]:
    """LangGraph's SQLite saver, its file named by TEST_SQLITE."""
    async with AsyncSqliteSaver.from_conn_string(os.environ["TEST_SQLITE"]) as saver:
        yield saver


@asynccontextmanager
async def poor() -> AsyncIterator[Any]:
    async with AsyncSqliteSaver.from_conn_string(os.environ["TEST_SQLITE"]) as saver:
        yield saver


sqlite.offers = frozenset({"fork", "retention"})  # type: ignore[attr-defined]
poor.offers = frozenset()  # type: ignore[attr-defined]


def undeclared() -> None:
    raise AssertionError("nobody calls this")
