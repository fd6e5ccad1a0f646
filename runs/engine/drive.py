"""The only place that calls graphs."""

import asyncio
import contextlib
import functools
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal

import psycopg
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphDrained, GraphRecursionError, is_invalid_resume
from langgraph.runtime import RunControl
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import StateSnapshot
from pydantic import BaseModel

from runs.engine import breakpoints, stopping
from runs.engine.checkpoints import Pool
from runs.engine.making import Graph, Occasion
from runs.engine.recorder import Recorder
from runs.engine.savers import Savers
from runs.tools.context import AttemptLost, DeskUnavailable, LimitReached, RunContext, current
from runs.tools.guard import Guard

WATCH = 0.5  # seconds between looks at whether the run is to be cancelled
LIMIT = "limit"  # why a graph is drained
GRACE = 60.0  # seconds that a step has to end in once the run's time is over; then it is cut off


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one stretch of driving ended. ``paused``: the graph stands before something that waits."""

    kind: Literal["paused", "ended", "failed", "limit", "cancelled", "drained", "lost", "unavailable"]
    snapshot: StateSnapshot | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    traceback: str = ""
    reached: LimitReached | None = None
    is_refused: bool = False  # the answer did not fit the graph's own schema, and was not stored


class Drive:
    """One attempt's hold on a graph: bound to its saver, its thread and its context."""

    def __init__(self, graph: Graph, savers: Savers, ctx: RunContext, occasion: Occasion, recorder: Recorder) -> None:
        saver = savers.of(ctx.run_id, ctx.attempt).with_allowlist(getattr(graph, "_serde_allowlist", None) or ())
        self.graph: Graph = graph.copy({"checkpointer": saver, "store": _store(graph, occasion)})
        self.context = _context(graph, occasion)
        self.pool: Pool = savers.pool
        self.ctx, self.recorder = ctx, recorder
        self.config: RunnableConfig = {
            **occasion.config,
            "recursion_limit": int(ctx.limits["supersteps"]),
            "callbacks": [Guard(), recorder],
            # Not "run_id": LangGraph takes new input under the run_id of the last checkpoint for a resume, and drops it.
            "metadata": {
                **occasion.config.get("metadata", {}),
                "agentdesk_run": str(ctx.run_id),
                "agentdesk_agent": ctx.agent,
            },
        }

    async def snapshot(self) -> StateSnapshot:
        """Where the graph stands. Raises AttemptLost, DeskUnavailable."""
        return await self.graph.aget_state(self.config)

    async def renew(self) -> StateSnapshot:
        """Put a copy of the newest checkpoint on top, without what its tasks have stored: their answers, and their errors."""
        await self.graph.aupdate_state(self.config, None, as_node="__copy__")
        return await self.snapshot()

    async def has_answers(self) -> bool:
        """Whether a task of the newest checkpoint has stored answers (LangGraph's channel ``__resume__``): it would get them
        again, by their position, whatever it asks."""
        if not isinstance(self.graph.checkpointer, BaseCheckpointSaver):
            return False
        saved = await self.graph.checkpointer.aget_tuple(self.config)
        return saved is not None and any(channel == "__resume__" for _, channel, _ in saved.pending_writes or ())

    async def go(self, graph_input: Any) -> Outcome:
        """Let the graph run until it pauses or ends. Never raises for what the agent does."""
        token, whole = current.set(self.ctx), breakpoints.driven.set(self.graph)
        control, budget = RunControl(), self.recorder.budget
        self.ctx.is_ending = lambda: control.drain_requested
        budget.on_reached = functools.partial(_drain, control, LIMIT)
        began, (seconds, late) = time.monotonic(), budget.begin_stretch()
        cut = asyncio.timeout(max(seconds, 0) + GRACE)
        try:
            if seconds <= 0:
                raise late
            async with self.recorder, _watched(self, control, seconds, late), cut:
                await self._stream(graph_input, control)
            snapshot = await self.snapshot()
        except AttemptLost:
            return Outcome("lost")
        except DeskUnavailable as error:
            return Outcome("unavailable", error={"kind": "unavailable", "message": str(error)})
        except GraphDrained:
            if control.drain_reason == LIMIT:
                return Outcome("limit", reached=budget.reached)
            return Outcome("drained" if stopping.is_asked() else "cancelled")
        except LimitReached as reached:
            return Outcome("limit", reached=reached)
        except GraphRecursionError:
            return Outcome("limit", reached=LimitReached("supersteps", self.ctx.limits["supersteps"]))
        except Exception as error:  # whatever an agent's code raises ends its run with a reason
            if cut.expired():
                return Outcome("limit", reached=late)
            told = traceback.format_exc()
            return Outcome("failed", error=public(error), traceback=told, is_refused=is_invalid_resume(error))
        finally:
            budget.seconds += time.monotonic() - began
            breakpoints.driven.reset(whole)
            current.reset(token)
        if self.recorder.lost is not None:
            return Outcome("lost")
        if is_over(snapshot):
            return Outcome("ended", snapshot, output=plain(snapshot.values))
        return Outcome("paused", snapshot)

    async def _stream(self, graph_input: Any, control: RunControl) -> None:
        # "messages" makes chat models stream where a node only invokes them; their words reach the recorder by its callbacks.
        async for part in self.graph.astream(
            graph_input,
            self.config,
            context=self.context,
            stream_mode=["tasks", "messages"],
            subgraphs=True,
            version="v2",
            durability="sync",
            control=control,
        ):
            if part["type"] == "tasks":
                self.recorder.task(dict(part["data"]))


