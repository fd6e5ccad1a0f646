"""What a project's ``dependencies`` ask of the Python environment that its worker runs in, and what of it is not there."""

import importlib.metadata
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from runs.engine.manifest import Manifest, is_local


def wanted(manifest: Manifest) -> list[str]:
    """The requirements of the manifest, as pip takes them. Raises OSError or ValueError for files that cannot be read."""
    found = [text for item in manifest.dependencies for text in _requirements(manifest.path.parent, item)]
    return list(dict.fromkeys(found))


def missing(requirements: list[str]) -> list[str]:
    """Those of them that are not installed here."""
    return [text for text in requirements if not _is_installed(text)]


def command(requirements: list[str]) -> str:
    """What a person runs to install them into the environment of this process."""
    return shlex.join([sys.executable, "-m", "pip", "install", *requirements])


def _requirements(root: Path, dependency: str) -> Iterator[str]:
    """A package is one; a local folder has those of its ``pyproject.toml`` or ``requirements.txt``."""
    if not is_local(dependency):
        yield dependency
        return
    project, listed = root / dependency / "pyproject.toml", root / dependency / "requirements.txt"
    if project.is_file():
        yield from tomllib.loads(project.read_text()).get("project", {}).get("dependencies", [])
    if listed.is_file():
        lines = (line.partition(" #")[0].strip() for line in listed.read_text().splitlines())
        yield from (line for line in lines if line and not line.startswith(("#", "-")))


def _is_installed(text: str) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return True  # an address or an option, of which nobody can tell
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
