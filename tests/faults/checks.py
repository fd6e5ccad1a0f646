"""What must hold, as SQL: each query lists what breaks the promise, so none may bring a row. Printed with the table."""

from dataclasses import dataclass
from typing import Any

from tests.faults.stage import Stage

ALL = "ids"  # parameter of each query: the runs in question


@dataclass(frozen=True)
class Check:
    """A promise, and the query for whatever breaks it."""

    promise: str
    query: str


STUCK = Check(
    "0 stuck runs: every run has succeeded",
    "SELECT id, status, stop_reason, attempt FROM runs_run WHERE id = ANY(%(ids)s::uuid[]) AND status <> 'succeeded'",
)
LOST = Check(
    "0 lost decisions: each one that stands was handed over, and carried out where it is about a call",
    """SELECT d.id, a.source_ref, a.kind, d.verdict, d.delivered_at, d.consumed_at
       FROM approvals_decision d JOIN approvals_approval a ON a.id = d.approval_id
       WHERE a.source = 'runs' AND a.source_ref = ANY(%(ids)s) AND d.voided_at IS NULL
         AND (d.delivered_at IS NULL OR (a.kind <> 'interrupt' AND d.consumed_at IS NULL))""",
)
TWICE_DECIDED = Check(
    "one decision for each approval, none left open",
    """SELECT a.id, a.status, count(d.id) FROM approvals_approval a
       LEFT JOIN approvals_decision d ON d.approval_id = a.id AND d.voided_at IS NULL
       WHERE a.source = 'runs' AND a.source_ref = ANY(%(ids)s) GROUP BY a.id
       HAVING count(d.id) <> 1 OR a.status <> 'decided'""",
)
TWICE_ASKED = Check(
    "nobody was asked twice: one ledger row, one approval for each call of the model",
    """SELECT run_id, tool, count(*) FROM runs_toolcall WHERE run_id = ANY(%(ids)s::uuid[])
       GROUP BY run_id, tool HAVING count(*) > 1""",
)
NOT_APPROVED = Check(
    "what was executed is what was approved, under a decision that was taken once",
    """SELECT c.id, c.tool, c.status FROM runs_toolcall c LEFT JOIN approvals_decision d ON d.id = c.decision_id
       WHERE c.run_id = ANY(%(ids)s::uuid[]) AND c.executed_digest <> '' AND c.verdict <> 'allow'
         AND (d.id IS NULL OR d.consumed_at IS NULL OR d.verdict NOT IN ('approve', 'modify')
              OR c.executed_digest <> d.digest OR c.approved_digest <> d.digest)""",
)
REPEATED = Check(
    "no call that is not idempotent was started again unless a person said so",
    """SELECT c.id, c.tool, c.tries FROM runs_toolcall c JOIN runs_run r ON r.id = c.run_id
       JOIN runs_agent a ON a.id = r.agent_id LEFT JOIN approvals_tool t ON t.agent = a.slug AND t.name = c.tool
       WHERE c.run_id = ANY(%(ids)s::uuid[]) AND t.idempotent IS NOT TRUE
         AND c.tries > 1 + (SELECT count(*) FROM approvals_approval q JOIN approvals_decision d ON d.approval_id = q.id
                            WHERE q.request_key LIKE 'doubt:' || c.id || ':%%' AND d.answer = '"retry"'::jsonb)""",
)
CONTINUED_TWICE = Check(
    "0 double continuations: the model spoke three times, each tool ran once, and each checkpoint has one successor",
    """SELECT r.id, r.attempt, s.models, k.forked FROM runs_run r
       CROSS JOIN LATERAL (SELECT count(*) AS models FROM runs_step s WHERE s.run_id = r.id AND s.kind = 'model') s
       CROSS JOIN LATERAL (SELECT count(*) AS forked FROM (
           SELECT parent_checkpoint_id FROM checkpoints WHERE thread_id = r.thread_id AND checkpoint_ns = ''
           GROUP BY parent_checkpoint_id HAVING count(*) > 1) f) k
       WHERE r.id = ANY(%(ids)s::uuid[]) AND (s.models <> 3 OR k.forked > 0
         OR EXISTS (SELECT 1 FROM runs_toolcall c WHERE c.run_id = r.id AND c.tries <> 1))""",
)
FORKED = Check(
    "no checkpoint has two successors",
    """SELECT r.id, c.parent_checkpoint_id, count(*) FROM runs_run r JOIN checkpoints c ON c.thread_id = r.thread_id
       WHERE r.id = ANY(%(ids)s::uuid[]) AND c.checkpoint_ns = '' GROUP BY 1, 2 HAVING count(*) > 1""",
)
FAILED = Check(
    "every call succeeded, by itself or by a person's word",
    """SELECT id, run_id, tool, status, tries, error FROM runs_toolcall
       WHERE run_id = ANY(%(ids)s::uuid[]) AND status <> 'succeeded'""",
)
ZEROS = (STUCK, FAILED, LOST, TWICE_DECIDED, TWICE_ASKED, NOT_APPROVED, REPEATED, FORKED)


def broken(stage: Stage, check: Check, runs: list[str]) -> list[dict[str, Any]]:
    """The rows that break the promise."""
    return stage.sql(check.query, ids=runs)
