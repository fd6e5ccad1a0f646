"""The one road. Starting, going on after a decision, recovering after a crash and continuing after a limit was raised are all
:func:`advance`. A worker may die at any line of it, and running it again is always right.

    want → claim → read the checkpoint → ┬─ something waits for people ──────────→ WAITING
             ↑                           ├─ answers are there → drive → paused? ─┐
             │                           │                        ended → SUCCEEDED, FAILED, CANCELLED, STOPPED
             └── wanted meanwhile ←──────┴────────────────────────────────────────┘
"""

import contextlib
import logging
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID, uuid4

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from agentdesk import faults
from agentdesk.digests import decode, encode
from agentdesk.groups import group_of
from agentdesk.live.push import hint
from agentdesk.telemetry import about
from approvals.errors import ApprovalError
from approvals.handover import mark_delivered
from approvals.states import Kind
from runs import given, lifecycle, limits, undo
from runs.engine import breakpoints, claims, evidence, pauses, places, registry, released
from runs.engine.breakpoints import Breakpoint
from runs.engine.budget import Budget, recounted
from runs.engine.claims import Claim, ClaimInDoubt
from runs.engine.drive import Drive, Outcome, is_over, plain, public
from runs.engine.making import Graph, Occasion
from runs.engine.process import Process, this_process
from runs.engine.recorder import Event, Recorder
from runs.engine.registry import LoadedAgent
from runs.errors import RunError
from runs.models import PinnedAnswer, Run, Step
from runs.queues import ADVANCE
from runs.states import ENDED, RunStatus, StepKind, StepStatus
from runs.tools import endings
from runs.tools.context import AttemptLost, DeskUnavailable, LimitReached, RunContext

log = logging.getLogger(__name__)

PAUSE = "waiting for people"
RETURNS = 20  # times in a row that a run is given back, after which nobody tries again
RETRIES = 8  # of giving a run back while the database is away; then its lock is gone, and the sweep finds it


def advance(run_id: UUID) -> None:
    """Bring the run as far as it goes now. Safe to call at any time, from any worker, any number of times."""
    with about(run=run_id):
        faults.at("advance.begin")
        again = claims.want(run_id)
        while again:
            again = _once(run_id)


def _once(run_id: UUID) -> bool:
    """Claim the run and drive it. True when somebody must look again."""
    try:
        claim = claims.claim(run_id, this_process().presence.key())
    except ClaimInDoubt as doubt:
        log.warning("%s", doubt)
        return _give_back(doubt.claim, doubt)
    return claim is not None and _work(claim)


