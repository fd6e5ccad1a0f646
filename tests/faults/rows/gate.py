"""What the gate must stop, through real workers: calls that were refused, swapped, changed in the database, or look alike."""

import json
from collections import Counter
from typing import Any

from tests.faults import checks
from tests.faults.client import Client
from tests.faults.crowd import ENDED, pending, statuses
from tests.faults.report import Row
from tests.faults.stage import Stage


def settle(stage: Stage, reviewer: Client, runs: list[str], verdict_of: Any) -> list[dict[str, Any]]:
    """Decide all that is asked until all runs have ended; ``verdict_of`` an approval gives the decision's parts."""
    seen: list[dict[str, Any]] = []

    def step() -> bool:
        for approval in pending(stage, runs):
            seen.append(approval)
            reviewer.decide(approval, **verdict_of(approval))
        return set(statuses(stage, runs).values()) <= set(ENDED)

    stage.until(step, "all runs to end")
    return seen


def langchain_issues(stage: Stage, size: int, row: Row) -> None:
    stage.start_desk()
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    half = size // 2
    jumping = [
        operator.script("jumping", f"jump-{n:05}", [{"name": "wire", "args": {"to": f"jump-{n:05}", "amount": "9.00"}}])
        for n in range(half)
    ]
    settle(stage, reviewer, jumping, lambda approval: {"verdict": "reject", "message": "no"})
    editing = [
        operator.script("editing", f"edit-{n:05}", [{"name": "read", "args": {"name": f"edit-{n:05}"}}]) for n in range(half)
    ]
    asked = settle(
        stage, reviewer, editing, lambda approval: {"verdict": "approve" if approval["action"] == "read" else "reject"}
    )
    executed = sum(len(wires) for wires in stage.payments.wires.values())
    row.size = f"{half} replays of each, and one of each without the desk"
    row.expect(executed == 0, f"{executed} executions")
    swapped = sum(approval["action"] == "wire" for approval in asked)
    row.expect(swapped == half, f"{swapped} calls that were swapped for another tool behind the person were asked about anew")
    stage.python("-m", "tests.faults.ungated")
    control = {name: len(stage.payments.wires.get(name, [])) for name in ("ungated-jump", "ungated-edit")}
    row.expect(
        all(count == 1 for count in control.values()),
        f"the same two graphs under LangGraph alone: the rejected call ran {control['ungated-jump']} times, the swapped one "
        f"{control['ungated-edit']} times",
    )


# What is changed by SQL, as superuser, after the approval and before a worker takes it up.
WAITING_CALLS = (
    """UPDATE approvals_decision SET args = jsonb_set(args, '{to}', '"mallory"') WHERE approval_id = %(approval)s""",
    "UPDATE approvals_decision SET digest = 'sha256:' || repeat('0', 64) WHERE approval_id = %(approval)s",
    """UPDATE approvals_approval SET args = jsonb_set(args, '{to}', '"mallory"') WHERE id = %(approval)s""",
    "UPDATE approvals_approval SET digest = 'sha256:' || repeat('0', 64) WHERE id = %(approval)s",
    """UPDATE runs_toolcall SET asked_args = jsonb_set(asked_args, '{to}', '"mallory"') WHERE approval_id = %(approval)s""",
    "UPDATE runs_toolcall SET digest = 'sha256:' || repeat('0', 64) WHERE approval_id = %(approval)s",
)
# The same, of calls whose worker was killed before the tool had done anything: they would be started again.
STARTED_CALLS = (
    """UPDATE runs_toolcall SET approved_args = jsonb_set(approved_args, '{to}', '"mallory"')
       WHERE approval_id = %(approval)s""",
    "UPDATE runs_toolcall SET approved_digest = 'sha256:' || repeat('0', 64) WHERE approval_id = %(approval)s",
)


