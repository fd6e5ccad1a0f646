"""People's answers: two at once, redelivered, at a breakpoint, and under the next release of the agent's code."""

import threading
import time
from collections import Counter
from functools import partial
from typing import Any

from tests.faults import checks
from tests.faults.client import Answer, Client
from tests.faults.crowd import ENDED, pending, statuses
from tests.faults.report import Row
from tests.faults.stage import RUNS, Stage

POINTS_AT_A_PAUSE = (
    "checkpoint.write.after", "resume.after", "pause.look.before", "approval.insert.before", "approval.insert.after",
    "pause.commit.after", "release.before", "release.after", "release.commit.after",
)  # fmt: skip


def all_wait(stage: Stage, runs: list[str]) -> bool:
    """Each waits, with one question."""
    return len(pending(stage, runs)) == len(runs) and set(statuses(stage, runs).values()) == {"waiting"}


def all_ended(stage: Stage, runs: list[str]) -> bool:
    return set(statuses(stage, runs).values()) <= set(ENDED)


def two_reviewers(stage: Stage, size: int, row: Row) -> None:
    """Two people, each at a web process of their own, post at the same moment: one approves, one rejects."""
    stage.start_desk(webs=2, workers=0, sweeps=0, beat=False)
    asker = Client(stage, "program")
    people = [Client(stage, "reviewer"), Client(stage, "second")]
    people[1].webs.reverse()
    start, end = threading.Barrier(3), threading.Barrier(3)
    race: dict[str, Any] = {}
    answers: list[Answer | None] = [None, None]

    def reviewer(n: int) -> None:
        while True:
            start.wait()
            if race.get("over"):
                return
            answers[n] = people[n].decide(race["approval"], ("approve", "reject")[n])
            end.wait()

    threads = [threading.Thread(target=reviewer, args=(n,), daemon=True) for n in (0, 1)]
    for thread in threads:
        thread.start()
    outcomes: Counter[tuple[int, ...]] = Counter()
    winners: Counter[int] = Counter()
    unclean = 0
    for n in range(size):
        asked = asker.post(
            "/api/v1/approvals", {"agent": "races", "action": "pay", "args": {"n": n}, "request_key": f"race-{n}"}
        )
        race["approval"] = asked.json["approval"]
        start.wait()
        end.wait()
        first, second = answers
        assert first is not None
        assert second is not None
        outcomes[tuple(sorted((first.status, second.status)))] += 1
        loser = second if first.status == 200 else first
        winners[0 if first.status == 200 else 1] += 1
        unclean += loser.json.get("error", {}).get("code") != "already_decided"
    race["over"] = True
    start.wait()
    for thread in threads:
        thread.join(10)
    row.size = f"{size} races"
    row.expect(
        outcomes == {(200, 409): size}, f"answers: {dict(outcomes)}; {winners[0]} won by the one, {winners[1]} by the other"
    )
    row.expect(unclean == 0, f"{size - unclean} losers were told who decided what")
    wrong = stage.sql(
        """SELECT a.id, count(d.id) FROM approvals_approval a LEFT JOIN approvals_decision d ON d.approval_id = a.id
           WHERE a.agent = 'races' GROUP BY a.id, a.status HAVING count(d.id) <> 1 OR a.status <> 'decided'"""
    )
    row.expect(not wrong, f"{len(wrong)} approvals without exactly one decision")


