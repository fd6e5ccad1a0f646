"""Recording what a graph does while it does it: steps into the database, live text to the pages.

Events come from LangGraph's task stream and from LangChain's callbacks, some of them in threads. They change a small book in
memory; a ticker on the loop writes what changed, at most every :data:`TICK` seconds and in one statement, so that recording
costs the graph nothing and a page is never far behind. Writing refuses an attempt that is no longer the run's newest.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from agentdesk.digests import encode
from agentdesk.live.push import push, token
from runs.engine.budget import Budget
from runs.engine.checkpoints import Pool
from runs.states import StepKind, StepStatus
from runs.tools.context import AttemptLost, DeskUnavailable

log = logging.getLogger(__name__)

TICK = 0.08  # seconds
TEXT_LIMIT = 100_000  # characters of a model's text that a step keeps

WRITE = """
WITH fence AS (SELECT id FROM runs_run WHERE id = %(run)s AND attempt = %(attempt)s FOR SHARE)
INSERT INTO runs_step (run_id, key, parent_key, attempt, kind, name, status, started_at, ended_at, data, revision)
SELECT fence.id, s.key, s.parent_key, %(attempt)s, s.kind, left(s.name, 200), s.status, s.started_at, s.ended_at, s.data, 1
FROM fence, ROWS FROM (jsonb_to_recordset(%(steps)s) AS (key uuid, parent_key uuid, kind text, name text, status text,
    started_at timestamptz, ended_at timestamptz, data jsonb))
    WITH ORDINALITY AS s (key, parent_key, kind, name, status, started_at, ended_at, data, n)
ORDER BY s.n
ON CONFLICT (run_id, key) DO UPDATE SET status = excluded.status, ended_at = excluded.ended_at, attempt = excluded.attempt,
    data = runs_step.data || excluded.data
RETURNING id, key, revision
"""
LOST = """
UPDATE runs_step SET status = 'lost', ended_at = now() WHERE run_id = %(run)s AND status = 'open' AND attempt < %(attempt)s
    AND kind <> 'pause' AND coalesce(data->>'outcome', '') NOT IN ('waiting', 'paused') RETURNING id, revision
