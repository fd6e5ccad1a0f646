"""Many runs at once, from start to end: each charges once and wires once, and people decide about both."""

import time
from collections.abc import Callable
from typing import Any

from tests.faults.client import Client
from tests.faults.stage import Stage

PENDING = """SELECT id::text, digest, version, kind, action, args, source_ref FROM approvals_approval
             WHERE status = 'pending' AND source = 'runs' AND source_ref = ANY(%(runs)s)"""
ENDED = ("succeeded", "failed", "cancelled", "stopped")
STUCK_AFTER = 60.0  # seconds in which no run of a crowd moved


def pending(stage: Stage, runs: list[str]) -> list[dict[str, Any]]:
    return stage.sql(PENDING, runs=runs)


def statuses(stage: Stage, runs: list[str]) -> dict[str, str]:
    rows = stage.sql("SELECT id::text, status FROM runs_run WHERE id = ANY(%(ids)s::uuid[])", ids=runs)
    return {row["id"]: row["status"] for row in rows}


class Crowd:
    """``total`` runs of the cashier, ``at_once`` of them in flight. Call :meth:`tick` until it says that all have ended."""

    def __init__(self, stage: Stage, name: str, total: int, at_once: int) -> None:
        self.stage, self.name, self.total, self.at_once = stage, name, total, at_once
        self.operator, self.reviewer = Client(stage, "operator"), Client(stage, "reviewer")
        self.runs: dict[str, str] = {}  # id -> name
        self.ended: dict[str, str] = {}  # id -> status
        self.decided: set[tuple[str, int]] = set()
        self.doubts: list[str] = []  # what was answered
        self._moved = time.monotonic()
        self.holds_back: Callable[[], bool] = lambda: False

    @property
    def in_flight(self) -> list[str]:
        return [run for run in self.runs if run not in self.ended]

    def tick(self) -> bool:
        """Start, decide, look who has ended. True when all have. Raises AssertionError when nothing moves any more."""
        while len(self.runs) < self.total and len(self.in_flight) < self.at_once and not self.holds_back():
            self.start()
        self.decide()
        self.look()
        if time.monotonic() - self._moved > STUCK_AFTER:
            rows = self.stage.sql(
                "SELECT id, status, attempt, wanted, dispatched_at, now() FROM runs_run WHERE id = ANY(%(ids)s::uuid[])",
                ids=self.in_flight,
            )
            raise AssertionError(f"nothing moved for {STUCK_AFTER} s: {rows}")
        return len(self.ended) >= self.total

    def start(self) -> None:
        name = f"{self.name}-{len(self.runs):05}"
        turns = [
            [{"name": "charge", "args": {"to": name, "amount": "1.00"}}],
            [{"name": "wire", "args": {"to": name, "amount": "2.00"}}],
        ]
        self.runs[self.operator.script("cashier", name, *turns)] = name
        self._moved = time.monotonic()

    def decide(self) -> None:
        for approval in self.pending():
            answer = self._decide(approval)
            if answer.status == 200:
                self.decided.add((approval["id"], approval["version"]))
                self._moved = time.monotonic()
            elif answer.status != 409:  # closed meanwhile: the next look tells
                raise AssertionError(f"{approval}: {answer}")

    def pending(self) -> list[dict[str, Any]]:
        return self.stage.sql(PENDING, runs=self.in_flight)

    def _decide(self, approval: dict[str, Any]) -> Any:
        if approval["kind"] != "in_doubt":
            return self.reviewer.decide(approval)
        # The person looks at the bank's statement.
        answer = "happened" if self.stage.payments.wires.get(self.runs[approval["source_ref"]]) else "retry"
        self.doubts.append(answer)
        return self.reviewer.decide(approval, "respond", answer=answer)

    def look(self) -> None:
        rows = self.stage.sql(
            "SELECT id::text, status FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND status = ANY(%(ended)s)",
            ids=self.in_flight, ended=list(ENDED),
        )  # fmt: skip
        for row in rows:
            self.ended[row["id"]] = row["status"]
            self._moved = time.monotonic()

    def finish(self, *, seconds: float = 3600.0, beside: Callable[[], None] = lambda: None) -> None:
        """Tick to the end; ``beside`` is called at each tick."""
        deadline = time.monotonic() + seconds
        while not self.tick():
            beside()
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.ended)} of {self.total} runs ended within {seconds} s")
            time.sleep(0.02)