def _work(claim: Claim) -> bool:
    """Drive a claimed run and let go of it. True when somebody must look again."""
    began = time.monotonic()
    faults.at("claim.commit.after")
    try:
        end = _Attempt(claim, this_process()).work()
    except AttemptLost:
        log.warning("attempt %s was taken over", claim.attempt)
        return False
    except (OperationalError, InterfaceError, DeskUnavailable) as error:
        log.warning("the database did not answer: %s", error)
        return _give_back(claim, error, time.monotonic() - began)
    except Exception as error:  # a fault of the desk: a run that nobody lets go of would stay running for ever
        log.exception("run %s could not be driven", claim.run.pk)
        end = End(
            RunStatus.FAILED, "", {"kind": "desk", "message": f"The desk failed: {error!r}"[:2000]}, traceback.format_exc()
        )
    try:
        return _settle(claim, end, time.monotonic() - began)
    except (OperationalError, InterfaceError) as error:  # else the run would stay with this process, which does nothing for it
        log.warning("the database did not answer at the end: %s", error)
        return _give_back(claim, error, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class End:
    """The state a stretch of work leaves the run in."""

    status: RunStatus
    because: str = ""
    error: dict[str, Any] | None = None
    traceback: str = ""
    output: Any = None
    counters: dict[str, Any] = field(default_factory=dict)
    decisions: list[UUID] = field(default_factory=list)  # that the graph was given in its last stretch


class _Attempt:
    """One claimed stretch of work."""

    def __init__(self, claim: Claim, process: Process) -> None:
        self.claim, self.run, self.process = claim, claim.run, process
        # Pauses that are open, by key; None: not read yet. Only attempts write steps: the first one knows that there are none.
        self.pauses: list[UUID] | None = [] if claim.attempt == 1 else None

    def work(self) -> End:
        run = self.run
        if run.cancel_requested_at is not None:
            return End(RunStatus.CANCELLED)
        if int(run.counters.get("deaths", 0)) >= claims.POISON:
            return End(RunStatus.STOPPED, "poison", evidence.of_deaths(run))
        try:
            loaded = self._agent()
        except RunError as error:
            return End(RunStatus.FAILED, "", {"kind": error.code, "message": str(error)})
        occasion = self._occasion()
        with contextlib.ExitStack() as stack:
            try:
                graph = stack.enter_context(self.process.opened(loaded, occasion))
            except Exception as error:  # a factory of the agent's: what it raises ends its run with a reason
                return End(RunStatus.FAILED, "", public(error), traceback.format_exc())
            budget = self._budget()
            drive, snapshot = self.process.run(self._open(graph, occasion, budget))
            if self.run.renew_at and self.run.renew_at == _checkpoint(snapshot):
                snapshot = self.process.run(drive.renew())
            first = self._first_input(snapshot)
            end = self._loop(drive, snapshot, first) if first else self._under_new_code(drive, snapshot, loaded.version)
            return replace(end, counters=drive.recorder.budget.counters())

    def _agent(self) -> LoadedAgent:
        """Raises UnknownAgent, AgentUnavailable."""
        if self.run.undoes_id is None:
            return registry.get(self.run.agent.slug)
        return registry.undoing_agent(self.run.agent.slug, undo.tool_name(decode(self.run.input)))

    def _under_new_code(self, drive: Drive, snapshot: StateSnapshot, version: str) -> End:
        """Go on where the agent's code may have been replaced while the run waited (see ``runs.engine.released``)."""
        if version == self.run.agent_version:
            return self._loop(drive, snapshot, None)
        if is_over(snapshot) and released.undelivered(self.run):
            return End(RunStatus.STOPPED, released.PARKED, released.parked())
        if asked := released.questions(snapshot):
            answered = self.process.run(drive.has_answers())
            if not answered:
                outcome = self.process.run(drive.go(None))
                if outcome.snapshot is None or outcome.kind != "paused":
                    return self._end(drive, outcome)
                snapshot = outcome.snapshot
            if answered or released.questions(snapshot) != asked:
                released.void(self.run)
                snapshot = self.process.run(drive.renew())
        Run.objects.filter(pk=self.run.pk, attempt=self.claim.attempt).update(agent_version=version)
        self.run.agent_version = version
        return self._loop(drive, snapshot, None)

    def _first_input(self, snapshot: StateSnapshot) -> pauses.Ready | None:
        """What the graph is given to begin with: the run's input where there is no checkpoint yet, or the new input of a
        further turn. That is marked with the checkpoint it was given at: once there is another, the graph has it."""
        run, checkpoint = self.run, _checkpoint(snapshot)
        if not checkpoint:
            return pauses.Ready(decode(run.input))
        if run.next_input is None:
            return None
        mine = Run.objects.filter(pk=run.pk, attempt=self.claim.attempt)
        if run.next_input_at and run.next_input_at != checkpoint:
            mine.update(next_input=None, next_input_at="")
            return None
        mine.update(next_input_at=checkpoint)
        return pauses.Ready(decode(run.next_input))

    def _loop(self, drive: Drive, snapshot: StateSnapshot, first: pauses.Ready | None) -> End:
        while True:
            if first is not None:
                ready, first = first, None
            elif is_over(snapshot):
                return End(RunStatus.SUCCEEDED, output=self._output(snapshot))
            else:
                faults.at("pause.look.before")
                try:
                    found = pauses.look(self.claim, snapshot, self._breakpoints(drive), self._paths(drive, snapshot))
                except ApprovalError as error:  # such as a payload that is too large to be shown
                    return End(RunStatus.FAILED, "", {"kind": error.code, "message": str(error)})
                except LimitReached as reached:
                    return self._at_limit(drive, reached)
                faults.at("pause.commit.after")
                if isinstance(found, pauses.Waiting):
                    self._begin_pause(drive, found.approvals)
                    return End(RunStatus.WAITING)
                if isinstance(found, pauses.Unanswerable):
                    return End(RunStatus.STOPPED, found.why)
                ready = found
            outcome = self._go(drive, ready)
            if outcome.kind == "paused" and outcome.snapshot is not None:
                snapshot = outcome.snapshot
                continue
            if outcome.kind == "ended":
                handed = [decision.pk for decision in ready.decisions]
                return End(RunStatus.SUCCEEDED, output=outcome.output, decisions=handed)
            if outcome.kind != "failed":
                return self._end(drive, outcome)
            snapshot = self.process.run(drive.snapshot())
            if outcome.is_refused and pauses.refuse(snapshot, ready.decisions, (outcome.error or {}).get("message", "")):
                continue
            poisoned = pauses.poisoned(self.claim, snapshot)
            return self._end(
                drive, replace(outcome, error={**(outcome.error or {}), **({"poisoned": poisoned} if poisoned else {})})
            )

    def _go(self, drive: Drive, ready: pauses.Ready) -> Outcome:
        seconds, late = drive.recorder.budget.begin_stretch()
        if seconds <= 0:  # before the decisions are told as taken: the graph does not get them now
            return Outcome("limit", reached=late)
        for decision in ready.decisions:
            data = {"approval": str(decision.approval_id), "verdict": decision.verdict, "by": decision.decided_by_label}
            drive.recorder.note(
                Event(decision.pk, StepKind.DECISION, decision.verdict, None, StepStatus.DONE, decision.decided_at, data=data)
            )
        self._end_pauses(drive)
        faults.at("resume.before")
        outcome = self.process.run(drive.go(ready.input))
        faults.at("resume.after")
        # With the end of a run they are marked in the transaction that ends it; but an answer that the graph took may not look
        # as if it still waited, should that transaction never come: new code might have no place for it.
        marked = [d.pk for d in ready.decisions if outcome.kind == "paused" or d.approval.kind == Kind.INTERRUPT]
        if marked and outcome.kind in ("paused", "ended"):
            mark_delivered(marked)
        return outcome

    def _end(self, drive: Drive, outcome: Outcome) -> End:
        match outcome.kind:
            case "ended":
                return End(RunStatus.SUCCEEDED, output=outcome.output)
            case "failed":
                return End(RunStatus.FAILED, "", outcome.error, outcome.traceback)
            case "limit" if outcome.reached is not None:
                return self._at_limit(drive, outcome.reached)
            case "drained":
                return End(RunStatus.QUEUED)
            case "cancelled":
                if Run.objects.filter(pk=self.run.pk, attempt=self.claim.attempt).exists():
                    return End(RunStatus.CANCELLED)
                raise AttemptLost("taken over while it drained")
            case "unavailable":
                raise DeskUnavailable((outcome.error or {}).get("message", ""))
        raise AttemptLost("taken over while it ran")

    def _at_limit(self, drive: Drive, reached: LimitReached) -> End:
        """Stopped after its step, with what it has; a line in its story says where."""
        data = {"limit": reached.limit, "value": limits.stored(reached.value)}
        drive.recorder.note(Event(uuid4(), StepKind.LIMIT, reached.limit, None, StepStatus.DONE, data=data))
        self.process.run(drive.recorder.flush())
        message = limits.told(reached.limit, reached.value, reached.detail)
        return End(RunStatus.STOPPED, f"limit:{reached.limit}", {"kind": "limit", "message": message, **data})

    def _output(self, snapshot: StateSnapshot) -> Any:
        return plain(snapshot.values)

    def _breakpoints(self, drive: Drive) -> list[Breakpoint]:
        if self.run.undoes_id is not None or not registry.get(self.run.agent.slug).has_breakpoints:
            return []
        return self.process.run(breakpoints.stands_at(drive.graph, drive.config))

    def _paths(self, drive: Drive, snapshot: StateSnapshot) -> dict[str, str]:
        """Where in subgraphs the agent asks; read only where an admin has pinned an answer there."""
        pins = PinnedAnswer.objects.filter(agent=self.run.agent_id, node__contains="/")
        if not pauses.asks_in_a_subgraph(snapshot) or not pins.exists():
            return {}
        return self.process.run(places.paths(drive.graph, drive.config))

    def _begin_pause(self, drive: Drive, approvals: list[UUID]) -> None:
        """One pause for all that is asked at once; a second look, when some of it is decided, finds it open."""
        if not self._open_pauses():
            data = {"approvals": [str(pk) for pk in approvals]}
            drive.recorder.note(Event(approvals[0], StepKind.PAUSE, PAUSE, data=data))
            self.process.run(drive.recorder.flush())
            self.pauses = [approvals[0]]

    def _end_pauses(self, drive: Drive) -> None:
        for key in self._open_pauses():
            drive.recorder.note(Event(key, StepKind.PAUSE, PAUSE, None, StepStatus.DONE))
        self.pauses = []

    def _open_pauses(self) -> list[UUID]:
        if self.pauses is None:
            open_ = Step.objects.filter(run=self.run, kind=StepKind.PAUSE, status=StepStatus.OPEN)
            self.pauses = list(open_.order_by("id").values_list("key", flat=True))
        return self.pauses

    def _occasion(self) -> Occasion:
        """What the graph is given beside its input."""
        group = group_of(self.run.agent.manifest, settings.AGENTS)
        store = self.process.store(group.label if group else "agents")
        return Occasion(
            cast(RunnableConfig, given.config_of(self.run)), given.context_of(self.run), store, given.user_of(self.run)
        )

    async def _open(self, graph: Graph, occasion: Occasion, budget: Budget) -> tuple[Drive, StateSnapshot]:
        drive = self._drive(graph, occasion, budget)
        await faults.at_on_loop("checkpoint.read.before")
        snapshot = await drive.snapshot()
        await faults.at_on_loop("checkpoint.read.after")
        return drive, snapshot

    def _budget(self) -> Budget:
        """What the run may still use. An attempt that ended without a word wrote no counters: its steps tell."""
        run = self.run
        was_cut = self.claim.orphaned or run.counters.get("returned") or run.counters.get("recount")
        used = recounted(run) if was_cut else run.counters
        return Budget(limits.limits_of(run), used, self.process.prices(), run.active_seconds)

    def _drive(self, graph: Graph, occasion: Occasion, budget: Budget) -> Drive:
        run, recorder = self.run, Recorder(self.process.pool, self.run.pk, self.claim.attempt, budget)
        run_input = decode(run.input)
        ctx = RunContext(
            run_id=run.pk, attempt=self.claim.attempt, agent=run.agent.slug, agent_version=run.agent_version,
            team_id=run.team_id, requester_id=run.requester_id, title=run.title,
            subject="" if run.undoes_id else pauses.subject_of(run_input),
            run_input=run_input, dry_run=run.dry_run, limits=budget.limits, on_call=recorder.call, on_cost=budget.spend,
            scope=run.scope, tools=run.tools, outside_scope=run.agent.outside_scope, input_untrusted=run.agent.input_untrusted,
            parent_id=run.parent_id, owner_id=run.agent.owner_id, undoes=run.undoes_id,
        )  # fmt: skip
        return Drive(graph, self.process.savers, ctx, occasion, recorder)


def _checkpoint(snapshot: StateSnapshot) -> str:
    """The id of the checkpoint that a thread stands at; empty where there is none yet."""
    return str(snapshot.config["configurable"].get("checkpoint_id") or "")


def _settle(claim: Claim, end: End, seconds: float) -> bool:
    fields: dict[str, Any] = {"active_seconds": F("active_seconds") + seconds}
    if end.error is not None:
        fields |= {"error": end.error, "traceback": end.traceback}
    if end.output is not None:
        fields["output"] = encode(end.output)
    if end.status in (RunStatus.WAITING, RunStatus.SUCCEEDED):
        fields |= {"next_input": None, "next_input_at": ""}
    if end.counters:
        # Who gets as far as a question makes progress: only deaths in a row are poison.
        deaths = {"deaths": 0, "returned": 0} if end.status == RunStatus.WAITING else {}
        fields["counters"] = {**claim.run.counters, **end.counters, **deaths, "recount": False}
    if end.status == RunStatus.QUEUED:  # this process ends; another goes on at once
        if claims.release(claim, end.status, **fields) is not None:
            hint(ADVANCE, str(claim.run.pk))
        return False
    if end.status not in ENDED:
        return bool(claims.release(claim, end.status, because=end.because, **fields))
    with transaction.atomic():
        if claims.release(claim, end.status, because=end.because, **fields) is None:
            return False
        mark_delivered(end.decisions)
        endings.leave(claim.run, end.status)
        lifecycle.close(claim.run, end.status)
    faults.at("close.after")
    return False


def _give_back(claim: Claim, error: Exception, seconds: float = 0) -> bool:
    """The database was away: put the run back in the queue, or stop it where that happens again and again. Should that never
    work, this process's lock is gone too, and any other finds the run orphaned."""
    returned = int(claim.run.counters.get("returned", 0)) + 1
    claim.run.counters = {**claim.run.counters, "returned": returned}
    if returned >= RETURNS:
        return _stop(claim, error, seconds)
    for attempt in range(RETRIES):
        try:
            claims.release(claim, RunStatus.QUEUED, counters=claim.run.counters, active_seconds=F("active_seconds") + seconds)
        except (OperationalError, InterfaceError):
            time.sleep(min(2**attempt * 0.1, 5))
        else:
            time.sleep(min(2**returned * 0.05, 5))  # what fails at once is not tried again at once
            return True
    log.error("run %s could not be given back", claim.run.pk)
    return False


def _stop(claim: Claim, error: Exception, seconds: float) -> bool:
    end = End(RunStatus.STOPPED, "unavailable", evidence.of_outages(claim.run, error), counters={**claim.run.counters})
    try:
        return _settle(claim, end, seconds)
    except (OperationalError, InterfaceError):
        log.exception("run %s could not be stopped", claim.run.pk)
        return False
