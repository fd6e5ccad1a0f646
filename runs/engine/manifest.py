"""Reading ``langgraph.json``, the manifest of a LangGraph project (format: LangGraph CLI's configuration file,
docs.langchain.com/langgraph-platform/cli). What only concerns LangGraph's own server in it is left alone."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runs.errors import RunError

JAVASCRIPT = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})
# What the desk reads itself, once, when a process starts. A project's own values for these names are for the project's code.
OF_THE_DESK = frozenset({"DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "EMAIL_URL"})


class BadManifest(RunError):
    """The langgraph.json cannot be used."""

    code = "bad_manifest"


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """One graph that a manifest names: ``module`` is a file, or a module's dotted name; ``attribute`` what in it is or makes
    the graph. Where the entry cannot be used, ``problem`` says why."""

    slug: str
    manifest: Path
    module: Path | str
    attribute: str
    description: str = ""
    problem: str = ""

    @property
    def text(self) -> str:
        return f"{self.module.name if isinstance(self.module, Path) else self.module}:{self.attribute}"

    @property
    def is_javascript(self) -> bool:
        return isinstance(self.module, Path) and self.module.suffix.lower() in JAVASCRIPT


@dataclass(frozen=True, slots=True)
class Manifest:
    """One project. ``dependencies`` are as they are written; ``missing_env`` is the file of variables that is named and not
    there."""

    path: Path
    graphs: tuple[GraphSpec, ...]
    environment: dict[str, str]
    import_paths: tuple[Path, ...]
    dependencies: tuple[str, ...] = ()
    missing_env: str = ""

    def set_environment(self) -> None:
        """Make the project's variables known. Those of the process win, as they do over any ``.env``; except for what is the
        desk's own, which no agent means."""
        for key, value in self.environment.items():
            if key in OF_THE_DESK:
                os.environ[key] = value
            else:
                os.environ.setdefault(key, value)


def read(path: Path) -> Manifest:
    """Read a manifest. Raises BadManifest, whose message says what is wrong and where."""
    try:
        content = json.loads(path.read_text())
        specs = tuple(_spec(path, slug, value) for slug, value in content["graphs"].items())
        dependencies = tuple(str(item) for item in content.get("dependencies") or ())
        environment, missing = _environment(path, content.get("env") or {})
    except OSError as error:
        raise BadManifest(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadManifest(f"{path}: not a langgraph.json ({type(error).__name__}: {error})") from error
    folders = tuple(_import_paths(path.parent.resolve(), dependencies))
    return Manifest(path, specs, environment, folders, dependencies, missing)


def with_own_slugs(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Give each graph a slug that no other has. The first manifest to use a name keeps it; in later ones, their folder's name
    comes before it: most projects call their graph "agent"."""
    taken: set[str] = set()
    return [replace(each, graphs=tuple(_own_slug(spec, taken) for spec in each.graphs)) for each in manifests]


def slug_of(*words: str) -> str:
    """A slug as addresses, rules and rows take it: letters, digits, hyphens and underscores, at most 64."""
    return re.sub(r"[^-a-zA-Z0-9_]+", "-", "-".join(words)).strip("-")[:64] or "agent"


def _own_slug(spec: GraphSpec, taken: set[str]) -> GraphSpec:
    folder = spec.manifest.resolve().parent.name
    wanted = [slug_of(spec.slug), slug_of(folder, spec.slug)]
    wanted += [slug_of(f"{wanted[1][:60]}-{number}") for number in range(2, len(taken) + 3)]
    slug = next(slug for slug in wanted if slug not in taken)
    taken.add(slug)
    return replace(spec, slug=slug)


def _spec(manifest: Path, slug: str, value: Any) -> GraphSpec:
    entry = value if isinstance(value, dict) else {"path": value}
    text, description = str(entry.get("path", "")), str(entry.get("description") or "")
    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        problem = f"langgraph.json, graph {slug!r}: {text!r} is not of the form file.py:name"
        return GraphSpec(slug, manifest, place or text, attribute, description, problem)
    suffix = Path(place).suffix.lower()
    is_file = "/" in place or suffix == ".py" or suffix in JAVASCRIPT
    return GraphSpec(slug, manifest, (manifest.parent / place).resolve() if is_file else place, attribute, description)


def _import_paths(root: Path, dependencies: Sequence[str]) -> Iterator[Path]:
    """The local folders among ``dependencies``, and what a ``src`` layout hides in them."""
    for item in dependencies:
        folder = (root / item).resolve()
        if is_local(item) and folder.is_dir():
            yield folder
            if (folder / "pyproject.toml").is_file() and (folder / "src").is_dir():
                yield folder / "src"


def is_local(dependency: str) -> bool:
    """Whether an entry of ``dependencies`` is a folder rather than a package."""
    return dependency.startswith((".", "/"))


def _variables(text: str) -> dict[str, str]:
    """Lines of a ``.env``: ``NAME=value``, ``export``, quotes, comments, values over several lines in quotes."""
    values: dict[str, str] = {}
    for match in _LINE.finditer(text):
        double, single = match["double"], match["single"]
        if double is not None:
            values[match["name"]] = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), double)
        else:
            values[match["name"]] = single if single is not None else re.sub(r"(^|\s+)#.*", "", match["bare"]).strip()
    return values


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.]*)[ \t]*=[ \t]*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"[ \t]*(?:\#.*)?$ | '(?P<single>[^']*)'[ \t]*(?:\#.*)?$ | (?P<bare>.*)$)""",
    re.MULTILINE | re.VERBOSE,
)


def _environment(manifest: Path, env: Any) -> tuple[dict[str, str], str]:
    """The variables of ``env``, a mapping or a file; and the file when there is none."""
    if isinstance(env, dict):
        return {key: str(value) for key, value in env.items()}, ""
    file = manifest.parent / str(env)
    if not file.is_file():
        return {}, str(file)
    return _variables(file.read_text()), ""