"""


@dataclass(slots=True)
class Event:
    """A step as it stands in the book."""

    key: UUID
    kind: StepKind
    name: str
    parent: UUID | None = None
    status: StepStatus = StepStatus.OPEN
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "key": str(self.key), "parent_key": str(self.parent) if self.parent else None, "kind": self.kind, "name": self.name,
            "status": self.status, "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None, "data": encode(self.data),
        }  # fmt: skip


class Recorder(BaseCallbackHandler):
    """Records one attempt at one run. Its callbacks raise LimitReached when the run may call no more models."""

    raise_error = True
    run_inline = True

    def __init__(self, pool: Pool, run_id: UUID, attempt: int, budget: Budget) -> None:
        self.pool, self.run_id, self.attempt, self.budget = pool, run_id, attempt, budget
        self._guard = threading.Lock()
        self._open: dict[UUID, Event] = {}
        self._changed: dict[UUID, Event] = {}
        self._text: dict[UUID, list[str]] = {}
        self._sequence: dict[UUID, int] = {}
        self._written: dict[UUID, int] = {}
        self._ticker: asyncio.Task[None] | None = None
        self.lost: AttemptLost | None = None

    # --- the book -------------------------------------------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Put a step, or its newest state, on record."""
        with self._guard:
            known = self._open.get(event.key)
            if known is not None:
                event.started_at, event.parent = known.started_at, event.parent or known.parent
            if event.status == StepStatus.OPEN:
                self._open[event.key] = event
            else:
                event.ended_at = event.ended_at or datetime.now(UTC)
                self._open.pop(event.key, None)
            self._changed[event.key] = event

    def task(self, payload: dict[str, Any]) -> None:
        """A part of LangGraph's ``tasks`` stream: a node starts, or ends."""
        key = self._task(payload["id"])
        if key is None:
            return
        if "input" in payload:
            self.note(Event(key, StepKind.NODE, payload["name"]))
            return
        error = payload.get("error")
        data: dict[str, Any] = {"error": str(error)[:2000]} if error else {}
        if payload.get("interrupts"):
            data["paused"] = True
        status = StepStatus.FAILED if error else StepStatus.DONE
        self.note(Event(key, StepKind.NODE, payload["name"], None, status, data=data))

    def call(self, row: UUID, tool: str, outcome: str, task: str) -> None:
        """The gate tells what became of a tool call."""
        status = {
            "waiting": StepStatus.OPEN,
            "executing": StepStatus.OPEN,
            "paused": StepStatus.OPEN,
            "failed": StepStatus.FAILED,
        }
        data = {"call": str(row), "tool": tool, "outcome": outcome}
        self.note(Event(row, StepKind.TOOL, tool, self._task(task), status.get(outcome, StepStatus.DONE), data=data))

    def _task(self, task: str) -> UUID | None:
        """The key of a task's step. LangGraph gives a task one id for all attempts; each attempt has a step of its own."""
        try:
            return uuid5(UUID(task), str(self.attempt))
        except ValueError:
            return None

    # --- LangChain's callbacks ------------------------------------------------------------------------------------------

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self.on_llm_start(serialized, [], run_id=run_id, **kwargs)

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any) -> None:
        self.budget.begin_call()
        metadata = kwargs.get("metadata") or {}
        model = str(metadata.get("ls_model_name") or kwargs.get("name") or (serialized or {}).get("name") or "model")
        place = str(metadata.get("langgraph_checkpoint_ns") or metadata.get("checkpoint_ns") or "")
        parent = self._task(place.split("|")[-1].rpartition(":")[2])
        self.note(
            Event(
                run_id, StepKind.MODEL, model, parent, data={"model": model, "provider": str(metadata.get("ls_provider") or "")}
            )
        )

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], *, run_id: UUID, **kwargs: Any) -> None:
        if token and isinstance(token, str):
            with self._guard:
                self._text.setdefault(run_id, []).append(token)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        event = self._open.get(run_id)
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        data: dict[str, Any] = {"text": generation.text[:TEXT_LIMIT] if generation else ""}
        message = generation.message if isinstance(generation, ChatGeneration) else None
        if message is not None:
            data["tool_calls"] = [{"name": c["name"], "args": encode(c["args"])} for c in getattr(message, "tool_calls", [])]
        known = event.data if event else {}
        data |= self.budget.end_call(known.get("provider", ""), known.get("model", ""), message)
        self.budget.measure(generation.text if generation else "")
        name = event.name if event else "model"
        self.note(Event(run_id, StepKind.MODEL, name, None, StepStatus.DONE, data={**known, **data}))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        event = self._open.get(run_id)
        name = event.name if event else "model"
        self.note(Event(run_id, StepKind.MODEL, name, None, StepStatus.FAILED, data={"error": str(error)[:2000]}))

    # --- writing ----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "Recorder":
        await self._close_lost()
        self._ticker = asyncio.create_task(self._tick(), name=f"recorder {self.run_id}")
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        if self.lost is None:
            await self.flush()

    async def flush(self) -> None:
        """Write what changed. Raises AttemptLost, DeskUnavailable."""
        with self._guard:
            changed, self._changed = self._changed, {}
            text, self._text = self._text, {}
        if changed:
            try:
                await self._write(changed)
            except BaseException:
                with self._guard:
                    self._changed = {**changed, **self._changed}
                raise
        for key, parts in text.items():
            self._sequence[key] = self._sequence.get(key, 0) + 1
            if key in self._open and key in self._written:
                token(self.run_id, str(self._written[key]), self._sequence[key], "".join(parts))

    async def _write(self, changed: dict[UUID, Event]) -> None:
        rows = [event.row() for event in changed.values()]
        params = {"run": self.run_id, "attempt": self.attempt, "steps": Jsonb(rows)}
        async with self._connection() as connection:
            written = await (await connection.execute(WRITE, params)).fetchall()
        if not written:
            raise AttemptLost(f"attempt {self.attempt} of run {self.run_id} has been taken over")
        for row in written:
            self._written[row["key"]] = row["id"]
            push("step", row["id"], row["revision"], run=self.run_id)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self.flush()
            except AttemptLost as lost:
                self.lost = lost
                return
            except Exception:  # the next tick, or the end of the attempt, writes again; the run itself goes on
                log.exception("steps of run %s could not be written", self.run_id)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Raises DeskUnavailable when the database is away: that is no fault of the run."""
        try:
            async with self.pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DeskUnavailable(str(error)) from error

    async def _close_lost(self) -> None:
        """What an older attempt left open was lost with it."""
        if self.attempt == 1:
            return
        params = {"run": self.run_id, "attempt": self.attempt}
        async with self._connection() as connection:
            rows = await (await connection.execute(LOST, params)).fetchall()
        for row in rows:
            push("step", row["id"], row["revision"], run=self.run_id)
