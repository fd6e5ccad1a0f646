"""Runs under which workers die every time."""

import time
from functools import partial
from typing import Any

from tests.faults.client import Client
from tests.faults.crowd import pending, statuses
from tests.faults.report import Row
from tests.faults.stage import RUNS, Stage

DEATHS = 6  # in a row, after which nobody tries again
CALM = 6.0  # seconds, several sweeps long


def parked(stage: Stage, size: int, row: Row) -> None:
    """One run's workers are killed at the start of its tool, those of the others inside a node; each six times in a row."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    operator = Client(stage, "operator")
    dwell = stage.folder / "dwell"
    dwell.touch()
    call = [{"name": "charge", "args": {"to": "poison-tool", "amount": "1.00"}}]
    in_tool = operator.script("cashier", "poison-tool", call)
    _kill_in_the_tool(stage, in_tool)
    names = [f"poison-{n:05}" for n in range(size - 1)]
    runs = {operator.start("dwelling", {"name": name}, name): name for name in names}
    _kill_in_the_node(stage, list(runs))
    every = [in_tool, *runs]
    stage.until(lambda: set(statuses(stage, every).values()) == {"stopped"}, "all to be parked", 60)
    for run in every * 3:
        stage.send(run, RUNS)
    time.sleep(CALM)
    found = stage.sql(
        "SELECT id::text, status, stop_reason, attempt, error FROM runs_run WHERE id = ANY(%(ids)s::uuid[])", ids=every
    )
    row.size = f"{size} runs, {DEATHS} kills of a worker under each in a row"
    good = [each for each in found if _is_parked(each, "node dwell" if each["id"] in runs else "")]
    row.expect(len(good) == size, f"{len(good)} of {size} parked as poison, with the evidence of {DEATHS} attempts")
    row.misses += [f"{each}" for each in found if each not in good][:3]
    begun = [len(stage.payments.wires[name]) for name in names]
    row.expect(
        set(begun) <= {DEATHS}, f"each node began {DEATHS} times and, ordered again three times and {CALM:.0f} s later, no more"
    )
    dwell.unlink()
    for run in every:
        answer = operator.post(f"/api/v1/runs/{run}/continue", {})
        if answer.status != 200:
            raise AssertionError(f"an operator could not continue {run}: {answer}")
    stage.until(lambda: set(statuses(stage, every).values()) == {"succeeded"}, "all to end", 60)
    row.expect(
        stage.payments.charged["poison-tool"] == 1 and all(len(stage.payments.wires[name]) == DEATHS + 1 for name in names),
        f"all {size} ended when an operator had continued them; {stage.payments.charged['poison-tool']} charge",
    )


def _is_parked(run: dict[str, Any], at_work: str) -> bool:
    error = run["error"] or {}
    evidence = error.get("evidence", [])
    told = all(at_work in death["at_work"] for death in evidence) if at_work else "charge" in error.get("message", "")
    attempts = [death["attempt"] for death in evidence]  # the last one found the run dead
    in_a_row = attempts == list(range(run["attempt"] - DEATHS, run["attempt"]))
    return (run["status"], run["stop_reason"]) == ("stopped", "poison") and in_a_row and told


def _kill_in_the_tool(stage: Stage, run: str) -> None:
    reviewer = Client(stage, "reviewer")
    (approval,) = stage.until(lambda: pending(stage, [run]), "the question")
    for n in range(DEATHS):
        stage.faults["runs"].arm("tool.start")
        if n == 0:
            reviewer.decide(approval)
        stage.revive(stage.kill_at("tool.start"))
    stage.until(lambda: statuses(stage, [run])[run] == "stopped", "the run to be parked", 60)


def _kill_in_the_node(stage: Stage, runs: list[str]) -> None:
    """The node tells the payment server in which process it is. All of them are killed when all runs are at work and on
    record."""
    for attempt in range(1, DEATHS + 1):
        stage.until(partial(_all_dwell, stage, runs, attempt), "all to dwell", 60)
        at_work = {int(wires[-1]["key"]) for name, wires in stage.payments.wires.items() if name.startswith("poison-")}
        for name, child in list(stage.children.items()):
            if child.pid in at_work:
                stage.kill(name)
                stage.revive(name)


def _all_dwell(stage: Stage, runs: list[str], attempt: int) -> bool:
    """Whether that attempt of each run is in the node, and on record there."""
    open_ = """SELECT count(*) FROM runs_step s JOIN runs_run r ON r.id = s.run_id AND r.attempt = s.attempt
               WHERE r.id = ANY(%(ids)s::uuid[]) AND s.name = 'dwell' AND s.status = 'open' AND r.attempt = %(attempt)s"""
    return bool(stage.one(open_, ids=runs, attempt=attempt) == len(runs))