def redelivered(stage: Stage, size: int, row: Row) -> None:
    """A node asks twice. The first answer comes again, by post and by message, when the second question stands."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    names: dict[str, str] = {}
    first: dict[str, dict[str, Any]] = {}
    done: set[str] = set()
    again = 0
    while len(done) < size:
        while len(names) < size and len(names) - len(done) < 12:
            name = f"twice-{len(names):05}"
            names[operator.start("two-questions", {"name": name}, name)] = name
        for approval in pending(stage, [run for run in names if run not in done]):
            run, name = approval["source_ref"], names[approval["source_ref"]]
            if run not in first:
                first[run] = approval
                reviewer.decide(approval, "respond", answer=f"one {name}")
            elif approval["id"] != first[run]["id"]:
                for _ in range(2):
                    reviewer.decide(first[run], "respond", answer=f"one {name}")
                    stage.send(run, RUNS)
                    again += 1
                time.sleep(0.01)
                reviewer.decide(approval, "respond", answer=f"two {name}")
        ended = statuses(stage, [run for run in names if run not in done])
        done |= {run for run, status in ended.items() if status in ENDED}
        time.sleep(0.01)
    row.size = f"{size} runs, each first answer redelivered {again / size:.0f} times"
    crossed = 0
    for each in stage.sql("SELECT id::text, output FROM runs_run WHERE id = ANY(%(ids)s::uuid[])", ids=list(names)):
        name = names[each["id"]]
        crossed += (each["output"] or {}).get("answers") != [f"one {name}", f"two {name}"]
    row.expect(again >= 2 * size, f"{again} redeliveries while the next question stood")
    row.expect(crossed == 0, f"{crossed} crossed answers in {size} runs")
    row.check(stage, list(names), checks.STUCK, checks.TWICE_DECIDED)


def breakpoint_(stage: Stage, size: int, row: Row) -> None:
    """Killed around a static breakpoint, before anybody has decided. Every other run is then refused."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    fault, kills = stage.faults["runs"], Counter[str]()
    runs: dict[str, str] = {}
    early = 0
    for n in range(size):
        point = POINTS_AT_A_PAUSE[n % len(POINTS_AT_A_PAUSE)]
        name = f"held-{n:05}"
        fault.arm(point)
        run = operator.start("held", {"name": name}, name)
        runs[run] = name
        victim = stage.kill_at(point)
        kills[point] += 1
        stage.revive(victim)
        stage.until(partial(all_wait, stage, [run]), f"{name} to wait", 30)
        stage.send(run, RUNS)
        early += len(stage.payments.wires.get(name, []))
        (approval,) = pending(stage, [run])
        reviewer.decide(approval, "reject" if n % 2 else "approve")
    stage.until(lambda: all_ended(stage, list(runs)), "all to end")
    row.size = f"{size} runs, {sum(kills.values())} kills at {len(kills)} points"
    early += sum(len(stage.payments.wires.get(name, [])) for n, name in enumerate(runs.values()) if n % 2)
    row.expect(len(kills) == min(size, len(POINTS_AT_A_PAUSE)), "killed at " + ", ".join(kills))
    row.expect(early == 0, f"{early} breakpoints passed without an approval")
    missing = sum(len(stage.payments.wires.get(name, [])) != 1 for n, name in enumerate(runs.values()) if not n % 2)
    row.expect(missing == 0, f"{missing} approved runs that did not pay exactly once")
    row.check(stage, list(runs), checks.TWICE_DECIDED)


def next_release(stage: Stage, size: int, row: Row) -> None:
    """Runs wait for an answer while the agent's code is replaced: the node is gone, or asks something else first."""
    code = stage.agents / "released/graph.py"
    first = code.read_text()
    for release in ("unmoved", "gone", "moved"):
        code.write_text(first)
        stage.start_desk(webs=1, workers=1, sweeps=1)
        operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
        names = [f"{release}-{n:05}" for n in range(size // 3)]
        runs = {operator.start("released", {"name": name}, name): name for name in names}
        stage.until(partial(all_wait, stage, list(runs)), "all to wait")
        old = {approval["source_ref"]: approval for approval in pending(stage, list(runs))}
        stage.kill("runs-1")
        code.write_text(first.replace('RELEASE = "first"', f'RELEASE = "{release}"'))
        stage.start_worker("runs-1", "runs", RUNS, FRESH_AGENTS="1")
        stage.wait_ready("runs-1")
        said = {old[run]["id"]: f"yes to {name}" for run, name in runs.items()}
        for approval in old.values():
            reviewer.decide(approval, "respond", answer=said[approval["id"]])
        stage.until(partial(_answered_to_the_end, stage, reviewer, list(runs), said), f"all to end: {release}")
        _judge(stage, release, runs, row)
        stage.stop_all()
    code.write_text(first)
    third = size // 3
    row.size = f"{third} runs under new code that asks the same, {third} with the node gone, {third} with its questions moved"


def _answered_to_the_end(stage: Stage, reviewer: Client, runs: list[str], said: dict[str, str]) -> bool:
    """Answer what is asked anew, each question with words of its own. True when all runs have ended."""
    for approval in pending(stage, runs):
        if approval["id"] not in said:
            asked = stage.one("SELECT payload FROM approvals_approval WHERE id = %(id)s::uuid", id=approval["id"])
            said[approval["id"]] = f"to {asked}"
            reviewer.decide(approval, "respond", answer=said[approval["id"]])
    return all_ended(stage, runs)


def _judge(stage: Stage, release: str, runs: dict[str, str], row: Row) -> None:
    """Every run has finished with the answers to its own questions, or is parked with the reason."""
    rows = stage.sql(
        "SELECT id::text, status, stop_reason, error, output FROM runs_run WHERE id = ANY(%(ids)s::uuid[])", ids=list(runs)
    )
    right = 0
    for each in rows:
        name, answers = runs[each["id"]], (each["output"] or {}).get("answers")
        right += {
            "unmoved": (each["status"], answers) == ("succeeded", [f"yes to {name}"]),
            "gone": (each["status"], each["stop_reason"]) == ("stopped", "released") and bool((each["error"] or {})["message"]),
            "moved": (each["status"], answers) == ("succeeded", ["to Something else altogether?", f"to May {name} go on?"]),
        }[release]
    row.expect(right == len(rows) == len(runs), f"{right} of {len(runs)} {_CAME_OUT[release]}")
    if right < len(rows):
        row.misses += [f"{release}: {each}" for each in rows[:3]]


_CAME_OUT = {
    "unmoved": "whose code asks the same finished with the answer they had",
    "gone": "whose node is gone were parked as released, with the reason",
    "moved": "whose questions moved were asked anew and finished, each question with its own answer",
}
