"""Reading ``langgraph.json``, the manifest of a LangGraph project (format: LangGraph CLI's configuration file)."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.errors import RunError


class BadManifest(RunError):
    """The langgraph.json cannot be used."""

    code = "bad_manifest"


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """One graph that a manifest names: ``module`` is a file, ``attribute`` what in it is or makes the graph."""

    slug: str
    manifest: Path
    module: Path
    attribute: str
    description: str = ""

    @property
    def text(self) -> str:
        return f"{self.module.name}:{self.attribute}"


@dataclass(frozen=True, slots=True)
class Manifest:
    path: Path
    graphs: tuple[GraphSpec, ...]
    environment: dict[str, str]
    import_paths: tuple[Path, ...]

    def prepare(self) -> None:
        """Make the project's modules importable and its environment known, as the LangGraph CLI does."""
        for folder in self.import_paths:
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        for key, value in self.environment.items():
            os.environ.setdefault(key, value)


def read(path: Path) -> Manifest:
    """Read a manifest. Raises BadManifest, whose message says what is wrong and where."""
    try:
        content = json.loads(path.read_text())
        graphs = content["graphs"]
        specs = tuple(_spec(path, slug, value) for slug, value in graphs.items())
    except OSError as error:
        raise BadManifest(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadManifest(f"{path}: not a langgraph.json ({type(error).__name__}: {error})") from error
    folders = [path.parent / item for item in content.get("dependencies", []) if str(item).startswith(".")]
    return Manifest(path, specs, _environment(path, content.get("env", {})), tuple(f.resolve() for f in folders))


def _spec(manifest: Path, slug: str, value: Any) -> GraphSpec:
    text = value["path"] if isinstance(value, dict) else value
    description = value.get("description", "") if isinstance(value, dict) else ""
    file, colon, attribute = str(text).rpartition(":")
    if not colon:
        raise ValueError(f"graph {slug!r}: {text!r} is not of the form file.py:name")
    return GraphSpec(slug, manifest, (manifest.parent / file).resolve(), attribute, description)


def _environment(manifest: Path, env: Any) -> dict[str, str]:
    if isinstance(env, dict):
        return {key: str(value) for key, value in env.items()}
    file = manifest.parent / str(env)
    if not file.is_file():
        return {}
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("'\"") for key, _, value in pairs}
