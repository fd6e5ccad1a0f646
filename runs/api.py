"""The API of runs: start, follow, cancel, continue, fork, give input."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from django.urls import reverse
from ninja import Router, Schema, Status
from pydantic import Field

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from agentdesk.wire import PAGE_SIZE, REFUSALS, Failure, Limit, Page, Text, Value, caller, shown, slice_of
from approvals.models import Approval
from runs import access, lifecycle, threads
from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus

router = Router(tags=["runs"])


class StartIn(Schema, extra="forbid"):
    agent: Text = Field(description="Slug of the agent.", max_length=64)
    input: Value = Field(description="What the graph gets. A text becomes a message where the agent takes messages.")
    dry_run: bool = Field(False, description="No tool runs: each says what it would do.")
    config: dict[str, Value] = Field({}, description="For the graph: `configurable`, `tags`, `metadata`.")
    context: dict[str, Value] = Field({}, description="Values for the graph's context schema.")
    limits: dict[str, int | Decimal] = Field({}, description='Lower than those of the agent, such as `{"model_calls": 5}`.')
    scope: dict[str, Value] = Field({}, description='What it is about, such as `{"customer": 17}`: calls outside are asked.')
    tools: list[Text] | None = Field(None, description="Names of the tools that it may use; null: all of its agent.")


class ForkIn(Schema, extra="forbid"):
    checkpoint: Text = Field(description="Id of a checkpoint of the run's thread.", min_length=1, max_length=64)
    dry_run: bool = Field(True, description="False: its tools take effect, where policy and people let them.")
    input: Value = Field(None, description="New input for the graph at that checkpoint; null: it goes on as it would have.")


class ContinueIn(Schema, extra="forbid"):
    more: dict[str, int | Decimal] = Field(
        {}, description='What is granted beyond the run\'s limits, such as `{"model_calls": 20}`.'
    )


class InputIn(Schema, extra="forbid"):
    input: Value = Field(description="What the graph gets next, on the same thread.")


class RunOut(Schema):
    id: UUID
    agent: str
    agent_version: str
    team: str
    status: RunStatus
    stop_reason: str
    title: str
    input: Any
    output: Any
    error: Any
    approvals: list[UUID] = Field(description="What people were and are asked about, oldest first.")
    dry_run: bool
    scope: dict[str, Any] = Field(description="What it is about.")
    tools: list[str] | None = Field(description="The tools that it may use; null: all of its agent.")
    limits: dict[str, Any]
    counters: dict[str, Any]
    attempt: int
    requested_by: str
    parent: UUID | None = Field(description="The run that it was forked from.")
    parent_checkpoint: str
    forks: list[UUID] = Field([], description="Runs forked from it, oldest first; with one run only.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    held_at: datetime | None = Field(description="Since when it waits for room: its agent has runs enough at work.")
    active_seconds: float
    url: str

    @classmethod
    def of(cls, run: Run, approvals: Sequence[UUID]) -> Self:
        return cls(
            id=run.id, agent=run.agent.slug, agent_version=run.agent_version, team=run.team.slug,
            status=RunStatus(run.status), stop_reason=run.stop_reason, title=masking.text(run.title), input=shown(run.input),
            output=shown(run.output), error=shown(run.error), approvals=list(approvals), dry_run=run.dry_run,
            scope=run.scope, tools=run.tools,
            limits=run.limits, counters=run.counters, attempt=run.attempt, requested_by=run.requester_label,
            parent=run.parent_id, parent_checkpoint=run.parent_checkpoint, forks=[], created_at=run.created_at,
            started_at=run.started_at, finished_at=run.finished_at,
            cancel_requested_at=run.cancel_requested_at, held_at=run.held_at, active_seconds=run.active_seconds,
            url=settings.AGENTDESK_URL + reverse("runs:detail", args=[run.id]),
        )  # fmt: skip


class CallOut(Schema):
    """One tool call, with its three sets of arguments."""

    id: UUID
    tool: str
    status: CallStatus
    verdict: str
    policy_version: int | None
    approval: UUID | None
    asked_args: Any
    approved_args: Any
    executed_args: Any
    result: Any
    error: Any
    proposed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, call: ToolCall) -> Self:
        return cls(
            id=call.id, tool=call.tool, status=CallStatus(call.status), verdict=call.verdict,
            policy_version=call.policy_version, approval=call.approval_id, asked_args=shown(call.asked_args),
            approved_args=shown(call.approved_args), executed_args=shown(call.executed_args), result=shown(call.result),
            error=shown(call.error), proposed_at=call.proposed_at, started_at=call.started_at, ended_at=call.ended_at,
        )  # fmt: skip


class RunDetail(RunOut):
    calls: list[CallOut]
    traceback: str | None = Field(description="For operators of the run's team; null for everybody else.")


class StepOut(Schema):
    id: int
    key: UUID
    parent_key: UUID | None
    attempt: int
    kind: StepKind
    name: str
    status: StepStatus
    started_at: datetime
    ended_at: datetime | None
    data: Any

    @classmethod
    def of(cls, step: Step) -> Self:
        return cls(
            id=step.pk, key=step.key, parent_key=step.parent_key, attempt=step.attempt, kind=StepKind(step.kind),
            name=step.name, status=StepStatus(step.status), started_at=step.started_at, ended_at=step.ended_at,
            data=shown(step.data),
        )  # fmt: skip


class CheckpointOut(Schema):
    id: str
    step: int
    source: str = Field(description="What made it: input, loop, update or fork.")
    at: datetime
    after: list[str] = Field(description="Nodes that led to it.")
    next: list[str] = Field(description="Nodes that ran from it, or would.")


@router.post("", response={201: RunOut, REFUSALS: Failure}, summary="Start a run")
def start_run(request: HttpRequest, payload: StartIn) -> Status[RunOut]:
    """413: the input is over the desk's limit. 409: the agent is switched off or could not be loaded. 422: a limit is above
    the agent's."""
    run = lifecycle.start(
        payload.agent, payload.input, actor=Actor.from_request(request, "api"), dry_run=payload.dry_run,
        config=payload.config, context=payload.context, lower=payload.limits,
        scope=payload.scope, tools=payload.tools,
    )  # fmt: skip
    return Status(201, RunOut.of(run, []))