def changed_arguments(stage: Stage, size: int, row: Row) -> None:
    """Each way to change what is stored, in turn."""
    stage.start_desk(workers=1)
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    ways = (*WAITING_CALLS, *STARTED_CALLS)
    change: dict[str, str] = {}
    for n in range(size):
        name, way = f"changed-{n:05}", ways[n % len(ways)]
        tool = "charge" if way in STARTED_CALLS else "wire"
        change[operator.script("cashier", name, [{"name": tool, "args": {"to": name, "amount": "5.00"}}])] = way
    runs = list(change)
    stage.until(lambda: len(pending(stage, runs)) == size, "all to wait")
    asked = pending(stage, runs)
    begun = [approval for approval in asked if change[approval["source_ref"]] in STARTED_CALLS]
    for approval in begun:
        stage.faults["runs"].arm("tool.start")
        reviewer.decide(approval)
        stage.kill_at("tool.start")
        stage.sql(change[approval["source_ref"]], approval=approval["id"])
        stage.revive("runs-1")
    stage.wait_ready("runs-1")
    stage.kill("runs-1")
    for approval in asked:
        if approval not in begun:
            reviewer.decide(approval)
            stage.sql(change[approval["source_ref"]], approval=approval["id"])
    stage.revive("runs-1")
    stage.until(lambda: set(statuses(stage, runs).values()) <= set(ENDED), "all to end")
    alarms = stage.sql(
        """SELECT run_id::text, count(*) FROM audit_auditentry WHERE action = 'call.tampered'
           AND run_id = ANY(%(ids)s::uuid[]) GROUP BY 1""",
        ids=runs,
    )
    executed = sum(len(wires) for wires in stage.payments.wires.values()) + sum(stage.payments.charged.values())
    row.size = f"{size} approved calls changed in {len(ways)} ways, {len(begun)} of them when they had been started"
    row.expect(executed == 0, f"{executed} executions")
    once = [each for each in alarms if each["count"] == 1]
    silent = [change[run] for run in runs if run not in {each["run_id"] for each in once}]
    row.expect(not silent, f"{len(once)} of {size} runs with one alarm each" + (f"; not: {silent[:3]}" if silent else ""))
    asked_again = len(stage.sql(ASKED_TWICE, runs=runs))
    row.expect(asked_again == 0, f"{asked_again} asked about again")


ASKED_TWICE = """SELECT source_ref FROM approvals_approval WHERE source = 'runs' AND source_ref = ANY(%(runs)s)
                 GROUP BY source_ref HAVING count(*) > 1"""


def repeated_ids(stage: Stage, size: int, row: Row) -> None:
    """The model gives every call the same id: twice in one message, again in the next turn, and in an agent inside a tool."""
    stage.start_desk()
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    runs: dict[str, str] = {}
    for n in range(size):
        name = f"same-{n:05}"
        wires = [{"name": "wire", "args": {"to": f"{name}-{letter}", "amount": "1.00"}, "id": "the-same"} for letter in "abcd"]
        if n % 3 == 0:  # in one message: both are refused, then one by one
            run = operator.script("cashier", name, wires[:2], wires[2:3], wires[3:])
        elif n % 3 == 1:  # across turns
            run = operator.script("cashier", name, wires[:1], wires[1:2], wires[2:3])
        else:  # in an agent inside a tool, and around it
            inner = json.dumps({"turns": [wires[1:2], wires[2:3]], "end": "Done inside."})
            delegate = {"name": "delegate", "args": {"script": inner}, "id": "the-same"}
            run = operator.script("delegating", name, wires[:1], [delegate], wires[3:])
        runs[run] = name
    # Calls to "b" and "c" are approved, the others rejected: nobody may profit from another's verdict.
    verdicts: Counter[str] = Counter()

    def verdict(approval: dict[str, Any]) -> dict[str, Any]:
        good = approval["args"]["to"][-1] in "bc"
        verdicts["approved" if good else "rejected"] += 1
        return {"verdict": "approve"} if good else {"verdict": "reject", "message": "no"}

    settle(stage, reviewer, list(runs), verdict)
    wrong = [to for to, wires in stage.payments.wires.items() if wires and (to[-1] not in "bc" or len(wires) > 1)]
    paid = sum(len(wires) for wires in stage.payments.wires.values())
    row.size = f"{size} runs, {sum(verdicts.values())} questions about calls of one id"
    row.expect(not wrong, f"{len(wrong)} calls ran under another's verdict, {paid} ran under their own")
    row.expect(paid == verdicts["approved"], f"{verdicts['approved']} approved, {verdicts['rejected']} rejected, {paid} paid")
    foreign = stage.sql(
        """SELECT id, asked_args, result FROM runs_toolcall WHERE run_id = ANY(%(ids)s::uuid[]) AND tool = 'wire'
           AND status = 'succeeded' AND result->>'shown' NOT LIKE '%%' || (asked_args->>'to') || '%%'""",
        ids=list(runs),
    )
    row.expect(not foreign, f"{len(foreign)} calls got another's result")
    row.check(stage, list(runs), checks.NOT_APPROVED)
