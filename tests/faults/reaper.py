"""Kills processes with SIGKILL, from outside, while they wait at a point, and measures how long their runs stood still."""

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass

from tests.faults.stage import Stage, Stopped

WORKER_POINTS = (
    "advance.begin", "claim.before", "claim.after", "claim.commit.after", "checkpoint.read.before", "checkpoint.read.after",
    "resume.before", "resume.after", "checkpoint.write.before", "checkpoint.write.after", "gate.enter.before",
    "gate.evaluated", "gate.proposed", "gate.decision.taken", "gate.executing", "gate.enter.after", "tool.start", "tool.end",
    "ledger.finish.before", "ledger.finish.after", "ledger.commit.after", "pause.look.before", "approval.insert.before",
    "approval.insert.after", "pause.commit.after", "delivered.before", "delivered.after", "release.before", "release.after",
    "release.commit.after", "close.after",
)  # fmt: skip
WEB_POINTS = (
    "run.insert.before", "run.insert.after", "hint.send.before", "hint.send.after", "decision.begin",
    "decision.write.before", "decision.write.after", "decision.commit.after",
)  # fmt: skip
SWEEP_POINTS = ("sweep.before", "sweep.after", "hint.send.before", "hint.send.after")
OF_GROUP = {"runs": WORKER_POINTS, "web": WEB_POINTS, "desk": SWEEP_POINTS}
CROWDED = 10  # runs standing still, beyond which nobody else is killed until some have gone on
UNREACHED = 6.0  # seconds after which another point of the group is tried

# Whose work died: runs that were at work in a process that is gone.
ORPHANS = """SELECT id::text, attempt FROM runs_run WHERE status = 'running' AND NOT EXISTS (
    SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 4277323 AND l.objid::bigint = claimed_by
    AND l.objsubid = 2 AND l.granted)"""
# The one it was about to take up, or had just let go of, where it has something to do.
DUE = """SELECT id::text, attempt FROM runs_run r
    WHERE id::text = %(run)s AND (status = 'queued' OR (status = 'waiting' AND EXISTS (
    SELECT 1 FROM approvals_decision d JOIN approvals_approval a ON a.id = d.approval_id
    WHERE a.source_ref = r.id::text AND d.delivered_at IS NULL AND d.voided_at IS NULL)))"""


# After six deaths in a row a run is parked as poison, by design: nobody is killed while such a run is at work.
OFTEN_DEAD = """SELECT 1 FROM runs_run WHERE status IN ('running', 'queued') AND (counters->>'deaths')::int >= 4"""


@dataclass
class Armed:
    """A point that somebody will come to."""

    point: str
    since: float


@dataclass(frozen=True)
class Recovery:
    """How long a run stood still after its worker had died, and how many more workers were killed in that time."""

    seconds: float
    further_deaths: int