@router.get("", response={200: Page[RunOut], REFUSALS: Failure}, summary="Runs of your teams, newest first")
def list_runs(
    request: HttpRequest,
    status: RunStatus | None = None,
    agent: Text | None = None,
    cursor: Text | None = None,
    limit: Limit = PAGE_SIZE,
) -> Page[RunOut]:
    runs = Run.objects.visible_to(caller(request)).select_related("agent", "team").defer("traceback")
    if status is not None:
        runs = runs.filter(status=status)
    if agent is not None:
        runs = runs.filter(agent__slug=agent)
    page = slice_of(runs, cursor, limit)
    approvals = approval_ids(page.rows)
    return Page[RunOut](items=[RunOut.of(run, approvals[run.id]) for run in page.rows], next=page.next)


@router.get("/{run_id}", response={200: RunDetail, REFUSALS: Failure}, summary="One run with its tool calls")
def get_run(request: HttpRequest, run_id: UUID) -> RunDetail:
    return detail(_run(request, run_id), caller(request))


@router.get("/{run_id}/steps", response={200: Page[StepOut], REFUSALS: Failure}, summary="Steps of a run, in order")
def list_steps(request: HttpRequest, run_id: UUID, cursor: Text | None = None, limit: Limit = PAGE_SIZE) -> Page[StepOut]:
    page = slice_of(_run(request, run_id).steps.all(), cursor, limit, newest_first=False)
    return Page[StepOut](items=[StepOut.of(step) for step in page.rows], next=page.next)


@router.get(
    "/{run_id}/checkpoints", response={200: list[CheckpointOut], REFUSALS: Failure}, summary="Where a run can be forked"
)
def list_checkpoints(request: HttpRequest, run_id: UUID) -> list[CheckpointOut]:
    """The newest 200, newest first."""
    return checkpoints_of(_run(request, run_id))


