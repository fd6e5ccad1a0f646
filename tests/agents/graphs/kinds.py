"""Graphs of every kind that LangGraph knows, each asking a person something on its way. Nothing here knows of a desk."""

import asyncio
import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Send, interrupt
from pydantic import BaseModel


class State(TypedDict, total=False):
    items: list[str]
    log: Annotated[list[str], operator.add]


def chain(*nodes: Any, state: Any = State, **options: Any) -> Any:
    builder = StateGraph(state)
    for node in nodes:
        builder.add_node(node.__name__, node)
    for before, after in zip([START, *(n.__name__ for n in nodes)], [*(n.__name__ for n in nodes), END], strict=True):
        builder.add_edge(before, after)
    return builder.compile(**options)


def ask(state: State) -> State:
    return {"log": [f"ask: {interrupt('May I?')}"]}


def begin(state: State) -> State:
    return {"log": ["begin"]}


def finish(state: State) -> State:
    return {"log": ["finish"]}


async def ask_async(state: State) -> State:
    await asyncio.sleep(0)
    return {"log": [f"ask_async: {interrupt('May I, later?')}"]}


def ask_until_enough(state: State) -> State:
    """Interrupts again and again in one task."""
    answers: list[str] = []
    while not answers or answers[-1] != "enough":
        answers.append(interrupt(f"More than {len(answers)}?"))
    return {"log": answers}


sync = chain(begin, ask, finish)
async_only = chain(ask_async)
loop = chain(ask_until_enough)
before = chain(begin, finish, interrupt_before=["finish"])
after = chain(begin, finish, interrupt_after=["begin"])
everywhere = chain(begin, finish, interrupt_before="*", interrupt_after="*")

# --- Subgraphs ---------------------------------------------------------------------------------------------
_inner = chain(begin, ask, ask_async)
_inner_with_breakpoint = chain(begin, finish, interrupt_before=["finish"])


def _around(inner: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("outer", finish)
    builder.add_node("inner", inner)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "outer")
    return builder.compile()


async def call_inner(state: State) -> State:
    return {"log": (await _inner.ainvoke({"log": []}))["log"]}


subgraph = _around(_inner)
subgraph_in_subgraph = _around(_around(chain(ask, ask_async)))
called = chain(call_inner, finish)
subgraph_with_breakpoint = _around(_inner_with_breakpoint)

_kept = {"inner": chain(begin, finish, interrupt_before=["finish"])}


async def call_with_breakpoint(state: State) -> State:
    return {"log": (await _inner_with_breakpoint.ainvoke({"log": []}))["log"]}


async def call_out_of_sight(state: State) -> State:
    return {"log": (await _kept["inner"].ainvoke({"log": []}))["log"]}


def call_with_options(state: State) -> State:
    return {"log": _inner.invoke({"log": []}, interrupt_after=["begin"])["log"]}


called_with_breakpoint = chain(call_with_breakpoint, finish)
out_of_sight = chain(call_out_of_sight, finish)
with_options = chain(call_with_options, finish)


# --- Several at once ---------------------------------------------------------------------------------------
def left(state: State) -> State:
    return {"log": [f"left: {interrupt('Left?')}"]}


def right(state: State) -> State:
    return {"log": [f"right: {interrupt('Right?')}"]}


def _parallel() -> Any:
    builder = StateGraph(State)
    builder.add_node("left", left)
    builder.add_node("right", right)
    builder.add_node("finish", finish)
    builder.add_edge(START, "left")
    builder.add_edge(START, "right")
    builder.add_edge(["left", "right"], "finish")
    return builder.compile()


class One(TypedDict):
    item: str


def each(state: One) -> State:
    return {"log": [f"{state['item']}: {interrupt({'item': state['item']})}"]}


def _fan_out() -> Any:
    builder = StateGraph(State)
    builder.add_node("each", each)
    builder.add_conditional_edges(START, lambda state: [Send("each", {"item": item}) for item in state["items"]], ["each"])
    return builder.compile()


parallel = _parallel()
fan_out = _fan_out()


# --- The functional interface ------------------------------------------------------------------------------
_written: list[str] = []


@task
async def write(topic: str) -> str:
    _written.append(topic)
    return f"an essay about {topic}, written {_written.count(topic)} times"


@entrypoint()
async def workflow(topic: str) -> dict[str, Any]:
    essay = await write(topic)
    return {"essay": essay, "review": interrupt({"essay": essay})}


# --- States that are no mappings ---------------------------------------------------------------------------
class Amount(BaseModel):
    cents: int
    currency: str = "EUR"


class Order(BaseModel):
    amount: Amount
    approved_by: str = ""


def ask_for_order(state: Order) -> dict[str, str]:
    return {"approved_by": interrupt(f"{state.amount.cents} cents in {state.amount.currency}?")}


@dataclass
class Trip:
    places: list[str] = field(default_factory=list)
    approved_by: str = ""


def ask_for_trip(state: Trip) -> dict[str, str]:
    return {"approved_by": interrupt(f"By way of {' and '.join(state.places)}?")}


pydantic_state = chain(ask_for_order, state=Order)
dataclass_state = chain(ask_for_trip, state=Trip)


# --- Tools -------------------------------------------------------------------------------------------------
@tool
async def send_letter(to: str) -> str:
    """Send a letter. There is no synchronous way to do it."""
    await asyncio.sleep(0)
    return f"sent to {to}"


def want_letter(state: MessagesState) -> dict[str, list[AIMessage]]:
    call = {"name": "send_letter", "args": {"to": "Ada"}, "id": "letter-1", "type": "tool_call"}
    return {"messages": [AIMessage("A letter has to go out.", tool_calls=[call])]}


def _with_tool_node() -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("want", want_letter)
    builder.add_node("tools", ToolNode([send_letter]))
    builder.add_edge(START, "want")
    builder.add_edge("want", "tools")
    return builder.compile()


tool_node = _with_tool_node()
