"""Static breakpoints (``interrupt_before``, ``interrupt_after``) that a graph stands at, its subgraphs' too.

LangGraph pauses there without an interrupt: only the names of the nodes tell. They are read from the checkpoint, so a worker
that takes a dead one's place knows them as well, and nobody passes one without a decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.constants import START
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from runs.engine.making import Graph


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """``action`` is what people are asked about; ``key`` tells this stop from every other one of the thread."""

    node: str
    action: str
    key: str


def has_any(graphs: Sequence[Any]) -> bool:
    """Whether a graph or one of its subgraphs has static breakpoints at all: the others are not looked at for any. A subgraph
    on another server is none of ours."""
    local = [graph for graph in graphs if isinstance(graph, Pregel)]
    return any(graph.interrupt_before_nodes or graph.interrupt_after_nodes for graph in local)


async def stands_at(graph: Graph, config: RunnableConfig) -> list[Breakpoint]:
    """The breakpoints that hold the thread of ``config`` where it is now."""
    return await _in(graph, graph, await graph.aget_state(config, subgraphs=True))


async def _in(root: Graph, graph: Graph, snapshot: StateSnapshot) -> list[Breakpoint]:
    before = _named(graph, graph.interrupt_before_nodes)
    found = [_at(snapshot, node, f"interrupt:{node}") for node in snapshot.next if node in before]
    after = _named(graph, graph.interrupt_after_nodes)
    if after and snapshot.next and snapshot.parent_config and (snapshot.metadata or {}).get("source") == "loop":
        parent = await root.aget_state(snapshot.parent_config)
        found += [_at(snapshot, node, f"interrupt:after:{node}") for node in parent.next if node in after]
    inner: dict[str, Graph] = {}
    for task in snapshot.tasks:
        if isinstance(task.state, StateSnapshot):
            inner = inner or {name: each for name, each in graph.get_subgraphs() if isinstance(each, Pregel)}
            if task.name in inner:
                found += await _in(root, inner[task.name], task.state)
    return found


def _named(graph: Graph, nodes: Any) -> set[str]:
    return {name for name in graph.nodes if name != START} if nodes == "*" else set(nodes)


def _at(snapshot: StateSnapshot, node: str, action: str) -> Breakpoint:
    place = snapshot.config["configurable"]
    space = f"{place['checkpoint_ns']}:" if place.get("checkpoint_ns") else ""
    return Breakpoint(node, action, f"{space}{place.get('checkpoint_id', '')}:{action.removeprefix('interrupt:')}")
