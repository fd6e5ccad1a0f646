"""Which code an agent is made of: what its runs began with, and whether it is another by the time they go on."""

import hashlib
import importlib.metadata
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement


def code_version(places: Iterable[Path], requirements: Sequence[str]) -> str:
    """A digest over the Python files in ``places`` (folders and all below, or files), and the installed versions of the
    packages that ``requirements`` (PEP 508) name. Raises OSError for a file that cannot be read."""
    whole = hashlib.sha256()
    for place in _outermost(places):
        for file in _python_files(place):
            whole.update(f"{file.relative_to(place)}\0".encode() + file.read_bytes())
    for name in sorted({name for text in requirements for name in _names(text)}):
        whole.update(f"{name}=={_installed(name)}\0".encode())
    return whole.hexdigest()[:12]


def _outermost(places: Iterable[Path]) -> list[Path]:
    """Those that are in none of the others."""
    found = sorted({place.resolve() for place in places})
    return [place for place in found if not any(other in place.parents for other in found)]


def _python_files(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for folder, folders, files in os.walk(top):
        # Virtual environments, and what no import statement can name.
        folders[:] = sorted(name for name in folders if name.isidentifier() and not Path(folder, name, "pyvenv.cfg").exists())
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _names(requirement: str) -> Iterator[str]:
    try:
        yield Requirement(requirement).name
    except InvalidRequirement:
        return  # an address or an option, of which nobody can tell


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
