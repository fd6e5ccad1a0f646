"""An engine in this process for the projects beside tests/agents, and for projects that a test writes itself."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.test import override_settings

from runs.engine import imports, process, registry
from tests.runs.engine.conftest import Engine

AGENTS = Path(__file__).parents[2] / "agents"


@contextmanager
def clean_imports() -> Generator[None]:
    """What a test's projects put into the interpreter is taken out again: the next one's modules have the same names."""
    modules, path, finders, projects = set(sys.modules), list(sys.path), list(sys.meta_path), dict(imports._projects)
    try:
        yield
    finally:
        sys.path[:], sys.meta_path[:] = path, finders
        imports._projects.clear()
        imports._projects.update(projects)
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith("/tmp/") or name.startswith("project_"):
                del sys.modules[name]
        registry.forget()


@pytest.fixture
def engine_for(committed: None, tmp_path: Path) -> Generator[Callable[..., Engine]]:
    """Return a function that makes an engine for some manifests."""
    with clean_imports(), override_settings():

        def make(*manifests: Path) -> Engine:
            from django.conf import settings

            settings.AGENTS = [str(manifest) for manifest in manifests]
            return Engine(tmp_path / "effects.jsonl")

        try:
            yield make
        finally:
            process.close()


@pytest.fixture
def engine(engine_for: Callable[..., Engine]) -> Engine:
    """For graphs of every kind."""
    return engine_for(AGENTS / "graphs" / "langgraph.json")


@pytest.fixture
def published(engine_for: Callable[..., Engine]) -> Engine:
    """For graphs of published packages."""
    return engine_for(AGENTS / "published" / "langgraph.json")


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a project into a folder: its files, and the graphs of its manifest."""
    import json

    def write(folder: str, graphs: dict[str, str], files: dict[str, str], **more: object) -> Path:
        root = tmp_path / folder
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        manifest = root / "langgraph.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, **more}))
        return manifest

    return write
