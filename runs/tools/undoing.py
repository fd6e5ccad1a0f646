"""What takes a call back: a tool of the agent, alone in a graph of its own, so that an undo goes the road of all calls."""

import inspect
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

HOOK = "undo"


def name_of(tool: BaseTool) -> str:
    """The name of the tool that takes calls of ``tool`` back, by its hook; empty where it has none."""
    hook = (tool.metadata or {}).get(HOOK)
    if isinstance(hook, BaseTool):
        return hook.name
    return f"undo:{tool.name}" if callable(hook) else ""


def undo_of(tool: BaseTool) -> BaseTool | None:
    """The tool that takes calls of ``tool`` back, made of its hook; None where it has none. Labels that it does not have itself
    are those of ``tool``, and it writes."""
    hook = (tool.metadata or {}).get(HOOK)
    if isinstance(hook, BaseTool):
        return hook
    if not callable(hook):
        return None
    labels = {key: tool.metadata[key] for key in ("risk", "egress", "data") if tool.metadata and key in tool.metadata}
    is_coroutine = inspect.iscoroutinefunction(hook)
    return StructuredTool.from_function(
        func=None if is_coroutine else hook, coroutine=hook if is_coroutine else None, name=name_of(tool),
        description=inspect.getdoc(hook) or f"Takes a call of {tool.name} back.", metadata={**labels, "effect": "write"},
    )  # fmt: skip


def graph_of(tool: BaseTool) -> Any:
    """A graph that makes the one call in its input, with ``tool``, and ends."""
    builder = StateGraph(MessagesState)
    builder.add_node("undo", ToolNode([tool]))
    builder.add_edge(START, "undo")
    builder.add_edge("undo", END)
    return builder.compile()
