"""What a policy costs the people who decide, and whether the desk did what it says: counted from facts, without a desk."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import percentile


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a task: what it should have come to, and how often it did. ``wanted``: the policy asks people about it.

    ``fails``: its tool raises an error when the task's calls are made directly. ``before``: the starts of tools that the run
    had seen when the question stood before people, in the numbers of their calls; None where nobody saw a question.
    """

    writes: bool
    wanted: bool
    fails: bool
    asked: int
    executed: int
    failed: bool
    before: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Played:
    """One task after its run. ``starts``: the numbers of the calls whose tools started, in order; ``equal``: its shop ended as
    one where the same calls were made directly."""

    task: str
    calls: tuple[Call, ...]
    starts: tuple[int, ...]
    equal: bool

    @property
    def asked(self) -> int:
        return sum(call.asked for call in self.calls)

    def faults(self) -> list[str]:
        """What was not as it should be, one sentence each."""
        found = [fault for number, call in enumerate(self.calls) for fault in _faults_of(number, call)]
        if self.starts != tuple(range(len(self.calls))):
            found.append(f"its tools started in the order {list(self.starts)}")
        if not self.equal:
            found.append("its database is another one than after direct calls")
        return found


def _faults_of(number: int, call: Call) -> list[str]:
    found = []
    if call.asked != call.wanted:
        found.append(f"call {number} was asked {call.asked} times instead of {int(call.wanted)}")
    if call.executed != 1:
        found.append(f"call {number} was executed {call.executed} times")
    if call.failed != call.fails:
        found.append(f"call {number} {'failed' if call.failed else 'succeeded'}, unlike the direct one")
    if call.wanted and call.before != tuple(range(number)):
        found.append(f"when call {number} was asked, {call.before} had started")
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """What people had to decide under one policy."""

    policy: str
    calls: int
    approvals: int
    mean: float
    p50: float
    p95: float
    most: int
    without: int  # tasks in which nobody was asked anything
    unasked_writes: int

    @classmethod
    def of(cls, policy: str, played: Sequence[Played]) -> "Load":
        asked = [task.asked for task in played]
        calls = [call for task in played for call in task.calls]
        return cls(
            policy, len(calls), sum(asked), sum(asked) / len(asked), percentile(asked, 50), percentile(asked, 95), max(asked),
            asked.count(0), sum(call.writes and not call.asked for call in calls),
        )  # fmt: skip

    @property
    def share(self) -> float:
        """The per cent of all calls that were asked."""
        return 100 * self.approvals / self.calls


def summary(loads: Sequence[Load]) -> str:
    """One line for each policy, as a Markdown table."""
    head = ("policy", "approvals", "of all calls", "a task: mean", "p50", "p95", "max", "tasks without", "writes not asked")
    return _table([head, *(
        (
            load.policy, str(load.approvals), f"{load.share:.1f} %", f"{load.mean:.2f}", f"{load.p50:.0f}", f"{load.p95:.0f}",
            str(load.most), str(load.without), str(load.unasked_writes),
        )
        for load in loads
    )])  # fmt: skip


def by_task(played: dict[str, Sequence[Played]]) -> str:
    """One line for each task: its calls, those that write, and the approvals under each policy."""
    rows = [
        (
            tasks[0].task,
            str(len(tasks[0].calls)),
            str(sum(call.writes for call in tasks[0].calls)),
            *(str(t.asked) for t in tasks),
        )
        for tasks in zip(*played.values(), strict=True)
    ]
    return _table([("task", "calls", "writes", *played), *rows])


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
