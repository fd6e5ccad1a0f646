"""Loading agents: graphs out of their manifests, gated, in worker processes only."""

import asyncio
import hashlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolNode

from agentdesk.groups import groups
from runs.engine import imports, manifest, requirements
from runs.engine.breakpoints import has_any
from runs.engine.making import A_LOOK, Graph, Maker
from runs.engine.manifest import GraphSpec, Manifest
from runs.errors import AgentUnavailable, UnknownAgent
from runs.tools import gate

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


def serve(manifests: frozenset[str] | None) -> None:
    """Load the agents of these manifests only: worker processes are apart, so that projects cannot get in each other's way."""
    global _only
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
            project = imports.project_in(each.path.resolve().parent, each.import_paths)
            modules: dict[Path | str, ModuleType] = {}
            yield from (_load(each, project, spec, modules) for spec in each.graphs)


def _load(of: Manifest, project: imports.Project, spec: GraphSpec, modules: dict[Path | str, ModuleType]) -> LoadedAgent:
    """One graph. ``modules`` are those read so far: a file that holds several graphs is executed once."""
    version, name = "", str(spec.manifest)
    try:
        if spec.is_javascript:
            raise AgentUnavailable("JavaScript graphs are not supported: the desk runs graphs written in Python.")
        if isinstance(spec.module, Path):
            version = _version(spec.module)
        module = modules.get(spec.module) or project.load(spec.module)
        modules[spec.module] = module
        version = version or _version(Path(module.__file__ or "."))
        maker = Maker(getattr(module, spec.attribute))
        graph = asyncio.run(_look_at(maker))
        graphs: list[Any] = [graph, *(subgraph for _, subgraph in graph.get_subgraphs(recurse=True))]
        return LoadedAgent(
            spec.slug, name, spec.text, version, spec.description, graph, maker, dict(_tools(graphs)), has_any(graphs)
        )
    except AgentUnavailable as error:
        return LoadedAgent(spec.slug, name, spec.text, version, spec.description, error=str(error))
    except (Exception, SystemExit):  # whatever an agent's code raises is shown to its owners; the other agents work
        error_text = traceback.format_exc().rstrip() + _advice(of)
        return LoadedAgent(spec.slug, name, spec.text, version, spec.description, error=error_text)


async def _look_at(maker: Maker) -> Graph:
    async with asyncio.timeout(MAKING_SECONDS), maker.open(A_LOOK) as graph:
        return graph


def _advice(of: Manifest) -> str:
    """What may have been missing, in the line that says what happened."""
    said = ""
    if isinstance(sys.exception(), ImportError) and (missing := requirements.missing(of)):
        said = f" Not installed: {', '.join(missing)}. Install with: {requirements.command(missing)}"
    if of.missing_env:
        said += f" The manifest names {of.missing_env} for variables; there is no such file."
    return said


def _tools(graphs: Sequence[Any]) -> Iterator[tuple[str, BaseTool]]:
    """The tools of the ToolNodes in sight, subgraphs too: for the list that admins see. The gate does not rely on it."""
    for each in graphs:
        for node in getattr(each, "nodes", {}).values():
            bound = getattr(node, "bound", None)
            for part in [bound, *getattr(bound, "steps", [])]:
                if isinstance(part, ToolNode):
                    yield from part.tools_by_name.items()


def _version(path: Path) -> str:
    """A digest over the Python files beside the graph's module: another code is another version."""
    whole = hashlib.sha256()
    for folder, folders, files in os.walk(path.parent):
        folders[:] = sorted(name for name in folders if name.isidentifier() and not Path(folder, name, "pyvenv.cfg").exists())
        for name in sorted(name for name in files if name.endswith(".py")):
            whole.update(name.encode() + b"\0" + (Path(folder) / name).read_bytes())
    return whole.hexdigest()[:12]
