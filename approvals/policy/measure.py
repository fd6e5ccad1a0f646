"""Counts and sums as the record has them: one query for all rules of a call.

Two calls at once must not both be the fifth. Whoever proposes a call, or changes its arguments, while a rule counts its tool,
holds a lock for this agent and tool until the end of the transaction in which the evaluation is written: each sees all before.
The lock is held for milliseconds, never while a tool is at work or people think. That is why proposed calls are counted and
not executed ones: between its verdict and its end a call would be seen by nobody.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from approvals.policy.conditions import number_or_none
from approvals.policy.evaluate import Facts
from approvals.policy.paths import values_at
from approvals.policy.tallies import Tally, with_this

LOCK = 0x41445032  # any fixed number: the space of these locks
# Spaces by name: \s would take others that a cast to numeric then refuses.
_NUMBER = r"^[ \t\n\r\f\v]*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?[ \t\n\r\f\v]*$"

# The number at a path of stored arguments, as agentdesk.digests writes them; NULL where there is none.
_VALUE = """
CASE jsonb_typeof(args #> %(path)s::text[])
  WHEN 'number' THEN (args #>> %(path)s::text[])::numeric
  WHEN 'string' THEN CASE WHEN args #>> %(path)s::text[] ~ %(number)s AND length(args #>> %(path)s::text[]) <= 400
                          THEN (args #>> %(path)s::text[])::numeric END
  WHEN 'object' THEN CASE WHEN args #>> %(kind)s::text[] IN ('int', 'float', 'decimal')
                               AND args #>> %(inner)s::text[] ~ %(number)s
                          THEN (args #>> %(inner)s::text[])::numeric END
END
"""

# Other calls of this tool by this agent that count, with the arguments as people left them.
_OTHERS = """
SELECT e.at, (e.source = %(source)s AND e.source_ref = %(ref)s) AS same_run, coalesce(a.args, e.facts -> 'args') AS args
FROM approvals_evaluation e
LEFT JOIN approvals_approval a ON a.evaluation_id = e.id
LEFT JOIN approvals_decision d ON d.approval_id = a.id AND d.voided_at IS NULL
WHERE e.agent = %(agent)s AND e.action = %(action)s AND e.counted AND e.occasion = 'proposed' AND e.verdict <> 'deny'
  AND (e.at > %(oldest)s OR (e.source = %(source)s AND e.source_ref = %(ref)s AND %(by_run)s))
  AND (%(before)s::timestamptz IS NULL OR e.at < %(before)s) AND e.id IS DISTINCT FROM %(own)s::uuid
  AND (a.id IS NULL OR a.status IN ('pending', 'held') OR (a.status = 'decided' AND d.verdict IN ('approve', 'modify')))
"""


def hold(facts: Facts) -> None:
    """Wait for others who propose a call of this tool by this agent, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, f"{facts.agent}\n{facts.action}"])


def measure(
    facts: Facts,
    tallies: Iterable[Tally],
    *,
    source: str,
    source_ref: str,
    at: datetime,
    own: UUID | None = None,
    before: datetime | None = None,
) -> dict[str, Any]:
    """The tallies at the moment ``at``, by path, with this call in them; None where one cannot be told. ``own``: the evaluation
    of this very call, where it has one; ``before``: only calls that were proposed before then."""
    wanted = sorted(set(tallies), key=lambda tally: tally.path)
    oldest = min((at - tally.window for tally in wanted if tally.window is not None), default=at)
    values: dict[str, Any] = {
        "source": source, "ref": source_ref, "agent": facts.agent, "action": facts.action, "oldest": oldest, "own": own,
        "before": before, "by_run": any(tally.window is None for tally in wanted), "number": _NUMBER,
    }  # fmt: skip
    columns = [column for n, tally in enumerate(wanted) for column in _columns(n, tally, at, values)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM ({_OTHERS}) others", values)  # noqa: S608 - made of constants
        row = cursor.fetchone()
    found: dict[str, Any] = {}
    for n, tally in enumerate(wanted):
        told = tally.window is not None or bool(source_ref)  # a program that names no run has none
        others = None if row[2 * n + 1] or not told else row[2 * n]
        found[tally.path] = with_this(tally, others, number_at(facts.args, tally.argument))
    return found


def number_at(args: Mapping[str, Any], argument: tuple[str, ...]) -> Decimal | None:
    """The amount at a path of plain arguments; None where there is none, or one below zero: it would buy room for others."""
    found = values_at(args, argument)
    if len(found) != 1 or (isinstance(found[0], str) and not found[0].isascii()):
        return None
    number = number_or_none(found[0])
    return None if number is None or number < 0 else number


def _columns(n: int, tally: Tally, at: datetime, values: dict[str, Any]) -> list[str]:
    """The SQL of a tally over the others, and whether one of them has no amount there. Adds what they need to ``values``."""
    when = "same_run"
    if tally.window is not None:
        values[f"since{n}"] = at - tally.window
        when = f"at > %(since{n})s"
    if not tally.argument:
        return [f"count(*) FILTER (WHERE {when})", "false"]
    values[f"path{n}"] = list(tally.argument)
    values[f"kind{n}"], values[f"inner{n}"] = [*tally.argument, "$"], [*tally.argument, "v"]
    number = _VALUE
    for name in ("path", "kind", "inner"):
        number = number.replace(f"%({name})s", f"%({name}{n})s")
    return [
        f"coalesce(sum({number}) FILTER (WHERE {when}), 0)",
        f"coalesce(bool_or(coalesce(({number}) < 0, true)) FILTER (WHERE {when}), false)",
    ]
