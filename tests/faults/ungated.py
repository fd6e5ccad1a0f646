"""``python -m tests.faults.ungated``: the graphs of the lines about LangChain, driven by LangGraph alone, as any program would
drive them. It shows that what the gate is to stop does happen where there is no gate."""

import asyncio
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command


async def answer(graph: Any, name: str, call: dict[str, Any], verdict: dict[str, Any]) -> None:
    """Run to the question of LangChain's middleware, answer it, and run to the end."""
    graph.checkpointer = InMemorySaver()
    config: RunnableConfig = {"configurable": {"thread_id": name, "idempotency_key": name}}
    script = json.dumps({"turns": [[call]], "end": "Done.", "name": name})
    asked = await graph.ainvoke({"messages": [{"role": "user", "content": script}]}, config)
    if not asked.get("__interrupt__"):
        raise RuntimeError(f"{name}: nobody was asked")
    await graph.ainvoke(Command(resume={"decisions": [verdict]}), config)


async def main() -> None:
    sys.path.insert(0, str(Path(os.environ["AGENTDESK_AGENTS"]).parent))
    cashier = import_module("cashier")
    wire = {"name": "wire", "args": {"to": "ungated-jump", "amount": "9.00"}}
    await answer(cashier.jumping, "ungated-jump", wire, {"type": "reject", "message": "no"})
    read = {"name": "read", "args": {"name": "ungated-edit"}}
    await answer(cashier.editing, "ungated-edit", read, {"type": "approve"})


if __name__ == "__main__":
    asyncio.run(main())
