"""The verbs of a run: start, cancel, continue, fork, give input.

They write what is wanted; a worker does it (``runs.engine.advance``).
"""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor, record
from agentdesk.digests import encode
from agentdesk.live.push import hint, push
from approvals import decisions, requests
from approvals.models import Approval, Decision
from approvals.states import OPEN
from runs import calls, given, threads
from runs.access import may_operate, may_start
from runs.errors import (
    AgentUnavailable,
    InputTooLarge,
    InvalidInput,
    NotAllowed,
    NotEnded,
    NotLive,
    UnknownAgent,
    UnknownCheckpoint,
)
from runs.models import Agent, Run
from runs.states import ENDED, LIVE, RunStatus

ADVANCE = "runs.tasks.advance"
SOURCE = "runs"


@transaction.atomic
def start(
    agent_slug: str,
    run_input: Any,
    *,
    actor: Actor,
    dry_run: bool = False,
    config: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
) -> Run:
    """Queue a run of an agent. ``run_input`` is what its graph takes, as plain JSON values; ``config`` ({configurable, tags,
    metadata}) and ``context`` go over those of the agent.

    Raises UnknownAgent (also for an agent that the actor may not see), AgentUnavailable, InvalidInput, InputTooLarge.
    """
    agent = Agent.objects.select_related("team").filter(slug=agent_slug).first()
    if agent is None or (actor.user is not None and not may_start(actor.user, agent)):
        raise UnknownAgent(f"There is no agent {agent_slug!r}.")
    if not agent.enabled:
        raise AgentUnavailable("This agent is switched off.")
    if agent.load_error:
        raise AgentUnavailable(f"This agent cannot be loaded: {agent.load_error.strip().splitlines()[-1]}")
    _check_input(run_input)
    given.check(config or {}, context or {})
    run = Run(
        config=config or {}, context=context or {},
        agent=agent, team=agent.team, agent_version=agent.code_version, input=encode(run_input), dry_run=dry_run,
        title=title_of(run_input), requester=actor.user, requester_label=actor.label,
    )  # fmt: skip
    run.thread_id = str(run.pk)
    faults.at("run.insert.before")
    run.save(force_insert=True)
    faults.at("run.insert.after")
    _record(run, "run.started", actor, after={"status": run.status, "agent": agent.slug, "version": run.agent_version},
            content={"input": run.input, **_options(run)})  # fmt: skip
    push("run", run.pk, run.revision)
    hint(ADVANCE, str(run.pk))
    return run


@transaction.atomic
def cancel(run_id: UUID, *, actor: Actor) -> Run:
    """Wish that the run ends. One that waits ends now; one at work ends its step first. Raises NotAllowed, NotLive."""
    run = _operable(run_id, actor)
    if run.status in ENDED:
        raise NotLive
    now = timezone.now()
    wished = Run.objects.filter(pk=run_id, status__in=LIVE, cancel_requested_at__isnull=True).update(
        cancel_requested_at=now,
        cancel_requested_by=actor.label,
        wanted=F("wanted") + 1,
        revision=F("revision") + 1,
        changed_at=now,
    )
    if wished:
        _record(run, "run.cancel_requested", actor)
        push("run", run.pk, run.revision + 1)
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    return run


@transaction.atomic
def continue_(run_id: UUID, *, actor: Actor) -> Run:
    """Let a run that failed or was stopped go on from its last checkpoint. Raises NotAllowed, NotEnded."""
    run = _operable(run_id, actor)
    now = timezone.now()
    moved = Run.objects.filter(pk=run_id, status__in=(RunStatus.FAILED, RunStatus.STOPPED)).update(
        status=RunStatus.QUEUED, stop_reason="", error=None, traceback="", finished_at=None, changed_at=now,
        wanted=F("wanted") + 1, revision=F("revision") + 1, counters={**run.counters, "deaths": 0},
    )  # fmt: skip
    if not moved:
        raise NotEnded("Only a run that failed or was stopped can be continued.")
    _record(run, "run.continued", actor, before={"status": run.status}, after={"status": RunStatus.QUEUED})
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


