"""Which tests share a worker: those of a file, and of all files that use the running desk, for one desk is enough.

The longest come first, or one worker would begin them when the others have nothing left to do.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
DESK = "desk"
LONG = {
    "tests/runs/engine/test_many.py", "tests/embedded/test_make_run.py", "tests/approvals/test_decide_races.py",
    "tests/runs/engine/test_advance.py", "tests/runs/engine/test_claims.py", "tests/faults/test_table.py",
    "tests/races/test_races_over_http.py", "tests/runs/web/test_run_browser.py", "tests/web_common/test_browser.py",
    "tests/approvals/web/test_approvals_browser.py", "tests/runs/graphs/test_kinds.py", "tests/runs/graphs/test_manifests.py",
}  # fmt: skip
# A fixture asked for by name, in a test or in the conftest.py beside it.
ASKS_FOR_DESK = re.compile(r"def \w+\([^)]*\b(?:desk|fresh_desk|desk_processes)\b(?=[,:)])")


class SpreadByDesk(LoadFileScheduling):  # type: ignore[misc]  # xdist is not typed for subclasses
    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by number of tests: the longest files have few

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return DESK if uses_desk(file) else file


@cache
def uses_desk(file: str) -> bool:
    path = ROOT / file
    beside = path.with_name("conftest.py")
    sources = [path] if beside == ROOT / "tests" / "conftest.py" else [path, beside]
    return any(source.is_file() and ASKS_FOR_DESK.search(source.read_text()) for source in sources)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SpreadByDesk:
    return SpreadByDesk(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in an order of their own, the tests within as they were shuffled."""
    items.sort(key=lambda item: _rank(item.nodeid.split("::", 1)[0]))


def _rank(file: str) -> int:
    return 0 if uses_desk(file) else 1 if file in LONG else 2
