"""Loading agents: graphs out of their manifests, gated, in worker processes only."""

import asyncio
import hashlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings
from langchain_core.tools import BaseTool
from langgraph.graph.state import StateGraph
from langgraph.prebuilt.tool_node import ToolNode
from langgraph.pregel import Pregel

from runs.engine import manifest
from runs.engine.manifest import GraphSpec
from runs.errors import AgentUnavailable, UnknownAgent
from runs.tools import gate


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """A graph ready to be driven, or the reason why it is not."""

    slug: str
    manifest: str
    graph_name: str
    version: str
    description: str = ""
    graph: "Pregel[Any, Any, Any, Any] | None" = None
    tools: dict[str, BaseTool] = field(default_factory=dict)
    error: str = ""


_loaded: tuple[tuple[str, ...], dict[str, LoadedAgent]] | None = None  # from which manifests, and what
_guard = threading.Lock()


def load_all() -> dict[str, LoadedAgent]:
    """Load every graph of every manifest in AGENTDESK_AGENTS, once for the process. One that cannot be loaded is in the
    answer with its reason; the others work."""
    global _loaded
    manifests = tuple(settings.AGENTS)
    with _guard:
        if _loaded is None or _loaded[0] != manifests:
            gate.install()
            _loaded = manifests, {agent.slug: agent for path in manifests for agent in _load_manifest(Path(path))}
        return _loaded[1]


def get(slug: str) -> LoadedAgent:
    """The loaded agent. Raises UnknownAgent, or AgentUnavailable with the reason."""
    agent = load_all().get(slug)
    if agent is None:
        raise UnknownAgent(f"No langgraph.json names an agent {slug!r}.")
    if agent.graph is None:
        raise AgentUnavailable(f"The agent {slug!r} cannot be loaded: {agent.error.strip().splitlines()[-1]}")
    return agent


def forget() -> None:
    """Load again at the next use."""
    global _loaded
    with _guard:
        _loaded = None


def _load_manifest(path: Path) -> Iterator[LoadedAgent]:
    try:
        read = manifest.read(path)
    except manifest.BadManifest as error:
        yield LoadedAgent(path.parent.name or "agents", str(path), "", "", error=str(error))
        return
    read.prepare()
    for spec in read.graphs:
        yield _load(spec)


def _load(spec: GraphSpec) -> LoadedAgent:
    version = ""
    try:
        version = _version(spec.module)
        graph = _graph(getattr(_module(spec.module), spec.attribute))
        return LoadedAgent(spec.slug, str(spec.manifest), spec.text, version, spec.description, graph, dict(_tools(graph)))
    except Exception:  # whatever an agent's code raises is shown to its owners; the other agents work
        return LoadedAgent(spec.slug, str(spec.manifest), spec.text, version, spec.description, error=traceback.format_exc())


def _module(path: Path) -> ModuleType:
    """The module in ``path``: by its package name where the project's folder makes one importable, else by its file."""
    for root in map(Path, sys.path):
        if (path.parent / "__init__.py").is_file() and root in path.parents:
            return importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    name = f"agent_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _graph(value: Any) -> "Pregel[Any, Any, Any, Any]":
    """A compiled graph, from one, a builder, or a factory."""
    if isinstance(value, Pregel):
        return value
    if isinstance(value, StateGraph):
        return value.compile()
    if callable(value):
        takes = len(inspect.signature(value).parameters)
        made = value(*([{"configurable": {}}] if takes else []))
        return _graph(asyncio.run(_await(made)) if inspect.isawaitable(made) else made)
    raise TypeError(f"{type(value).__name__} is neither a graph nor makes one")


async def _await(value: Any) -> Any:
    return await value


def _tools(graph: "Pregel[Any, Any, Any, Any]") -> Iterator[tuple[str, BaseTool]]:
    """The tools of the ToolNodes in sight, subgraphs too: for the list that admins see. The gate does not rely on it."""
    graphs = [graph, *(subgraph for _, subgraph in graph.get_subgraphs(recurse=True))]
    for each in graphs:
        for node in getattr(each, "nodes", {}).values():
            bound = getattr(node, "bound", None)
            for part in [bound, *getattr(bound, "steps", [])]:
                if isinstance(part, ToolNode):
                    yield from part.tools_by_name.items()


def _version(path: Path) -> str:
    """A digest over the Python files beside the graph's module: another code is another version."""
    whole = hashlib.sha256()
    for file in sorted(path.parent.rglob("*.py")):
        whole.update(file.name.encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:12]
