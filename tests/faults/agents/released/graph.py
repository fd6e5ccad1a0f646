"""An agent of several releases. A test writes the next one's name into its copy of this file."""

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

RELEASE = "first"


class State(TypedDict, total=False):
    name: str
    answers: list[Any]


def _begin(state: State) -> State:
    return {}


def _ask(state: State) -> State:
    if RELEASE == "moved":
        return {"answers": [interrupt("Something else altogether?"), interrupt(f"May {state['name']} go on?")]}
    return {"answers": [interrupt(f"May {state['name']} go on?")]}


def _other(state: State) -> State:
    return {"answers": ["nobody was asked"]}


_builder = StateGraph(State)
_builder.add_node("begin", _begin)
_builder.add_edge(START, "begin")
_node = "other" if RELEASE == "gone" else "ask"
_builder.add_node(_node, _other if RELEASE == "gone" else _ask)
_builder.add_edge("begin", _node)
_builder.add_edge(_node, END)
graph = _builder.compile()
