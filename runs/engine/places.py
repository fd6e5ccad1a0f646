"""Where in a graph its interrupts were raised: the node, in a subgraph the path to it, such as ``research/ask``."""

from collections.abc import Iterator

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from runs.engine.making import Graph


async def paths(graph: Graph, config: RunnableConfig) -> dict[str, str]:
    """The path of each interrupt that waits, by its id. Subgraphs are those that LangGraph sees from outside
    (``get_subgraphs``); an interrupt inside another one is the outer node's."""
    return dict(_in(await graph.aget_state(config, subgraphs=True), ""))


def lookup(path: str) -> list[str]:
    """The names under which something said of nodes is looked for, the closest first: the path, the nodes around it, all."""
    nodes = path.split("/")
    return [*("/".join(nodes[:n]) for n in range(len(nodes), 0, -1)), ""]


def _in(snapshot: StateSnapshot, above: str) -> Iterator[tuple[str, str]]:
    for task in snapshot.tasks:
        path = f"{above}{task.name}"
        yield from ((interrupt.id, path) for interrupt in task.interrupts)
        if isinstance(task.state, StateSnapshot):  # the same interrupts once more, told closer
            yield from _in(task.state, f"{path}/")
