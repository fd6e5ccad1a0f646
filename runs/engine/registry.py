"""Loading agents: graphs out of their manifests, gated, in worker processes only."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolNode

from agentdesk.groups import groups
from runs.engine import breakpoints, imports, manifest, requirements
from runs.engine.code_version import code_version
from runs.engine.making import A_LOOK, Graph, Maker
from runs.engine.manifest import GraphSpec, Manifest
from runs.errors import AgentUnavailable, UnknownAgent
from runs.tools import gate, undoing

MAKING_SECONDS = 60.0  # in which a factory has to make its graph


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """A graph ready to be driven, or the reason why it is not. Of a factory, ``graph`` is the one made to look at it. An agent
    without a ``graph_name`` stands for a whole manifest that cannot be read."""

    slug: str
    manifest: str
    graph_name: str
    version: str
    description: str = ""
    graph: Graph | None = None
    maker: Maker | None = None
    tools: dict[str, BaseTool] = field(default_factory=dict)
    has_breakpoints: bool = False
    error: str = ""
    missing: tuple[str, ...] = ()  # requirements of the project that are not installed here


_loaded: tuple[tuple[str, ...], dict[str, LoadedAgent]] | None = None  # from which manifests, and what
_only: frozenset[str] | None = None  # the manifests that this process is for; None: all of them
_guard = threading.Lock()


def load_all() -> dict[str, LoadedAgent]:
    """Load every graph of every manifest in AGENTDESK_AGENTS that this process is for, once. One that cannot be loaded is in
    the answer with its reason; the others work."""
    global _loaded
    manifests = tuple(settings.AGENTS)
    with _guard:
        if _loaded is None or _loaded[0] != manifests:
            gate.install()
            breakpoints.install()
            _loaded = manifests, {agent.slug: agent for agent in _load_manifests(manifests)}
        return _loaded[1]


def get(slug: str) -> LoadedAgent:
    """The loaded agent. Raises UnknownAgent, or AgentUnavailable with the reason."""
    agent = load_all().get(slug)
    if agent is None:
        raise UnknownAgent(f"No langgraph.json names an agent {slug!r}.")
    if agent.graph is None or agent.maker is None:
        raise AgentUnavailable(f"The agent {slug!r} cannot be loaded: {agent.error.strip().splitlines()[-1]}")
    return agent


def undoing_agent(slug: str, tool_name: str) -> LoadedAgent:
    """The agent with the graph that makes one call of one of its tools, for an undo. Raises what :func:`get` raises."""
    agent = get(slug)
    tool = agent.tools.get(tool_name)
    if tool is None:
        raise AgentUnavailable(f"The agent {slug!r} has no tool {tool_name!r} any more, so the call cannot be undone.")
    graph = undoing.graph_of(tool)
    return replace(agent, graph=graph, maker=Maker(graph), has_breakpoints=False)


def serve(manifests: frozenset[str] | None) -> None:
    """Load the agents of these manifests only: worker processes are apart, so that projects cannot get in each other's way."""
    global _only
    if manifests != _only:
        _only = manifests
        forget()


def only() -> frozenset[str] | None:
    """The manifests that this process is for; None: all of them."""
    return _only


def forget() -> None:
    """Load again at the next use."""
    global _loaded
    with _guard:
        _loaded = None


def _load_manifests(entries: tuple[str, ...]) -> Iterator[LoadedAgent]:
    read: list[Manifest] = []
    for path in (Path(group.manifest) for group in groups(entries)):
        try:
            read.append(manifest.read(path))
        except manifest.BadManifest as error:
            if _only is None or str(path) in _only:
                yield LoadedAgent(manifest.slug_of(path.resolve().parent.name), str(path), "", "", error=str(error))
    for each in manifest.with_own_slugs(read):
        if _only is None or str(each.path) in _only:
            each.set_environment()
            loading = _Loading(each)
            yield from (loading.load(spec) for spec in each.graphs)


class _Loading:
    """The graphs of one manifest, one after the other. A file that holds several is executed once."""

    def __init__(self, of: Manifest) -> None:
        self.manifest = of
        self.project = imports.project_in(of.path.resolve().parent, of.import_paths)
        self.modules: dict[Path | str, ModuleType] = {}
        self.wanted: list[str] = []
        self.unread = ""
        try:
            self.wanted = requirements.wanted(of)
        except (OSError, ValueError) as error:  # such as a pyproject.toml that is no TOML: its graphs may load all the same
            self.unread = f" Its requirements cannot be read: {error}."
        self.missing = requirements.missing(self.wanted)

    def load(self, spec: GraphSpec) -> LoadedAgent:
        """One graph, or the reason why it cannot be loaded."""
        loaded = LoadedAgent(spec.slug, str(spec.manifest), spec.text, "", spec.description, missing=tuple(self.missing))
        try:
            if spec.problem:
                raise AgentUnavailable(spec.problem)
            if spec.is_javascript:
                raise AgentUnavailable("JavaScript graphs are not supported: the desk runs graphs written in Python.")
            if isinstance(spec.module, Path):
                loaded = replace(loaded, version=self._version(spec.module.parent))
            module = self.modules.get(spec.module) or self.project.load(spec.module)
            self.modules[spec.module] = module
            version = loaded.version or self._version(_place_of(module))
            maker = Maker(getattr(module, spec.attribute))
            graph = asyncio.run(_look_at(maker))
            graphs: list[Any] = [graph, *(subgraph for _, subgraph in graph.get_subgraphs(recurse=True))]
            return replace(
                loaded, version=version, graph=graph, maker=maker, tools=dict(_tools(graphs)),
                has_breakpoints=breakpoints.has_any(graphs),
            )  # fmt: skip
        except AgentUnavailable as error:
            return replace(loaded, error=str(error))
        except (Exception, SystemExit):  # whatever an agent's code raises is shown to its owners; the other agents work
            return replace(loaded, error=traceback.format_exc().rstrip() + self._advice())

    def _version(self, place: Path) -> str:
        return code_version([place, *self.manifest.import_paths], self.wanted)

    def _advice(self) -> str:
        """What may have been missing, in the line that says what happened."""
        said = self.unread
        if isinstance(sys.exception(), ImportError) and self.missing:
            said += f" Not installed: {', '.join(self.missing)}. Install with: {requirements.command(self.missing)}"
        if self.manifest.missing_env:
            said += f" The manifest names {self.manifest.missing_env} for variables; there is no such file."
        return said


def _place_of(module: ModuleType) -> Path:
    """The folder of the package that the module is in, or its file where it is in none."""
    file = Path(module.__file__ or ".")
    return file.parent if module.__package__ else file


async def _look_at(maker: Maker) -> Graph:
    async with asyncio.timeout(MAKING_SECONDS), maker.open(A_LOOK) as graph:
        return graph


def _tools(graphs: Sequence[Any]) -> Iterator[tuple[str, BaseTool]]:
    """The tools of the ToolNodes in sight, subgraphs too, and those that take their calls back: for the list that admins see.
    The gate does not rely on it."""
    for each in graphs:
        for node in getattr(each, "nodes", {}).values():
            bound = getattr(node, "bound", None)
            for part in [bound, *getattr(bound, "steps", [])]:
                if isinstance(part, ToolNode):
                    yield from part.tools_by_name.items()
                    undos = (undoing.undo_of(tool) for tool in part.tools_by_name.values())
                    yield from ((undo.name, undo) for undo in undos if undo is not None)