@transaction.atomic
def fork(run_id: UUID, checkpoint: str, *, actor: Actor) -> Run:
    """A new run that goes on from a checkpoint of this one. Nothing that people decided carries over: its calls are asked about
    anew. Raises NotAllowed, UnknownCheckpoint, AgentUnavailable."""
    parent = _operable(run_id, actor)
    if not parent.agent.enabled:
        raise AgentUnavailable("This agent is switched off.")
    run = Run(
        config=parent.config, context=parent.context,
        agent=parent.agent, team=parent.team, agent_version=parent.agent.code_version, input=parent.input,
        dry_run=parent.dry_run, title=parent.title, limits=parent.limits, parent=parent,
        parent_checkpoint=checkpoint, requester=actor.user,
        requester_label=actor.label,
    )  # fmt: skip
    run.thread_id = str(run.pk)
    run.save(force_insert=True)
    if not threads.copy(parent.thread_id, run.thread_id, checkpoint):
        raise UnknownCheckpoint
    _record(run, "run.forked", actor, after={"status": run.status, "from": str(parent.pk), "checkpoint": checkpoint})
    push("run", run.pk, run.revision)
    hint(ADVANCE, str(run.pk))
    return run


@transaction.atomic
def give_input(run_id: UUID, run_input: Any, *, actor: Actor) -> Run:
    """Give a run that waits, or has succeeded, new input on its thread. What it was asking is superseded: its graph begins a
    new turn. Raises NotAllowed, InvalidInput, InputTooLarge, NotLive when the run is at work or ended otherwise."""
    run = _operable(run_id, actor)
    _check_input(run_input)
    fields = {"next_input": encode(run_input), "next_input_at": "", "finished_at": None, "changed_at": timezone.now()}
    moved = Run.objects.filter(pk=run_id, status__in=(RunStatus.WAITING, RunStatus.SUCCEEDED)).update(
        status=RunStatus.QUEUED, wanted=F("wanted") + 1, revision=F("revision") + 1, **fields
    )
    if not moved:
        raise NotLive("Only a run that waits for people or has succeeded takes new input.")
    for approval in Approval.objects.filter(source=SOURCE, source_ref=str(run_id), status__in=OPEN):
        requests.supersede(approval.pk, actor, "The run was given new input.")
    calls.withdraw_open(run)
    _record(run, "run.input", actor, before={"status": run.status}, after={"status": RunStatus.QUEUED},
            content={"input": fields["next_input"]})  # fmt: skip
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


@transaction.atomic
def close(run: Run, status: RunStatus) -> None:
    """Tidy up behind an ended run: open questions are withdrawn, and no decision is left to hand over."""
    actor = Actor.desk()
    for approval in Approval.objects.filter(source=SOURCE, source_ref=str(run.pk), status__in=OPEN):
        requests.withdraw(approval.pk, actor, f"The run ended: {status}.")
    left = Decision.objects.filter(approval__source=SOURCE, approval__source_ref=str(run.pk), delivered_at__isnull=True)
    decisions.mark_delivered([decision.pk for decision in left.filter(voided_at__isnull=True)])


def limits_of(run: Run) -> dict[str, int]:
    """The limits in force: the desk's, the agent's, lowered by the run's own."""
    agent = {**settings.RUN_LIMITS, **{k: int(v) for k, v in run.agent.limits.items() if k in settings.RUN_LIMITS}}
    return {name: min(value, int(run.limits.get(name, value))) for name, value in agent.items()}


def title_of(run_input: Any) -> str:
    """A line that tells one run from another: the subject or first line of what it was asked."""
    text = run_input
    if isinstance(text, dict):
        text = text.get("messages") or next(iter(text.values()), "")
    if isinstance(text, list):
        text = text[0] if text else ""
    if isinstance(text, dict):
        text = text.get("content", "")
    if not isinstance(text, str):
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    subject = next((line[8:].strip() for line in lines if line.lower().startswith("subject:")), "")
    return "".join(c if c.isprintable() else " " for c in subject or (lines[0] if lines else ""))[:200]


def _options(run: Run) -> dict[str, Any]:
    return {name: value for name, value in (("config", run.config), ("context", run.context)) if value}


def _check_input(run_input: Any) -> None:
    if run_input is None:
        raise InvalidInput("The input is missing.")
    try:
        size = len(json.dumps(run_input, ensure_ascii=True))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input is not JSON: {error}") from error
    if size > settings.INPUT_MAX_BYTES:
        raise InputTooLarge(f"The input has {size:,} bytes; at most {settings.INPUT_MAX_BYTES:,} are taken.")


def _operable(run_id: UUID, actor: Actor) -> Run:
    run = Run.objects.select_related("agent").filter(pk=run_id).first()
    if run is None or (actor.user is not None and not may_operate(actor.user, run)):
        raise NotAllowed
    return run


def _record(run: Run, action: str, actor: Actor, **facts: Any) -> None:
    record(
        action,
        actor=actor,
        object_type="run",
        object_id=run.pk,
        object_label=str(run),
        team_id=run.team_id,
        run_id=run.pk,
        **facts,
    )
