"""Graphs that pause by themselves, raise, or never end."""

import asyncio
import json
from typing import Any, TypedDict

import effects
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel


class State(TypedDict, total=False):
    question: Any
    schema: Any
    answer: Any


class Review(BaseModel):
    score: int
    words: str = ""


def _graph(*nodes: Any, **options: Any) -> Any:
    builder = StateGraph(State)
    previous = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(previous, node.__name__)
        previous = node.__name__
    builder.add_edge(previous, END)
    return builder.compile(**options)


def ask(state: State) -> State:
    return {"answer": interrupt(state["question"])}


def echo(state: State) -> State:
    """Keeps the very text of what it was given: a database may order names anew."""
    return {"answer": as_text(interrupt(state["question"], response_schema=state.get("schema")))}


def echo_model(state: State) -> State:
    return {"answer": as_text(interrupt(state["question"], response_schema=Review).model_dump())}


def as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def begin(state: State) -> State:
    return {"answer": "begun"}


def act(state: State) -> State:
    return {"answer": "acted"}


def raise_it(state: State) -> State:
    secret = "hunter2-in-the-traceback"
    raise RuntimeError(f"the ledger is locked ({len(secret)})")


def time_out(state: State) -> State:
    raise TimeoutError("no answer from the bank")


def first(state: State) -> State:
    effects.note("first", run=state["question"])
    return {"answer": "first"}


async def second(state: State) -> State:
    effects.note("second begins", run=state["question"])
    if len(effects.noted("second begins", run=state["question"])) == 1:
        await asyncio.sleep(30)  # long enough to be killed in
    effects.note("second", run=state["question"])
    return {"answer": "second"}


def again(state: State) -> State:
    return {"answer": int(state.get("answer") or 0) + 1}


graph = _graph(ask)
approval_required = _graph(ask)
echoes, echoes_model = _graph(echo), _graph(echo_model)
breakpoint = _graph(begin, act, interrupt_before=["act"])
raises = _graph(raise_it)
times_out = _graph(time_out)
steps = _graph(first, second)

_loop = StateGraph(State)
_loop.add_node("again", again)
_loop.add_edge(START, "again")
_loop.add_edge("again", "again")
loops = _loop.compile()
