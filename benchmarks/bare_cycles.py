"""`bare_cycles.py ADDRESS`: the benchmark's graph under bare LangGraph with its pooled PostgreSQL saver."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.agents.payer import build


async def ask(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[Any]]) -> Any:
    interrupt({"call": request.tool_call})
    return await execute(request)


async def cycle(graph: Any) -> None:
    config = {"configurable": {"thread_id": uuid4().hex}}
    question = {"messages": [{"role": "user", "content": uuid4().hex}]}
    paused = await graph.ainvoke(question, config, durability="sync")
    assert paused["__interrupt__"]
    done = await graph.ainvoke(Command(resume=True), config, durability="sync")
    assert done["messages"][-1].content == "Done."


async def go_round(graph: Any, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        await cycle(graph)
        done += 1
    return done


async def main(address: str) -> None:
    options = {"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0}
    async with AsyncConnectionPool(address, min_size=1, max_size=16, kwargs=options, open=False) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]  # a pool of connections whose rows are dictionaries
        await saver.setup()
        graph = build(ask).compile(checkpointer=saver)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            seconds, clients = float(line.split()[0]), int(line.split()[1])
            began = time.monotonic()
            counts = await asyncio.gather(*(go_round(graph, began + seconds) for _ in range(clients)))
            print(json.dumps({"cycles": sum(counts), "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
