"""`python -m benchmarks [NAME …] [--full]`: measure the desk against its budgets (docs/architecture.md) and print a table.

Names: decision, throughput, screens, inbox; without one, all. Writes nothing but a temporary folder and the environment of
the comparison, which is kept beside the desk's own state. Exits with 1 when a budget is missed, with 2 when it could not be
measured.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import django

from benchmarks.figures import Figure, machine, table
from benchmarks.stage import Stage

NAMES = ("decision", "throughput", "screens", "inbox")
SMALL, FULL = (100_000, 1_000_000), (1_000_000, 10_000_000)  # approvals, entries of the record
SHELF = Path(__file__).resolve().parent.parent / ".agentdesk/benchmarks"


def main() -> int:
    options = _options()
    names = options.names or list(NAMES)
    print(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {machine()}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that what was started is ended
    stage = Stage()
    try:
        stage.raise_()
        django.setup()
        figures = _measure(stage, names, full=options.full)
    except Exception:  # whatever broke: a benchmark that could not be taken is no benchmark that was met
        traceback.print_exc()
        return 2
    finally:
        stage.strike()
    print(table(figures))
    missed = sum(figure.met is False for figure in figures)
    print(f"{missed} missed" if missed else "all budgets met")
    return 1 if missed else 0


def _measure(stage: Stage, names: list[str], *, full: bool) -> list[Figure]:
    from benchmarks import company, cycles, decision, inbox, screens, throughput

    people = company.found()
    stage.start_desk()
    watcher = cycles.Watcher(os.environ["DATABASE_URL"])
    SHELF.mkdir(parents=True, exist_ok=True)
    approvals, entries = FULL if full else SMALL
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "decision": lambda: decision.measure(stage, people, watcher),
        "throughput": lambda: throughput.measure(stage, people, watcher, SHELF),
        "screens": lambda: screens.measure(stage, people),
        "inbox": lambda: inbox.measure(stage, people, approvals=approvals, entries=entries),
    }
    try:
        cycles.drive(lambda: cycles.Client(stage.desk.url, people), watcher, clients=4, seconds=3)
        stage.analyze()
        return [figure for name in names for figure in _part(name, parts[name], full=full)]
    finally:
        watcher.close()


def _part(name: str, measure: Callable[[], Iterator[Figure]], *, full: bool) -> Iterator[Figure]:
    command = f"python -m benchmarks {name}{' --full' if full and name == 'inbox' else ''}"
    began = time.monotonic()
    for figure in measure():
        yield replace(figure, command=command)
    print(f"{name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the desk against its budgets.")
    parser.add_argument(
        "names", nargs="*", choices=NAMES, metavar="NAME", help=f"What to measure: {', '.join(NAMES)}. All by default."
    )
    parser.add_argument(
        "--full", action="store_true", help="The inbox with 1,000,000 approvals and 10,000,000 entries: minutes."
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
