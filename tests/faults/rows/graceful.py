"""SIGTERM under load, as at a deploy: to the workers while nobody sweeps, then to all others."""

import os
import signal
import time

from tests.faults.client import Client
from tests.faults.crowd import Crowd, statuses
from tests.faults.report import Row
from tests.faults.rows.kills import zeros
from tests.faults.stage import Stage

WALKERS = 3
OTHERS = ("web-1", "beat", "desk-1", "web-2")
PROMPT = 10.0  # seconds for a process to end, and for a decision to be taken up; the machine is busy meanwhile

TAKEN = """SELECT coalesce(max(extract(epoch FROM d.consumed_at - d.decided_at)), 0)::float FROM approvals_decision d
    JOIN approvals_approval a ON a.id = d.approval_id WHERE a.source = 'runs' AND a.source_ref = ANY(%(runs)s)"""
STOOD_STILL = """WITH attempts AS (
        SELECT run_id, attempt, min(started_at) AS began, max(coalesce(ended_at, started_at)) AS ended
        FROM runs_step WHERE run_id = ANY(%(ids)s::uuid[]) GROUP BY 1, 2)
    SELECT coalesce(max(extract(epoch FROM n.began - a.ended)), 0)::float FROM attempts a
    JOIN attempts n ON n.run_id = a.run_id AND n.attempt = a.attempt + 1"""


class Terminator:
    """SIGTERM to processes in turn, evenly spread over a crowd. Each is started again when it has ended."""

    def __init__(self, stage: Stage, crowd: Crowd, names: tuple[str, ...], rounds: int) -> None:
        self.stage, self.crowd, self.names, self.rounds = stage, crowd, names, rounds
        self.seconds: list[float] = []

    def tick(self) -> None:
        done = len(self.seconds)
        if done >= self.rounds or len(self.crowd.ended) < (done + 1) * self.crowd.total // (self.rounds + 2):
            return
        name = self.names[done % len(self.names)]
        began = time.monotonic()
        os.kill(self.stage.children[name].pid, signal.SIGTERM)
        while self.stage.is_alive(name):
            self.crowd.tick()
            time.sleep(0.01)
            if time.monotonic() - began > 60:
                raise AssertionError(f"{name} does not end after SIGTERM")
        self.seconds.append(time.monotonic() - began)
        self.stage.revive(name)
        self.stage.wait_ready(name)

    def judge(self, row: Row, what: str) -> None:
        slowest = max(self.seconds, default=0.0)
        row.expect(
            len(self.seconds) >= self.rounds and slowest <= PROMPT,
            f"{len(self.seconds)} times SIGTERM to {what}: each ended by itself, the slowest {slowest:.1f} s after the signal",
        )


def graceful_stop(stage: Stage, size: int, row: Row) -> None:
    """Many short runs and some long ones are under way. While the workers are stopped there is no beat, so nobody sweeps: a run
    that had to wait for a timeout would never go on."""
    stage.start_desk(webs=2, workers=2, sweeps=1, beat=False)
    operator = Client(stage, "operator")
    walkers = [operator.start("walking", {"name": f"walk-{n}"}, f"walk-{n}") for n in range(WALKERS)]
    crowd = Crowd(stage, "stop", size - size // 3, at_once=8)
    workers = Terminator(stage, crowd, ("runs-1", "runs-2"), max(2, size // 20))
    crowd.finish(beside=workers.tick)
    stage.until(lambda: set(statuses(stage, walkers).values()) == {"succeeded"}, "the long runs to end", 120)
    stage.start_beat()
    stage.wait_ready("beat")
    more = Crowd(stage, "stop-others", size // 3, at_once=4)
    others = Terminator(stage, more, OTHERS, max(len(OTHERS), size // 20))
    more.finish(beside=others.tick)
    row.size = f"{size} short runs, {WALKERS} of 60 steps and 15 s each"
    workers.judge(row, "workers")
    others.judge(row, "web, beat and the desk's worker")
    _nobody_waited(stage, crowd, walkers, row)
    zeros(stage, crowd, row)
    zeros(stage, more, row)


def _nobody_waited(stage: Stage, crowd: Crowd, walkers: list[str], row: Row) -> None:
    died = stage.sql(
        "SELECT id, counters FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND coalesce((counters->>'deaths')::int, 0) > 0",
        ids=[*crowd.runs, *walkers],
    )  # fmt: skip
    row.expect(not died, f"{len(died)} runs were left behind by a stopped worker")
    moved = stage.one("SELECT count(*) FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND attempt > 1", ids=walkers)
    still = stage.one(STOOD_STILL, ids=walkers)
    row.expect(
        moved >= 1 and still <= PROMPT,
        f"{moved} of the long runs changed workers between two steps; the longest stood still for {still:.1f} s",
    )
    steps = [len(stage.payments.wires.get(f"walk-{n}-{step}", [])) for n in range(WALKERS) for step in range(60)]
    row.expect(set(steps) == {1}, f"each of their {len(steps)} steps was done once")
    taken = stage.one(TAKEN, runs=list(crowd.runs))
    row.expect(taken <= PROMPT, f"with nobody who sweeps, the longest from a decision to its being taken was {taken:.1f} s")
