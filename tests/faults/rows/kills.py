"""kill -9 at every point; PostgreSQL restarted; messages three times; two workers on one run; a graceful stop."""

import os
import signal
import time

from tests.faults import checks
from tests.faults.client import Client
from tests.faults.crowd import Crowd, statuses
from tests.faults.messages import Mixer
from tests.faults.reaper import Reaper
from tests.faults.report import Row, percentile
from tests.faults.stage import DESK, RUNS, Stage


def at_every_point(stage: Stage, size: int, row: Row) -> None:
    """As many kills of workers as runs, and a twentieth as many of web processes and beat together."""
    stage.start_desk(webs=2, workers=3, sweeps=1)
    others = max(1, size // 40)
    reaper = Reaper(stage, {"runs": size - size // 20, "desk": max(1, size // 20), "web": others, "beat": others})
    crowd = Crowd(stage, "kill", size, at_once=8)
    # New runs come no faster than the kills, so that all kills meet work in flight.
    crowd.holds_back = lambda: not reaper.done and len(crowd.runs) > 8 + sum(reaper.kills.values()) * 1.05
    crowd.operator.meanwhile = crowd.reviewer.meanwhile = reaper.tick
    crowd.finish(beside=reaper.tick)
    reaper.end()
    workers = reaper.of_group["runs"] + reaper.of_group["desk"]
    row.size = (
        f"{size} runs with 2 approvals each, {workers} kills of workers, {others} of web, {reaper.of_group['beat']} of beat"
    )
    row.reached.append(f"{len(reaper.kills)} named points: " + ", ".join(f"{p} {n}" for p, n in sorted(reaper.kills.items())))
    row.expect(workers >= size * 0.9, f"{workers} kills of workers for {size} runs")
    _speak_of_recoveries(reaper, row)
    zeros(stage, crowd, row)
    row.reached.append(f"{len(crowd.doubts)} calls in doubt answered by a person: {crowd.doubts.count('happened')} happened, "
                       f"{crowd.doubts.count('retry')} retry")  # fmt: skip


def _speak_of_recoveries(reaper: Reaper, row: Row) -> None:
    """How long runs stood still. Killing goes faster than the sweeps: most victims are hit again while they wait, so the figure
    is taken where one death was all, and the others are told beside it."""
    alone = [each.seconds for each in reaper.recoveries if not each.further_deaths]
    every = [each.seconds for each in reaper.recoveries]
    p95 = percentile(alone, 0.95)
    row.expect(
        bool(alone) and p95 <= 10,
        f"from a death to going on: p50 {percentile(alone, 0.5):.1f} s, p95 {p95:.1f} s, longest {max(alone, default=0):.1f} s "
        f"({len(alone)} that met no further death)",
    )
    row.reached.append(
        f"with those that met more workers' deaths while they waited: p50 {percentile(every, 0.5):.1f} s, "
        f"p95 {percentile(every, 0.95):.1f} s, longest {max(every, default=0):.1f} s ({len(every)})"
    )


def zeros(stage: Stage, crowd: Crowd, row: Row) -> None:
    """What holds whatever was done to the processes."""
    row.check(stage, list(crowd.runs), *checks.ZEROS)
    names = set(crowd.runs.values())
    charged = sum(stage.payments.charged[name] for name in names)
    wired = sum(len(stage.payments.wires[name]) for name in names)
    missing = [name for name in names if stage.payments.charged[name] != 1 or len(stage.payments.wires[name]) != 1]
    row.expect(
        not missing, f"{charged} charges and {wired} wires for {len(names)} runs, {len(missing)} runs with more or fewer"
    )
    row.misses += [_story(stage, run, name) for run, name in crowd.runs.items() if name in missing[:3]]
    row.expect(stage.payments.duplicates() == 0, f"{stage.payments.duplicates()} duplicate effects at the payment server")


def _story(stage: Stage, run: str, name: str) -> str:
    """All that is known of a run whose effects are not what they must be."""
    queries = (
        "SELECT id, status, attempt, wanted, counters, error, traceback FROM runs_run WHERE id = %(run)s::uuid",
        "SELECT tool, call_id, status, tries, attempt, result, error FROM runs_toolcall WHERE run_id = %(run)s::uuid",
        "SELECT kind, name, status, attempt, started_at::time, data FROM runs_step WHERE run_id = %(run)s::uuid",
        "SELECT checkpoint_id, parent_checkpoint_id, metadata FROM checkpoints WHERE thread_id = %(run)s ORDER BY 1",
    )
    rows = [row for query in queries for row in stage.sql(query, run=run)]
    paid = {"charged": stage.payments.charged[name], "wires": stage.payments.wires[name]}
    return "\n        ".join(map(str, [name, paid, *rows]))


def postgresql_restarted(stage: Stage, size: int, row: Row) -> None:
    """Twenty restarts while the runs are under way, whatever their number is."""
    stage.start_desk(webs=2, workers=2, sweeps=1)
    pids = {name: child.pid for name, child in stage.children.items()}
    crowd = Crowd(stage, "restart", size, at_once=12)
    restarts = max(2, size // 25)
    every = max(1, size // (restarts + 1))
    done = 0
    slowest = 0.0

    def restart() -> None:
        nonlocal done, slowest
        if done < restarts and len(crowd.ended) >= (done + 1) * every:
            began = time.monotonic()
            stage.services.postgresql.stop()
            stage.services.postgresql.restart()
            slowest = max(slowest, time.monotonic() - began)
            done += 1

    crowd.finish(beside=restart)
    row.size = f"{size} runs, {done} restarts of PostgreSQL"
    row.expect(done >= restarts, f"{done} restarts, the longest took {slowest:.1f} s")
    same = all(stage.children[name].pid == pid and stage.is_alive(name) for name, pid in pids.items())
    row.expect(same, f"all {len(pids)} processes still there, none restarted")
    zeros(stage, crowd, row)


def three_times(stage: Stage, size: int, row: Row) -> None:
    """The hints at runs, and the orders to sweep."""
    stage.start_desk(webs=1, workers=0, sweeps=0)
    mixer = Mixer(stage.environment["REDIS_URL"], RUNS, DESK)
    try:
        for n in (1, 2):
            stage.start_worker(f"runs-{n}", "runs", mixer.behind(RUNS))
        stage.start_worker("desk-1", "desk", mixer.behind(DESK), threads=4)
        stage.wait_ready()
        crowd = Crowd(stage, "mixed", size, at_once=16)
        crowd.finish()
        stage.until(lambda: mixer.given[DESK] >= 3, "the sweeps to be ordered three times")
        stage.until(lambda: mixer.given.total() == 3 * mixer.taken.total(), "all that was sent to come out")
        taken, given = dict(mixer.taken), dict(mixer.given)
    finally:
        mixer.close()
    row.size = f"{size} runs, {sum(taken.values())} messages delivered {sum(given.values())} times"
    row.expect(
        given[RUNS] == 3 * taken[RUNS] and taken[RUNS] >= 3 * size,
        f"{given[RUNS]} deliveries of {taken[RUNS]} hints at runs, {given[DESK]} of {taken[DESK]} orders to sweep",
    )
    zeros(stage, crowd, row)
    row.check(stage, list(crowd.runs), checks.CONTINUED_TWICE)


def two_workers(stage: Stage, size: int, row: Row) -> None:
    """Each run is ordered from two workers at the same moment, at its start and after each decision; nobody else is."""
    queues = [f"{RUNS}.{n}" for n in (1, 2)]
    stage.start_desk(webs=1, workers=0, sweeps=0, beat=False)
    for n, queue in enumerate(queues, 1):
        stage.start_worker(f"runs-{n}", "runs", queue)
    stage.wait_ready()
    crowd = Crowd(stage, "both", size, at_once=8)
    orders = 0
    ordered: set[tuple[str, str]] = set()

    def order() -> None:
        nonlocal orders
        due = stage.sql(
            """SELECT r.id::text, r.status, coalesce((SELECT max(d.id::text) FROM approvals_decision d JOIN approvals_approval a
                   ON a.id = d.approval_id WHERE a.source_ref = r.id::text AND d.delivered_at IS NULL), '') AS decision
               FROM runs_run r WHERE r.id = ANY(%(ids)s::uuid[]) AND r.status IN ('queued', 'waiting')""",
            ids=crowd.in_flight,
        )  # fmt: skip
        for each in due:
            if (each["status"] == "queued" or each["decision"]) and (each["id"], each["decision"]) not in ordered:
                ordered.add((each["id"], each["decision"]))
                for queue in queues:
                    stage.send(each["id"], queue)
                orders += 1

    crowd.finish(beside=order)
    row.size = f"{orders} orders to both workers at once, {size} runs"
    row.expect(orders >= size, f"{orders} double orders")
    zeros(stage, crowd, row)
    row.check(stage, list(crowd.runs), checks.CONTINUED_TWICE)


def graceful_stop(stage: Stage, size: int, row: Row) -> None:
    """Workers get SIGTERM in turn, as at a deploy, while many short runs and some long ones are under way."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    rounds = max(2, size // 20)
    operator = Client(stage, "operator")
    walkers = [operator.start("walking", {"name": f"walk-{n}"}, f"walk-{n}") for n in range(WALKERS)]
    crowd = Crowd(stage, "stop", size, at_once=8)
    drained: list[float] = []

    def stop() -> None:
        if len(drained) >= rounds or len(crowd.ended) < (len(drained) + 1) * size // (rounds + 2):
            return
        name = f"runs-{len(drained) % 2 + 1}"
        began = time.monotonic()
        os.kill(stage.children[name].pid, signal.SIGTERM)
        while stage.is_alive(name):
            crowd.tick()
            time.sleep(0.01)
            if time.monotonic() - began > 60:
                raise AssertionError(f"{name} does not end after SIGTERM")
        drained.append(time.monotonic() - began)
        stage.revive(name)
        stage.wait_ready(name)

    crowd.finish(beside=stop)
    stage.until(lambda: set(statuses(stage, walkers).values()) == {"succeeded"}, "the long runs to end", 120)
    row.size = f"{size} short runs, {WALKERS} of 60 steps and 15 s each, {len(drained)} workers stopped by SIGTERM"
    slowest = max(drained, default=0)
    row.expect(len(drained) >= rounds and slowest <= 10, f"each ended by itself, the slowest {slowest:.1f} s after the signal")
    died = stage.sql(
        "SELECT id, counters FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND coalesce((counters->>'deaths')::int, 0) > 0",
        ids=[*crowd.runs, *walkers],
    )  # fmt: skip
    row.expect(not died, f"{len(died)} runs were left behind by a stopped worker")
    moved = stage.one("SELECT count(*) FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND attempt > 1", ids=walkers)
    row.expect(moved >= 1, f"{moved} of the long runs changed workers between two steps; each step was done once")
    waits = stage.one(
        """SELECT coalesce(max(extract(epoch FROM finished_at - created_at)), 0)::float FROM runs_run
           WHERE id = ANY(%(ids)s::uuid[])""",
        ids=list(crowd.runs),
    )
    row.reached.append(f"the longest of the short runs took {waits:.1f} s, with both its decisions")
    zeros(stage, crowd, row)


WALKERS = 3
