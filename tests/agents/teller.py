"""A teller with a few tools, as three kinds of graph."""

import time
from typing import Annotated

import effects
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from script import ScriptedModel


@tool
def pay(to: str, amount: str, config: RunnableConfig) -> str:
    """Pay an amount to somebody."""
    effects.note("pay", to=to, amount=amount, key=config["configurable"].get("idempotency_key"))
    return f"paid {amount} to {to}"


pay.metadata = {"effect": "irreversible", "egress": True, "risk": "high"}


@tool
async def look_up(name: str) -> dict[str, str]:
    """Look somebody up."""
    effects.note("look_up", name=name)
    return {"name": name, "found": "yes"}


look_up.metadata = {"effect": "read", "egress": False, "idempotent": True, "risk": "low"}


@tool
def slow(seconds: float) -> str:
    """Take a while."""
    time.sleep(seconds)
    effects.note("slow", seconds=seconds)
    return "slept"


@tool
def fail(text: str) -> str:
    """Fail."""
    raise ValueError(text)


@tool
def ask_inside(question: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> str:
    """Ask a person from inside the tool."""
    answer = interrupt(question)
    effects.note("ask_inside", answer=answer, call=tool_call_id)
    return f"answered {answer}"


TOOLS = [pay, look_up, slow, fail, ask_inside]
model = ScriptedModel()
agent = create_agent(model, TOOLS)
hitl = create_agent(model, TOOLS, middleware=[HumanInTheLoopMiddleware({"pay": True})])
hitl_per_call = create_agent(model, TOOLS, middleware=[HumanInTheLoopMiddleware({"pay": True}, interrupt_mode="per_call")])


async def _model(state: MessagesState) -> dict[str, list[object]]:
    return {"messages": [await model.ainvoke(state["messages"])]}


_builder = StateGraph(MessagesState)
_builder.add_node("model", _model)
_builder.add_node("tools", ToolNode(TOOLS))
_builder.add_edge(START, "model")
_builder.add_conditional_edges("model", tools_condition)
_builder.add_edge("tools", "model")
plain = _builder.compile()
