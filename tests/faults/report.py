"""A row of the table: what was done, what came of it, and the listings that show it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.checks import Check, broken
from tests.faults.stage import Stage


@dataclass
class Row:
    """``figure`` is the line of the issue; ``size`` what it was done with; ``reached`` what came of it; ``misses`` say what
    does not hold. ``listings``: the SQL checks with the rows they brought, none where the promise holds."""

    figure: str
    size: str = ""
    reached: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    listings: list[tuple[Check, list[dict[str, Any]]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.misses

    def expect(self, holds: bool, what: str) -> None:
        """``what`` is the figure in words, reached or missed."""
        (self.reached if holds else self.misses).append(what)

    def check(self, stage: Stage, runs: Sequence[str], *checks: Check) -> None:
        for check in checks:
            rows = broken(stage, check, list(runs))
            self.listings.append((check, rows))
            if rows:
                self.misses.append(f"{len(rows)} × not: {check.promise}")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Trial:
    """A line of the table: its full size, and how it is done at a size."""

    name: str
    figure: str
    full: int
    least: int
    run: Callable[[Stage, int, Row], None]

    def size(self, scale: float) -> int:
        return max(self.least, round(self.full * scale))
