"""`python -m benchmarks [NAME …] [--full]`: measure the desk against its budgets (docs/architecture.md) and print a table.

Names: rules, decision, throughput, screens, tau2, inbox, keys; without one, all. Writes nothing but a temporary folder
and the environment of the comparison, which is kept beside the desk's own state. Exits with 1 when a
budget is missed, with 2 when it could not be measured.
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

from benchmarks.agents.shop import NotInstalled
from benchmarks.figures import Figure, machine, table
from benchmarks.stage import Stage

NAMES = ("rules", "decision", "throughput", "screens", "tau2", "inbox", "keys")
SMALL, FULL = (100_000, 1_000_000), (1_000_000, 10_000_000)  # approvals, entries of the record
SHELF = Path(__file__).resolve().parent.parent / ".agentdesk/benchmarks"


def main() -> int:
    options = _options()
    print(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {machine()}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that what was started is ended
    figures: list[Figure] = []
    broken: list[str] = []
    stage = Stage()
    try:
        stage.raise_()
        django.setup()
        for name, measure in _parts(stage, full=options.full).items():
            if name in (options.names or NAMES) and not _take(name, measure, figures, full=options.full):
                broken.append(name)
    finally:
        stage.strike()
    print(table(figures))
    missed = sum(figure.met is False for figure in figures)
    print(f"{missed or 'none'} of {sum(figure.met is not None for figure in figures)} budgets missed")
    if broken:
        print(f"could not be measured: {', '.join(broken)}")
    return 2 if broken else 1 if missed else 0


def _parts(stage: Stage, *, full: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Start the desk. Returns what can be measured of it, by name, in the order that disturbs least."""
    from benchmarks import company, cycles, decision, inbox, keys, retail, rules, screens, throughput

    people = company.found()
    stage.start_desk()
    watcher = cycles.Watcher(os.environ["DATABASE_URL"])
    stage.spectator = watcher.backend
    cycles.drive(lambda: cycles.Client(stage.desk.url, people), watcher, clients=4, seconds=3)
    stage.analyze()
    SHELF.mkdir(parents=True, exist_ok=True)
    approvals, entries = FULL if full else SMALL
    return {
        "rules": rules.measure,
        "decision": lambda: decision.measure(stage, people, watcher),
        "throughput": lambda: throughput.measure(stage, people, watcher, SHELF),
        "screens": lambda: screens.measure(stage, people),
        "tau2": lambda: retail.measure(stage, people, watcher),
        "inbox": lambda: inbox.measure(stage, people, approvals=approvals, entries=entries),
        "keys": lambda: keys.measure(stage),
    }


def _take(name: str, measure: Callable[[], Iterator[Figure]], figures: list[Figure], *, full: bool) -> bool:
    """Add the figures of one part; False when it could not be measured, and the traceback says why."""
    command = f"python -m benchmarks {name}{' --full' if full and name == 'inbox' else ''}"
    began = time.monotonic()
    try:
        for figure in measure():
            figures.append(replace(figure, command=command))
            print(f"{figure.what}: {figure.figure}", file=sys.stderr, flush=True)
    except NotInstalled as missing:
        print(f"{name}: {missing}", flush=True)
        return False
    except Exception:  # whatever broke it: the other parts can be measured all the same
        traceback.print_exc()
        return False
    print(f"{name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return True


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
