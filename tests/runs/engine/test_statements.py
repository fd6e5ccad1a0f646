"""How many statements a run costs the database: so that they do not creep back. A figure that sinks is to be lowered here, and
in docs/benchmarks.md."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from agentdesk.audit.record import Actor
from runs import lifecycle
from runs.engine.advance import advance
from runs.models import Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

TO_THE_QUESTION = 38
FROM_THE_DECISION_TO_THE_END = 47
HINT_WITHOUT_NEWS = 1
BY_THE_CLOCK = ("INSERT INTO runs_step", "AS cancel FROM runs_run")  # steps are written, and cancelling is looked for, by time


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What psycopg sends meanwhile, of Django's connections and of the checkpoints'; beginning and ending a transaction left
    out, asking a connection of the pool whether it lives (an empty statement) not."""
    seen: list[str] = []

    def note(query: Any, times: int) -> None:
        text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else query.as_string()
        if not any(each in text for each in BY_THE_CLOCK):
            seen.extend([" ".join(text.split())[:200]] * times)

    def noting(real: Callable[..., Any], *, many: bool) -> Callable[..., Any]:
        def call(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
            params = list(params) if many else params
            note(query, len(params) if many else 1)
            return real(self, query, params, **options)

        return call

    with monkeypatch.context() as patch:
        for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
            patch.setattr(cursor, "execute", noting(cursor.execute, many=False))
            patch.setattr(cursor, "executemany", noting(cursor.executemany, many=True))
        yield seen


def queued(engine: Engine, to: str) -> Run:
    script = json.dumps({"turns": [[{"name": "pay", "args": {"to": to, "amount": "1.00"}}]]})
    question = {"messages": [{"role": "user", "content": script}]}
    return lifecycle.start("teller", question, actor=Actor.of(engine.operator))


def test_a_run_with_one_question_costs_no_more_statements_than_written_down(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = queued(engine, "warm")  # connections, the tool's row
    advance(warm.pk)
    run = queued(engine, "counted")
    with counted(monkeypatch) as first:
        advance(run.pk)
    with counted(monkeypatch) as late:
        advance(run.pk)
    (approval,) = engine.pending(run)
    engine.decide(approval)
    with counted(monkeypatch) as second:
        advance(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 2)
    assert len(first) <= TO_THE_QUESTION, "\n".join(first)
    assert len(late) <= HINT_WITHOUT_NEWS, "\n".join(late)
    assert len(second) <= FROM_THE_DECISION_TO_THE_END, "\n".join(second)
    # So that the count is one: a statement of each road that there is to the database.
    for part in ("UPDATE", "WITH fence", "WITH was", "checkpoint_blobs", "audit_auditentry"):
        assert any(part in text for text in second), part
