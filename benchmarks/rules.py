"""One call held against 200 rules in force that all speak about it: the policy's own time, without the database."""

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

from approvals.policy.evaluate import Facts, ReadyRules, RuleSnapshot, evaluate
from benchmarks.figures import Figure, at_most, beside, percentile

RULES = 200
WARM_UP = 50
SAMPLES = 1000
TEAM = UUID("01900000-0000-7000-8000-000000000001")
CALL = Facts(
    agent="support", team_id=TEAM, action="issue_refund",
    args={
        "amount": "480.00", "currency": "EUR", "customer": {"email": "mara@example.org"}, "lines": [{"sku": "a"}, {"sku": "c"}],
    },
)  # fmt: skip


def measure() -> Iterator[Figure]:
    ready = ReadyRules.of([_rule(number) for number in range(RULES)])
    taken = [_once(ready) for _ in range(WARM_UP + SAMPLES)][WARM_UP:]
    conditions = sum(len(one.conditions) for one in ready)
    yield at_most(f"{RULES} rules with {conditions} conditions evaluated for one call, p95", percentile(taken, 95), 2, "ms")
    yield beside("the same, p50", percentile(taken, 50), "ms")


def _once(ready: ReadyRules) -> float:
    began = time.perf_counter()
    evaluate(CALL, ready)
    return (time.perf_counter() - began) * 1000


def _rule(number: int) -> RuleSnapshot:
    """One of several kinds, as admins write them; none of them denies, so that none ends the search."""
    conditions = [
        [{"path": "amount", "op": ">", "value": number * 10}],
        [{"path": "amount", "op": "<=", "value": number}, {"path": "currency", "op": "=", "value": "EUR"}],
        [{"path": "customer.email", "op": "ends", "value": f"@{number}.example.org"}],
        [{"path": "lines.*.sku", "op": "in", "value": ["a", "b", str(number)]}],
    ][number % 4]
    return {
        "id": str(uuid4()), "name": f"Rule {number}", "team": str(TEAM) if number % 2 else None, "agent": "support",
        "action": "issue_*" if number % 3 else "*", "effects": [] if number % 5 else ["write"], "conditions": conditions,
        "verdict": "allow" if number % 7 else "ask", "mode": "active" if number % 11 else "shadow", "reviewer_teams": [],
        "count": 1, "expires_after": None, "self_approval": False, "second_factor": False, "priority": 0, "note": "",
    }  # fmt: skip
