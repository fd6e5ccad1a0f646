"""Whose module is it? A project's code finds the project's modules, whatever else in the process has their names.

Workers hold the desk, whose packages are called ``runs`` and ``approvals``, and possibly several projects, each with its
``agent.py`` and ``tools.py``. A project none of whose names is taken is put on ``sys.path`` and that is all. Where a name is
taken, the project's module is kept under a name of its own (``<key>.<name>``), and the import statements of this project's
modules lead there; those of everybody else go on to the other one. ``importlib.import_module("runs")`` in an agent's code is
the one thing that this does not reach.
"""

import builtins
import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

DESK = frozenset({"agentdesk", "approvals", "runs"})


class Project:
    """The modules of one project: those in ``folders``. ``key`` is the package of those that are kept apart."""

    def __init__(self, key: str, root: Path, folders: Sequence[Path], taken: frozenset[str]) -> None:
        self.key, self.root, self.folders = key, root, [str(folder) for folder in folders]
        self.names = frozenset(name for folder in folders for name in _names_in(folder))
        self.private = frozenset(name for name in self.names if name in taken or self._is_loaded_elsewhere(name))
        self._builtins = {**vars(builtins), "__import__": self._import}

    def install(self, position: int) -> None:
        """Make the modules importable, at this place of ``sys.path``."""
        sys.path[position:position] = [folder for folder in self.folders if folder not in sys.path]
        if self.private:
            sys.meta_path.insert(0, self)

    def load(self, place: Path | str) -> ModuleType:
        """The module in a file, or of a dotted name."""
        return self.file(place) if isinstance(place, Path) else self.module(place)

    def module(self, name: str) -> ModuleType:
        """Import one of the project's modules, or an installed one, by its dotted name."""
        return importlib.import_module(f"{self.key}.{name}" if name.partition(".")[0] in self.private else name)

    def file(self, path: Path) -> ModuleType:
        """Import the module in ``path``: by its package's name where it is in one, else by a name of its own."""
        for folder in map(Path, self.folders):
            if folder in path.parents and (path.parent / "__init__.py").is_file():
                return self.module(".".join(path.relative_to(folder).with_suffix("").parts))
        # Not by the folders above the project: checkpoints name the types in it, and outlive a move.
        inside = path.relative_to(self.root, walk_up=True).with_suffix("")
        name = re.sub(r"\W", "_", f"{self.key}_{inside}")
        spec = spec_from_file_location(name, path, loader=_Loader(name, str(path), self))
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def prepare(self, module: ModuleType) -> None:
        """Before its code runs: let the module's import statements ask the project first."""
        if self.private:
            module.__dict__["__builtins__"] = self._builtins

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Python's question to a finder (``importlib.abc.MetaPathFinder``)."""
        if name == self.key:
            root = ModuleSpec(name, None, is_package=True)
            root.submodule_search_locations = list(self.folders)
            return root
        top = name.partition(".")[0]
        if top != self.key and (top not in self.names or top in self.private):
            return None
        spec = PathFinder.find_spec(name, path if "." in name else self.folders, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(name, spec.loader.path, self)
        return spec

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """An import statement in a module of this project (``builtins.__import__``)."""
        top = name.partition(".")[0]
        if level or top not in self.private:
            return builtins.__import__(name, globals, locals, fromlist, level)
        found = builtins.__import__(f"{self.key}.{name}", globals, locals, fromlist, 0)
        return found if fromlist else sys.modules[f"{self.key}.{top}"]

    def _is_loaded_elsewhere(self, name: str) -> bool:
        module = sys.modules.get(name)
        if module is None:
            return name in DESK
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
        return not any(place.startswith(f"{folder}/") for place in places for folder in self.folders)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, project: Project) -> None:
        super().__init__(name, path)
        self.project = project

    def exec_module(self, module: ModuleType) -> None:
        self.project.prepare(module)
        super().exec_module(module)


_projects: dict[tuple[str, ...], Project] = {}  # by their folders, in the order in which they came


def project_in(root: Path, folders: Sequence[Path]) -> Project:
    """The project in ``root``, the modules in ``folders`` importable from now on. The same one when asked again."""
    place = (str(root), *map(str, folders))
    if place not in _projects:
        others = _projects.values()
        key = re.sub(r"\W", "_", f"project_{root.name}")
        if key in {other.key for other in others}:
            key = f"{key}_{len(others)}"
        project = Project(key, root, folders, frozenset(name for other in others for name in other.names))
        project.install(sum(len(other.folders) for other in others))
        _projects[place] = project
    return _projects[place]


def _names_in(folder: Path) -> Iterator[str]:
    """The top-level modules and packages in a folder."""
    for entry in folder.iterdir():
        if entry.suffix == ".py" and entry.is_file():
            yield entry.stem
        elif entry.name.isidentifier() and entry.is_dir() and any(entry.glob("*.py")):
            yield entry.name
