"""``python -m tests.faults [NAME …]``: do what may go wrong, and print what came of it, with the listings that show it.

``FAULTS_SCALE`` is the share of the full sizes: 1 by default. The status is 1 when a promise does not hold.
"""

import os
import sys
import time
import traceback
from datetime import UTC, datetime

from tests.faults.report import Row, Trial
from tests.faults.stage import Stage
from tests.faults.table import TRIALS


def attempt(stage: Stage, trial: Trial, scale: float) -> Row:
    """One line of the table."""
    row, began = Row(trial.figure), time.monotonic()
    try:
        trial.run(stage, trial.size(scale), row)
    except AssertionError as error:
        row.misses.append(f"{error}"[:6000])
    except Exception:
        row.misses.append(traceback.format_exc())
    finally:
        stage.clear()
    row.seconds = time.monotonic() - began
    return row


def show(row: Row) -> str:
    lines = [f"{'holds ' if row.holds else 'MISSED'} | {row.figure} | {row.size} | {row.seconds:.0f} s"]
    lines += [f"    {text}" for text in row.reached]
    lines += [f"    MISSED: {text}" for text in row.misses]
    for check, rows in row.listings:
        lines.append(f"    {len(rows)} rows: {check.promise}")
        lines.append("        " + " ".join(check.query.split()))
        lines += [f"        {each}" for each in rows[:20]]
    return "\n".join(lines)


def table(rows: list[Row]) -> str:
    """The table of docs/reliability.md."""
    lines = ["| what was done | with | holds | figures |", "|---|---|---|---|"]
    for row in rows:
        figures = "; ".join([*row.reached, *(f"MISSED: {text.splitlines()[0]}" for text in row.misses)])
        listed = (
            f"; {sum(not found for _, found in row.listings)} of {len(row.listings)} listings empty" if row.listings else ""
        )
        lines.append(f"| {row.figure} | {row.size} | {'yes' if row.holds else 'NO'} | {figures}{listed} |")
    return "\n".join(lines)


def say(text: str) -> None:
    """To the output at once: a line of the table may take minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    scale = float(os.environ.get("FAULTS_SCALE") or 1)
    chosen = [trial for trial in TRIALS if not names or trial.name in names]
    if len(chosen) < len(set(names)):
        raise SystemExit(f"no such trial; there are {', '.join(trial.name for trial in TRIALS)}")
    say(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, FAULTS_SCALE={scale:g}")
    rows = []
    with Stage() as stage:
        for trial in chosen:
            rows.append(attempt(stage, trial, scale))
            say(show(rows[-1]))
    say(f"\n{table(rows)}\n")
    held = sum(row.holds for row in rows)
    say(f"{held} of {len(rows)} lines hold, {sum(row.seconds for row in rows):.0f} s")
    return 0 if held == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
