"""kill -9 at every point; PostgreSQL restarted; messages three times; two workers on one run."""

import time

from tests.faults import checks
from tests.faults.crowd import Crowd
from tests.faults.messages import Mixer
from tests.faults.reaper import Reaper
from tests.faults.report import Row, percentile
from tests.faults.stage import DESK, RUNS, Stage


def at_every_point(stage: Stage, size: int, row: Row) -> None:
    """As many kills of workers as runs, and a twentieth as many of web processes and beat together. Should there be too few
    kills when all runs have been started, there are more runs."""
    stage.start_desk(webs=2, workers=5, sweeps=1)
    others = max(1, size // 40)
    reaper = Reaper(stage, {"runs": size - size // 20, "desk": max(1, size // 20), "web": others, "beat": others})
    crowd = Crowd(stage, "kill", size, at_once=16)
    # New runs come no faster than the kills, so that all kills meet work in flight.
    crowd.holds_back = lambda: not reaper.done and len(crowd.runs) > 16 + sum(reaper.kills.values())
    crowd.operator.meanwhile = crowd.reviewer.meanwhile = reaper.tick

    def beside() -> None:
        reaper.tick()
        if not reaper.done and len(crowd.runs) == crowd.total < 2 * size + 50 and len(crowd.in_flight) < crowd.at_once:
            crowd.total += 1

    crowd.finish(beside=beside)
    reaper.end()
    killed = reaper.of_group
    workers = killed["runs"] + killed["desk"]
    row.size = f"{len(crowd.runs)} runs with 2 approvals each; killed: " + ", ".join(
        f"{count} of {group}" for group, count in {"workers": workers, "web": killed["web"], "beat": killed["beat"]}.items()
    )
    points = ", ".join(f"{point} {count}" for point, count in sorted(reaper.kills.items()))
    row.expect(len(reaper.kills) >= min(20, workers // 2), f"{len(reaper.kills)} named points: {points}")
    row.expect(workers >= size, f"{workers} kills of workers for {len(crowd.runs)} runs")
    row.expect(
        killed["web"] >= others and killed["beat"] >= others,
        f"{killed['web'] + killed['beat']} kills of web processes and beat",
    )
    _speak_of_recoveries(reaper, size, row)
    zeros(stage, crowd, row)
    row.reached.append(f"{len(crowd.doubts)} calls in doubt answered by a person: {crowd.doubts.count('happened')} happened, "
                       f"{crowd.doubts.count('retry')} retry")  # fmt: skip


def _speak_of_recoveries(reaper: Reaper, size: int, row: Row) -> None:
    """How long runs stood still: all that did."""
    every = [each.seconds for each in reaper.recoveries]
    further = sum(each.further_deaths > 0 for each in reaper.recoveries)
    p95 = percentile(every, 0.95)
    figures = f"p50 {percentile(every, 0.5):.1f} s, p95 {p95:.1f} s, longest {max(every, default=0):.1f} s"
    row.expect(
        len(every) >= size // 2 and p95 <= 10,
        f"from a death to going on: {figures}, of {len(every)} times that a run stood still, all of them; in {further} of "
        "them other workers died meanwhile",
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