class Reaper:
    """One point of each group armed at a time, in turn; whoever stops there is killed, and started again as a supervisor
    would. ``limits``: kills of each group, and no more.

    A run whose worker was killed is let go on before another worker dies under it, so that each recovery can be measured: who
    stops at a point on its behalf is sent on, and the sweeps' worker is killed while no run stands still, but for its hints."""

    def __init__(self, stage: Stage, limits: dict[str, int]) -> None:
        self.stage, self.limits = stage, limits
        self.kills: Counter[str] = Counter()  # by point
        self.of_group: Counter[str] = Counter()
        self.recoveries: list[Recovery] = []
        self._armed: dict[str, Armed] = {}
        self._turn: Counter[str] = Counter()
        self._deaths: list[float] = []
        self._victims: dict[tuple[str, int], float] = {}  # run, attempt -> when its worker died
        self._next_beat = time.monotonic()

    @property
    def done(self) -> bool:
        return all(self.of_group[group] >= limit for group, limit in self.limits.items())

    def tick(self) -> None:
        for group in self.limits:
            if group == "beat":
                self._strike_beat()
                continue
            for stopped in list(self.stage.faults[group].waiting()):
                self._kill(group, stopped)
            self._arm(group)
        self._watch()

    def _arm(self, group: str) -> None:
        armed, fault = self._armed.get(group), self.stage.faults[group]
        now = time.monotonic()
        if armed is not None and now - armed.since < UNREACHED:
            return
        if armed is not None and not fault.disarm(armed.point):
            armed.since = now  # taken: it reports in a moment
            return
        self._armed.pop(group, None)
        if (group == "runs" and (self._is_quiet_due() or len(self._victims) >= CROWDED)) or (
            group == "desk" and (not self._is_desk_due() or (self._is_quiet_due() and self._victims))
        ):
            return
        living = [name for name, child in self.stage.children.items() if child.group == group and self.stage.is_ready(name)]
        if self.of_group[group] >= self.limits[group] or len(living) < (2 if group != "desk" else 1):
            return
        points = OF_GROUP[group]
        point = points[self._turn[group] % len(points)]
        self._turn[group] += 1
        self._armed[group] = Armed(point, now)
        fault.arm(point)

    def _is_desk_due(self) -> bool:
        """Whether fewer of the sweeps' worker were killed than is its share, so that it is the next."""
        killed, limit = self.of_group["desk"], self.limits.get("desk", 0)
        return killed < limit and killed * self.limits.get("runs", 0) <= self.of_group["runs"] * limit

    def _is_quiet_due(self) -> bool:
        """Whether it is the next, and at a point that it comes to also when no run stands still."""
        return self._is_desk_due() and SWEEP_POINTS[self._turn["desk"] % len(SWEEP_POINTS)].startswith("sweep.")

    def _is_spared(self, group: str, stopped: Stopped) -> bool:
        self._watch()
        if group == "desk":
            return bool(self._victims) and stopped.point.startswith("sweep.")
        return group == "runs" and (any(run == stopped.run for run, _ in self._victims) or bool(self.stage.sql(OFTEN_DEAD)))

    def _kill(self, group: str, stopped: Stopped) -> None:
        name = self.stage.named(stopped.pid)
        self._armed.pop(group, None)
        if name is None:
            return
        if self._is_spared(group, stopped):
            self.stage.faults[group].go(stopped)
            return
        stopped.file.unlink()
        died = time.monotonic()
        if group in ("runs", "desk"):
            self._deaths.append(died)
        self.stage.kill(name)
        self.kills[stopped.point] += 1
        self.of_group[group] += 1
        if group == "runs":
            rows = self.stage.sql(ORPHANS) + (self.stage.sql(DUE, run=stopped.run) if stopped.run else [])
            for row in rows:
                self._victims.setdefault((row["id"], row["attempt"]), died)
        self.stage.revive(name)

    def _strike_beat(self) -> None:
        now = time.monotonic()
        if self.of_group["beat"] < self.limits["beat"] and now >= self._next_beat and self.stage.is_alive("beat"):
            os.kill(self.stage.children["beat"].pid, signal.SIGKILL)
            self.stage.until(lambda: not self.stage.is_alive("beat"), "beat to end")
            self.stage.revive("beat")
            self.of_group["beat"] += 1
            self._next_beat = now + 8.0

    def _watch(self) -> None:
        """Look which of the victims go on, or have ended."""
        if not self._victims:
            return
        rows = self.stage.sql(
            "SELECT id::text, attempt, status FROM runs_run WHERE id = ANY(%(ids)s::uuid[])",
            ids=sorted({run for run, _ in self._victims}),
        )
        now = time.monotonic()
        at = {row["id"]: (row["attempt"], row["status"]) for row in rows}
        for (run, attempt), died in list(self._victims.items()):
            if at[run][0] > attempt or at[run][1] not in ("running", "queued", "waiting"):
                between = sum(died < at_ <= now for at_ in self._deaths)
                self.recoveries.append(Recovery(now - died, between))
                del self._victims[run, attempt]

    def end(self) -> None:
        """Leave no point armed, and let nobody wait."""
        for group in ("web", "runs", "desk"):
            armed = self._armed.pop(group, None)
            if armed is not None and not self.stage.faults[group].disarm(armed.point):
                self.stage.until(self.stage.faults[group].first, "a process at a point", 10)
                for stopped in list(self.stage.faults[group].waiting()):
                    self.stage.faults[group].go(stopped)
