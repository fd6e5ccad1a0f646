"""What is measured, how it is compared with its budget, and how it is told."""

import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. ``met`` is None where there is no budget: such a figure is there to compare with."""

    what: str
    figure: str
    budget: str = ""
    met: bool | None = None
    command: str = ""


def at_most(what: str, value: float, limit: float, unit: str) -> Figure:
    return Figure(what, _with(value, unit), f"≤ {_with(limit, unit)}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str) -> Figure:
    return Figure(what, _with(value, unit), f"≥ {_with(limit, unit)}", value >= limit)


def exactly(what: str, count: int, wanted: int) -> Figure:
    return Figure(what, str(count), f"= {wanted}", count == wanted)


def beside(what: str, value: float, unit: str) -> Figure:
    return Figure(what, _with(value, unit))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` per cent of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    system = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return f"{system}; load before: {load}"


def table(figures: Sequence[Figure]) -> str:
    """The report as a Markdown table."""
    rows = [("what", "figure", "budget", "", "command")]
    rows += [(f.what, f.figure, f.budget, {True: "met", False: "MISSED", None: ""}[f.met], f"`{f.command}`") for f in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _with(value: float, unit: str) -> str:
    digits = 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}".strip()
