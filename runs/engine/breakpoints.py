"""Static breakpoints (``interrupt_before``, ``interrupt_after``) that a graph stands at, its subgraphs' too.

LangGraph pauses there without an interrupt: only the names of the nodes tell. They are read from the checkpoint, so a worker
that takes a dead one's place knows them as well, and nobody passes one without a decision.

A graph that a node or a tool calls by itself, out of LangGraph's sight (``get_subgraphs``), leaves no such names: to whoever
reads the checkpoint, its stop looks like work that a dead worker left half done. One with breakpoints is refused there.
"""

import functools
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langgraph.constants import START
from langgraph.errors import GraphBubbleUp
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from runs.engine.making import Graph


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """``action`` is what people are asked about; ``key`` tells this stop from every other one of the thread."""

    node: str
    action: str
    key: str


class BreakpointOutOfSight(GraphBubbleUp):
    """A graph was about to start whose breakpoints the desk could not hold."""


driven: ContextVar[Graph | None] = ContextVar("driven_graph", default=None)  # what the desk drives here; see Drive.go
_TASK = "__pregel_task_id"  # in the config of whatever a task calls (LangGraph's CONFIG_KEY_TASK_ID)
_MARK = "agentdesk_watched"


def install() -> None:
    """Watch each graph that starts from now on in this process. Safe to call again."""
    for name in ("stream", "astream"):
        start = getattr(Pregel, name)
        if not getattr(start, _MARK, False):
            setattr(Pregel, name, _watched(start))


def _watched(start: Any) -> Any:
    @functools.wraps(start)
    def watched(self: Pregel[Any], input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        root = driven.get()
        stops = _stops(root, self, options) if root is not None else []
        if stops and _TASK in ensure_config(config).get("configurable", {}):
            raise BreakpointOutOfSight(
                f"A graph with breakpoints ({', '.join(stops)}) is called where they cannot be held for a decision. Make it a "
                "node of the graph around it, or let its nodes ask by interrupt()."
            )
        return start(self, input, config, **options)

    setattr(watched, _MARK, True)
    return watched


def _stops(root: Graph, graph: Pregel[Any], options: dict[str, Any]) -> list[str]:
    """The breakpoints that cannot be read from a checkpoint: those that the call asks for, and those of a graph unknown."""
    called = [options.get("interrupt_before"), options.get("interrupt_after")]
    own = [graph.interrupt_before_nodes, graph.interrupt_after_nodes]
    stops = [*called, *(own if any(own) and not _sees(root, graph) else [])]
    return sorted(set().union(*(_named(graph, nodes) for nodes in stops if nodes)))


def _sees(root: Graph, graph: Pregel[Any]) -> bool:
    """Whether it is one of the subgraphs of ``root``, or a copy of one, as ``with_config`` makes."""
    seen = [each for _, each in root.get_subgraphs(recurse=True) if isinstance(each, Pregel)]
    nodes = {id(node) for each in seen for node in each.nodes.values()}
    return all(id(node) in nodes for node in graph.nodes.values())


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


def _named(graph: Pregel[Any], nodes: Any) -> set[str]:
    return {name for name in graph.nodes if name != START} if nodes == "*" else set(nodes)


def _at(snapshot: StateSnapshot, node: str, action: str) -> Breakpoint:
    place = snapshot.config["configurable"]
    space = f"{place['checkpoint_ns']}:" if place.get("checkpoint_ns") else ""
    return Breakpoint(node, action, f"{space}{place.get('checkpoint_id', '')}:{action.removeprefix('interrupt:')}")