def _store(graph: Graph, occasion: Occasion) -> BaseStore | None:
    """The graph's own store where it has a lasting one. One in memory, as in many examples, would forget at every pause."""
    return occasion.store if graph.store is None or isinstance(graph.store, InMemoryStore) else graph.store


def _context(graph: Graph, occasion: Occasion) -> dict[str, Any] | None:
    """What LangGraph makes the graph's context from. Without values, one whose fields all have defaults is still made."""
    schema = graph.context_schema
    if occasion.context or schema is None:
        return occasion.context or None
    if is_dataclass(schema):
        required = any(f.default is MISSING and f.default_factory is MISSING and f.init for f in fields(schema))
    else:
        required = issubclass(schema, BaseModel) and any(f.is_required() for f in schema.model_fields.values())
    return None if required else {}


def is_over(snapshot: StateSnapshot) -> bool:
    """Whether the graph has ended there. ``snapshot.next`` does not tell: it leaves out tasks whose writes are stored already,
    so a process that died between the last task of a step and the checkpoint after it would leave a graph that looks ended."""
    return not snapshot.tasks


def _drain(control: RunControl, because: str) -> None:
    """Let the graph end its present step and go no further. Who wanted that first has the word."""
    if not control.drain_requested:
        control.request_drain(because)


@contextlib.asynccontextmanager
async def _watched(drive: Drive, control: RunControl, seconds: float, late: LimitReached) -> AsyncIterator[None]:
    """Drain the graph at its next step when this process is to end, somebody wants the run cancelled, another attempt has begun
    or its ``seconds`` are over."""

    async def watch() -> None:
        ends = time.monotonic() + seconds
        query = "SELECT attempt, cancel_requested_at IS NOT NULL AS cancel FROM runs_run WHERE id = %s"
        while True:
            if stopping.is_asked():
                control.request_drain("stopping")
                return
            left = ends - time.monotonic()
            if left <= 0:
                drive.recorder.budget.reach(late)
            await asyncio.sleep(min(WATCH, left) if left > 0 else WATCH)
            try:
                async with drive.pool.connection() as connection:
                    row = await (await connection.execute(query, (drive.ctx.run_id,))).fetchone()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                continue  # the database is away; whoever writes next says so
            if row is None or row["cancel"] or row["attempt"] != drive.ctx.attempt:
                control.request_drain("cancelled")
                return

    watcher = asyncio.create_task(watch(), name=f"watch {drive.ctx.run_id}")
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


def public(error: Exception) -> dict[str, str]:
    """What everybody may read; the traceback is for operators."""
    return {"kind": type(error).__name__, "message": str(error)[:2000] or "The agent's code raised an error."}


def plain(values: Any) -> Any:
    """A graph's output with messages as plain mappings, for people and other programs."""
    if isinstance(values, BaseMessage):
        kept = {"type": values.type, "content": values.content, "name": values.name, "id": values.id}
        return {**kept, **({"tool_calls": calls} if (calls := getattr(values, "tool_calls", None)) else {})}
    if isinstance(values, dict):
        return {key: plain(item) for key, item in values.items()}
    if isinstance(values, (list, tuple)):
        return [plain(item) for item in values]
    return values