@router.post("/{run_id}/cancel", response={200: RunDetail, REFUSALS: Failure}, summary="Cancel a run")
def cancel_run(request: HttpRequest, run_id: UUID) -> RunDetail:
    """A run that waits ends at once; one that works ends after its present step. 409: it has ended already."""
    run = _run(request, run_id)
    lifecycle.cancel(run.id, actor=Actor.from_request(request, "api"))
    return detail(_run(request, run_id), caller(request))


@router.post("/{run_id}/fork", response={201: RunOut, REFUSALS: Failure}, summary="Start a new run from a checkpoint")
def fork_run(request: HttpRequest, run_id: UUID, payload: ForkIn) -> Status[RunOut]:
    """Nothing that people decided carries over: the new run's calls are asked about anew, and unless `dry_run` is false they
    take no effect. 404: no such checkpoint."""
    run = _run(request, run_id)
    new = lifecycle.fork(
        run.id, payload.checkpoint, actor=Actor.from_request(request, "api"), dry_run=payload.dry_run, run_input=payload.input
    )
    return Status(201, RunOut.of(new, []))


@router.post("/{run_id}/continue", response={200: RunDetail, REFUSALS: Failure}, summary="Continue a run that stopped")
def continue_run(request: HttpRequest, run_id: UUID, payload: ContinueIn) -> RunDetail:
    """From its last checkpoint, after it failed or was stopped, with more of its limits where some is granted. 409: it has not
    ended, or otherwise."""
    run = _run(request, run_id)
    lifecycle.continue_(run.id, actor=Actor.from_request(request, "api"), more=payload.more)
    return detail(_run(request, run_id), caller(request))


@router.post("/{run_id}/reask", response={200: RunDetail, REFUSALS: Failure}, summary="Ask anew what poisoned a run")
def reask_run(request: HttpRequest, run_id: UUID) -> RunDetail:
    """After its graph raised on an answer that its thread keeps (`error.poisoned`): the decision is void, and asked again.
    409: no stored answer keeps the run from going on."""
    run = _run(request, run_id)
    lifecycle.reask(run.id, actor=Actor.from_request(request, "api"))
    return detail(_run(request, run_id), caller(request))


@router.post("/{run_id}/input", response={200: RunDetail, REFUSALS: Failure}, summary="Give a run new input")
def give_input(request: HttpRequest, run_id: UUID, payload: InputIn) -> RunDetail:
    """A new turn on the same thread; what the run was asking is superseded. 409: it is at work, or ended otherwise than by
    success."""
    run = _run(request, run_id)
    lifecycle.give_input(run.id, payload.input, actor=Actor.from_request(request, "api"))
    return detail(_run(request, run_id), caller(request))


def detail(run: Run, reader: User | None) -> RunDetail:
    """All that is known of one run. ``reader`` None: somebody with a shell on the desk's machine."""
    is_open = reader is None or access.may_see_traceback(reader, run)
    calls = [CallOut.of(call) for call in run.calls.all()]
    whole = RunOut.of(run, approval_ids([run])[run.id])
    forks = list(Run.objects.filter(parent=run).order_by("pk").values_list("pk", flat=True))
    told = masking.text(run.traceback) if is_open else None
    return RunDetail(**(whole.model_dump() | {"forks": forks}), calls=calls, traceback=told)


def checkpoints_of(run: Run) -> list[CheckpointOut]:
    return [CheckpointOut.model_validate(asdict(found)) for found in threads.checkpoints(run.thread_id)]


def approval_ids(runs: Sequence[Run]) -> dict[UUID, list[UUID]]:
    """The approvals of each of the runs, in one query."""
    found: dict[UUID, list[UUID]] = defaultdict(list)
    asked = Approval.objects.filter(source=lifecycle.SOURCE, source_ref__in=[str(run.id) for run in runs])
    for ref, approval in asked.order_by("id").values_list("source_ref", "id"):
        found[UUID(ref)].append(approval)
    return found


def _run(request: HttpRequest, run_id: UUID) -> Run:
    """The run, if the caller's teams show it. Raises Http404."""
    runs = Run.objects.visible_to(caller(request)).select_related("agent", "team")
    run = runs.filter(pk=run_id).first()
    if run is None:
        raise Http404
    return run
