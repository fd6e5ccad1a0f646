"""The verbs of a run: start, cancel, continue, fork, give input.

They write what is wanted; a worker does it (``runs.engine.advance``).
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk import faults
from agentdesk.audit.record import Actor, record
from agentdesk.digests import encode
from agentdesk.figures import figure
from agentdesk.live.push import hint, push
from approvals import handover, requests
from approvals.errors import Consumed
from approvals.models import Approval, Decision, Halt
from approvals.policy.fences import scope_problems
from approvals.states import OPEN, Kind, Status
from runs import calls, given, limits, threads
from runs.access import may_grant, may_operate, may_start
from runs.errors import (
    AgentUnavailable,
    InputTooLarge,
    InvalidInput,
    InvalidScope,
    NotAllowed,
    NotEnded,
    NotLive,
    NotOffered,
    NotPoisoned,
    Pruned,
    UnknownAgent,
    UnknownCheckpoint,
)
from runs.models import Agent, Run, Step, ToolCall
from runs.queues import ADVANCE
from runs.states import ENDED, LIVE, CallStatus, RunStatus, StepKind, StepStatus

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
    lower: Mapping[str, Any] | None = None,
    scope: Mapping[str, Any] | None = None,
    tools: list[str] | None = None,
    undoes: ToolCall | None = None,
    title: str = "",
) -> Run:
    """Queue a run of an agent. ``run_input`` is what its graph takes, as plain JSON values; ``config`` ({configurable, tags,
    metadata}) and ``context`` go over those of the agent; ``lower`` has limits of this run, below those of the agent;
    ``scope`` says what it is about, such as ``{"customer": 17}``, and ``tools`` names those it may use (None: all).
    ``undoes``: the call that it takes back (see ``runs.undo``); ``title``: in place of a line of the input.

    Raises UnknownAgent (also for an agent that the actor may not see), AgentUnavailable, InvalidInput, InputTooLarge,
    InvalidLimit, InvalidScope.
    """
    agents = Agent.objects.select_related("team").annotate(halted=Exists(Halt.standing()))
    agent: Any = agents.filter(slug=agent_slug).first()
    if agent is None or (actor.user is not None and not may_start(actor.user, agent)):
        raise UnknownAgent(_("There is no agent “%(agent)s”.") % {"agent": agent_slug})
    if agent.halted:
        raise AgentUnavailable(_("The desk is switched off."))
    if not agent.enabled:
        raise AgentUnavailable(_("This agent is switched off."))
    if agent.load_error:
        why = agent.load_error.strip().splitlines()[-1]
        raise AgentUnavailable(_("This agent cannot be loaded: %(why)s") % {"why": why})
    _check_input(run_input)
    given.check(config or {}, context or {})
    if wrong := scope_problems({} if scope is None else scope, tools):
        raise InvalidScope(" ".join(wrong))
    run = Run(
        config=config or {}, context=context or {}, limits=limits.lowered(agent, lower or {}),
        agent=agent, team=agent.team, agent_version=agent.code_version, input=encode(run_input), dry_run=dry_run,
        title=title or title_of(run_input), undoes=undoes, requester=actor.user, requester_label=actor.label,
        scope=dict(scope or {}), tools=tools,
    )  # fmt: skip
    run.thread_id = str(run.pk)
    faults.at("run.insert.before")
    run.save(force_insert=True)
    faults.at("run.insert.after")
    _record(run, "run.started", actor, after={"status": run.status, "agent": agent.slug, "version": run.agent_version,
                                              **({"limits": run.limits} if run.limits else {}),
                                              **({"tools": tools} if tools is not None else {}),
                                              **({"undoes": str(undoes.pk)} if undoes else {})},
            content={"input": run.input, **_options(run), **({"scope": run.scope} if run.scope else {})})  # fmt: skip
    push("run", run.pk, run.revision)
    hint(ADVANCE, str(run.pk))
    return run


@transaction.atomic
def cancel(run_id: UUID, *, actor: Actor) -> Run:
    """End a run: at once where it is queued or waits; one at work ends its step first. The same person's second wish changes
    nothing. Raises NotAllowed, NotLive."""
    run = _operable(run_id, actor)
    if run.status in ENDED:
        if run.status == RunStatus.CANCELLED and run.cancel_requested_by == actor.label:
            return run
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
        _end_idle(run, actor)
        push("run", run.pk, run.revision + 2)
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    return run


def _end_idle(run: Run, actor: Actor) -> None:
    """End a run that nobody works on. A tool that was at work when its worker gave the run back is for a worker to judge."""
    now = timezone.now()
    idle = Run.objects.filter(pk=run.pk, status__in=(RunStatus.QUEUED, RunStatus.WAITING))
    idle = idle.exclude(calls__status=CallStatus.EXECUTING)
    moved = Run.objects.filter(pk__in=idle.values("pk"), status__in=(RunStatus.QUEUED, RunStatus.WAITING)).update(
        status=RunStatus.CANCELLED, claimed_by=None, held_at=None, finished_at=now, changed_at=now, revision=F("revision") + 1
    )
    if moved:
        _record(run, "run.cancelled", actor, before={"status": run.status}, after={"status": RunStatus.CANCELLED})
        close(run, RunStatus.CANCELLED)


@transaction.atomic
def continue_(run_id: UUID, *, actor: Actor, more: Mapping[str, Any] | None = None) -> Run:
    """Let a run that failed or was stopped go on from its last checkpoint. ``more``: how much is granted beyond its limits, by
    name of the limit, by operators and admins; each at most what the desk grants a run to begin with. Raises NotAllowed,
    NotEnded, InvalidLimit."""
    run = _operable(run_id, actor)
    _refuse_undo(run)
    if more and actor.user is not None and not may_grant(actor.user, run):
        raise NotAllowed
    if run.pruned_at is not None:
        raise Pruned
    granted = limits.granted(run, more or {})
    now = timezone.now()
    moved = Run.objects.filter(
        pk=run_id, status__in=(RunStatus.FAILED, RunStatus.STOPPED), pruned_at__isnull=True
    ).update(
        status=RunStatus.QUEUED, stop_reason="", error=None, traceback="", finished_at=None, changed_at=now,
        cancel_requested_at=None, cancel_requested_by="", wanted=F("wanted") + 1, revision=F("revision") + 1,
        counters={**run.counters, "deaths": 0, "returned": 0, "recount": True}, limits=granted,
    )  # fmt: skip
    if not moved:
        raise NotEnded(_("Only a run that failed or was stopped can be continued."))
    _record(run, "run.continued", actor, before={"status": run.status, "reason": run.stop_reason},
            after={"status": RunStatus.QUEUED, **({"more": limits.as_json(more)} if more else {})})  # fmt: skip
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


@transaction.atomic
def reask(run_id: UUID, *, actor: Actor) -> Run:
    """Let a run whose graph raises on an answer that its thread has stored ask anew, on a fresh copy of its checkpoint. The
    decisions so far are void. Raises NotAllowed, NotPoisoned."""
    run = _operable(run_id, actor)
    told = (run.error or {}).get("poisoned")
    if not told:
        raise NotPoisoned
    moved = Run.objects.filter(pk=run_id, status=RunStatus.FAILED, revision=run.revision).update(
        status=RunStatus.QUEUED, renew_at=told["checkpoint"], error=None, traceback="", finished_at=None,
        changed_at=timezone.now(), wanted=F("wanted") + 1, revision=F("revision") + 1,
    )  # fmt: skip
    if not moved:
        raise NotPoisoned
    because = f"{(run.error or {}).get('kind')} in {', '.join(told['nodes'])}: the agent cannot use the answer. It asks anew."
    for approval_id in told["approvals"]:
        with suppress(Consumed):  # the tool ran under it: that stays so
            requests.supersede(approval_id, actor, because)
    _record(run, "run.continued", actor, before={"status": run.status},
            after={"status": RunStatus.QUEUED, "asked_again": told["approvals"], "checkpoint": told["checkpoint"]})  # fmt: skip
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


@transaction.atomic
def fork(
    run_id: UUID, checkpoint: str, *, actor: Actor, dry_run: bool = True, run_input: Any = None, as_id: UUID | None = None
) -> Run:
    """A new run, on a thread of its own, that goes on from a checkpoint of this one. Nothing that people decided carries over:
    its calls are asked about anew, and unless ``dry_run`` is False they take no effect.

    ``run_input``: new input that its graph is given there; None: it goes on as it would have. ``as_id``: id of the new run;
    the same post twice makes one run. Raises NotAllowed, UnknownCheckpoint, AgentUnavailable, InvalidInput, InputTooLarge.
    """
    parent = _operable(run_id, actor)
    _refuse_undo(parent)
    if Halt.standing().exists():
        raise AgentUnavailable(_("The desk is switched off."))
    if not parent.agent.enabled:
        raise AgentUnavailable(_("This agent is switched off."))
    if run_input is not None:
        _check_input(run_input)
    threads.hold(parent.pk)
    run = Run(
        config=parent.config, context=parent.context,
        agent=parent.agent, team=parent.team, agent_version=parent.agent.code_version, input=parent.input,
        next_input=None if run_input is None else encode(run_input), dry_run=dry_run, title=parent.title,
        limits=limits.own_limits(parent), parent=parent, parent_checkpoint=checkpoint, requester=actor.user,
        requester_label=actor.label, scope=parent.scope, tools=parent.tools,
    )  # fmt: skip
    if as_id is not None:
        run.pk = as_id
        known = Run.objects.filter(pk=as_id, parent=parent, parent_checkpoint=checkpoint, requester=actor.user).first()
        if known is not None:
            return known
    run.thread_id = str(run.pk)
    run.save(force_insert=True)
    if not threads.copy(parent.thread_id, run.thread_id, checkpoint):
        raise UnknownCheckpoint
    _record(run, "run.forked", actor, content=None if run_input is None else {"input": run.next_input},
            after={"status": run.status, "from": str(parent.pk), "checkpoint": checkpoint, "dry_run": dry_run})  # fmt: skip
    push("run", run.pk, run.revision)
    hint(ADVANCE, str(run.pk))
    return run


@transaction.atomic
def give_input(run_id: UUID, run_input: Any, *, actor: Actor) -> Run:
    """Give a run that waits, or has succeeded, new input on its thread. What it was asking is superseded: its graph begins a
    new turn. Raises NotAllowed, InvalidInput, InputTooLarge, NotLive when the run is at work or ended otherwise."""
    run = _operable(run_id, actor)
    _refuse_undo(run)
    _check_input(run_input)
    fields = {
        "next_input": encode(run_input), "next_input_at": "", "finished_at": None, "changed_at": timezone.now(),
        "cancel_requested_at": None, "cancel_requested_by": "",
    }  # fmt: skip
    if run.pruned_at is not None:
        raise Pruned
    moved = Run.objects.filter(pk=run_id, status__in=(RunStatus.WAITING, RunStatus.SUCCEEDED), pruned_at__isnull=True).update(
        status=RunStatus.QUEUED, wanted=F("wanted") + 1, revision=F("revision") + 1, **fields
    )
    if not moved:
        raise NotLive(_("Only a run that waits for people or has succeeded takes new input."))
    for approval in _unanswered(run_id):
        requests.supersede(approval.pk, actor, "The run was given new input.")
    calls.withdraw_open(run)
    _record(run, "run.input", actor, before={"status": run.status}, after={"status": RunStatus.QUEUED},
            content={"input": fields["next_input"]})  # fmt: skip
    hint(ADVANCE, str(run.pk))
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    return run


def _refuse_undo(run: Run) -> None:
    """An undo is one call: it is asked for again, not continued. Raises NotOffered."""
    if run.undoes_id is not None:
        raise NotOffered(_("This run undoes a call. Ask for the undo again on the page of the run that made the call."))


def _unanswered(run_id: UUID) -> QuerySet[Approval]:
    """What the run asks, and what people decided that it was not told yet."""
    told_not = Decision.objects.filter(
        approval__source=SOURCE, approval__source_ref=str(run_id), delivered_at__isnull=True, voided_at__isnull=True,
        consumed_at__isnull=True, approval__status=Status.DECIDED,
    )  # fmt: skip
    mine = Approval.objects.filter(source=SOURCE, source_ref=str(run_id))
    return mine.filter(Q(status__in=OPEN) | Q(pk__in=told_not.values("approval")))


@transaction.atomic(savepoint=False)
def close(run: Run, status: RunStatus) -> None:
    """Tidy up behind an ended run, in the transaction that ends it.

    Open questions are withdrawn, save those about calls in doubt: what happened, happened. A run that was cancelled never goes
    on: what people decided and it was not told is void, and its calls are withdrawn. After any other end a decision stands, for
    the run may be continued.
    """
    actor, because = Actor.desk(), f"The run ended: {status}."
    mine = Approval.objects.filter(source=SOURCE, source_ref=str(run.pk)).exclude(kind=Kind.IN_DOUBT)
    for approval in mine.filter(status__in=OPEN):
        requests.withdraw(approval.pk, actor, because)
    left = Decision.objects.filter(approval__in=mine, delivered_at__isnull=True, voided_at__isnull=True)
    if left.exists():
        told = Step.objects.filter(run=run, kind=StepKind.DECISION, key__in=left.values("pk")).values("key")
        handover.mark_delivered([one.pk for one in left.filter(Q(consumed_at__isnull=False) | Q(pk__in=told))])
        for decision in left.all() if status == RunStatus.CANCELLED else ():
            requests.supersede(decision.approval_id, actor, because)
        handover.mark_delivered([one.pk for one in left.all()], unused=because)
    if status == RunStatus.CANCELLED:
        calls.withdraw_open(run)
    _close_steps(run)


def _close_steps(run: Run) -> None:
    """No step of an ended run is at work: a wait is over, anything else was lost with its worker."""
    open_ = Step.objects.filter(run=run, status=StepStatus.OPEN)
    left = list(open_.values_list("pk", flat=True))
    if not left:
        return
    open_.filter(kind=StepKind.PAUSE).update(status=StepStatus.DONE, ended_at=timezone.now())
    open_.update(status=StepStatus.LOST, ended_at=timezone.now())
    for pk, revision in Step.objects.filter(pk__in=left).values_list("pk", "revision"):
        push("step", pk, revision, run=run.pk)


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
        raise InvalidInput(_("The input is missing."))
    try:
        size = len(json.dumps(run_input, ensure_ascii=True))
    except (TypeError, ValueError) as error:
        raise InvalidInput(_("The input is not JSON: %(what)s") % {"what": error}) from error
    if size > settings.INPUT_MAX_BYTES:
        told = _("The input has %(size)s bytes; at most %(most)s are taken.")
        raise InputTooLarge(told % {"size": figure(size), "most": figure(settings.INPUT_MAX_BYTES)})


def _operable(run_id: UUID, actor: Actor) -> Run:
    run = Run.objects.select_related("agent").filter(pk=run_id).first()
    if run is None or (actor.user is not None and not may_operate(actor.user, run)):
        raise NotAllowed
    return run


def enter_revealed(run: Run, actor: Actor) -> None:
    """On record: somebody opened what is masked on the run's page."""
    _record(run, "run.revealed", actor)


def _record(run: Run, action: str, actor: Actor, **facts: Any) -> None:
    record(
        action,
        actor=actor,
        object_type="run",
        object_id=run.pk,
        object_label=run.record_label,
        team_id=run.team_id,
        run_id=run.pk,
        **facts,
    )
