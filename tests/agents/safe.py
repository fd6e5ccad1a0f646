"""Tools that use the toolkit, and one that uses none of it and does the same."""

import asyncio
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import effects
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from script import ScriptedModel

from runs.toolkit import ToolFailure, previewed, typed, undoable


@dataclass
class Receipt:
    to: str
    amount: Decimal


def _count(name: str) -> int:
    """How many times this came by, in all processes and threads."""
    effects.note(name)
    return len(effects.noted(name))


@tool
@typed
def transfer(to: str, amount: Decimal) -> Receipt:
    """Transfer an amount."""
    effects.note("transfer", to=to, amount=str(amount))
    return Receipt(to, amount)


def _would_transfer(to: str, amount: Decimal, config: RunnableConfig) -> Receipt:
    if to == "nobody":
        raise ToolFailure("There is no such account.", kind="no_account", hint="Ask for the account.")
    assert isinstance(amount, Decimal), "converted as the tool gets it"
    return Receipt(to, amount)


def _take_back(amount: Decimal, to: str, result: dict[str, Any], config: RunnableConfig) -> str:
    """Take a transfer back."""
    key = (config.get("configurable") or {})["idempotency_key"]
    effects.note("take_back", amount=str(amount), to=to, receipt=result, key=key)
    if to == "closed":
        raise ToolFailure("The account is closed.", kind="closed")
    if to == "slow":
        raise TimeoutError
    return "taken back"


previewed(transfer, _would_transfer)
undoable(transfer, _take_back)


@tool
@typed
async def misdeclared(to: str) -> Receipt:
    """Return something else than declared."""
    return {"to": to}  # type: ignore[return-value]


@tool
async def flaky(good_at: int, kind: str = "unavailable", retryable: bool = True) -> str:
    """Fail until the given try."""
    if _count("flaky") < good_at:
        raise ToolFailure(f"The {kind} thing.", kind=kind, retryable=retryable, hint="Wait.")
    return "worked"


flaky.metadata = {"effect": "write", "idempotent": True}


@tool
def returns_errors(good_at: int) -> dict[str, Any]:
    """Return its errors, and import nothing."""
    if _count("returns_errors") < good_at:
        return {"done": False, "error": {"kind": "unavailable", "message": "Not now.", "retryable": True, "hint": "Later."}}
    return {"done": True}


returns_errors.metadata = {"effect": "write", "idempotent": True}


@tool
async def service(text: str) -> str:
    """Work while the file of its service says so."""
    state = json.loads(Path(os.environ["SERVICE_FILE"]).read_text())
    effects.note("service", text=text)
    while state.get("slow") and Path(os.environ["SERVICE_FILE"]).read_text() == json.dumps(state):
        await asyncio.sleep(0.02)
    if not state["up"]:
        raise RuntimeError("The service is down.")
    if state.get("no"):
        raise ToolFailure("It says no.", kind="refused_by_service")
    return text


service.metadata = {"effect": "write"}

TOOLS = [transfer, misdeclared, flaky, returns_errors, service]
model = ScriptedModel()
agent = create_agent(model, TOOLS)


async def _model(state: MessagesState) -> dict[str, list[object]]:
    return {"messages": [await model.ainvoke(state["messages"])]}


def _graph() -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("model", _model)
    builder.add_node("tools", ToolNode(TOOLS, handle_tool_errors=True))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile()


handling = _graph()  # its node makes words of what its tools raise
