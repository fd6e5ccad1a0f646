"""The smallest agent that has something to ask: plan a payment, pay, end. No model, so that what is measured is the way
around it. The first message of the conversation is the name of the run; the payment goes to that name."""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest

type Ask = Callable[[ToolCallRequest, Callable[[ToolCallRequest], Awaitable[Any]]], Awaitable[Any]]

STARTS = "BENCH_STARTS"  # names a file that gets one line for each start of the tool: name, monotonic nanoseconds


@tool
async def pay(to: str, amount: str) -> str:
    """Pay an amount to somebody."""
    now = time.monotonic_ns()
    if file := os.environ.get(STARTS):
        with Path(file).open("a") as lines:
            lines.write(f"{to} {now}\n")
    return f"paid {amount} to {to}"


pay.metadata = {"effect": "write", "egress": True, "risk": "medium"}


async def plan(state: MessagesState) -> dict[str, Any]:
    call = {"name": "pay", "args": {"to": str(state["messages"][0].content), "amount": "10.00"}, "id": "pay-1"}
    return {"messages": [AIMessage(content="It is due.", tool_calls=[{**call, "type": "tool_call"}])]}


async def end(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(content="Done.")]}


def build(ask: Ask | None = None) -> Any:
    """The graph, not yet compiled. ``ask`` stands around the tool, where nobody else does."""
    builder = StateGraph(MessagesState)
    builder.add_node("plan", plan)
    builder.add_node("tools", ToolNode([pay], awrap_tool_call=ask))
    builder.add_node("end", end)
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "tools")
    builder.add_edge("tools", "end")
    builder.add_edge("end", END)
    return builder


graph = build().compile()
