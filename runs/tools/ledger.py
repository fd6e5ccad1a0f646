"""The ledger: what the desk knows of every tool call, and what may happen to it next.

All functions here are synchronous and use the ORM; the gate calls each in one hop. :func:`enter` answers what to do with a
call, :func:`finish` and :func:`leave_paused` say what became of it. A row is never guessed at: its own status rules.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, decode, encode
from agentdesk.live.push import push
from approvals import handover, requests, switches
from approvals.models import Approval, Decision, Evaluation, Halt, Rehearsal, Tool
from approvals.models.evaluations import Occasion
from approvals.models.rules import Effect
from approvals.models.tools import Results
from approvals.policy.record import evaluate_action
from approvals.standing import is_for_one
from approvals.states import Kind, Status, Verdict
from runs import calls, undo
from runs.lifecycle import SOURCE
from runs.models import Run, ToolCall
from runs.states import CALL_ENDED, CallStatus
from runs.tools import breakers
from runs.tools.context import AttemptLost, RunContext
from runs.tools.counting import count
from runs.tools.entries import Answered, Entry, Execute, Pause, Preview, Proposal, Recorded, Refused
from runs.tools.proposals import DENIED, ask_again, facts_again, is_withdrawn, place_of, propose, record_call, tool_of

AT_WORK = "The worker ended while the tool was at work."
AGAIN = "Do not repeat it with the same arguments."
ANSWER = "Find the answer, then make the call again and say the answer in the text of the message that makes it."
DOUBT_ANSWERS = ["happened", "did_not_happen", "retry"]


@dataclass(frozen=True, slots=True)
class Now:
    """How the switches stand at this look."""

    off: str  # why nothing may start, for the model; or empty
    dry: bool  # a dry run of the run, its agent or the desk: nothing is written
    has_preview: bool  # the tool's code can say what a call would do


@transaction.atomic
def enter(ctx: RunContext, proposal: Proposal) -> Entry:
    """What to do with this call now. Raises AttemptLost when another worker has taken the run over, LimitReached when the
    run may make no more calls."""
    faults.at("gate.enter.before")
    run = _fence(ctx)
    tool = tool_of(ctx, proposal)
    off = switches.why_off(tool, halted=run.halted, agent_enabled=run.agent_enabled)
    now = Now(off, ctx.dry_run or run.agent_dry_run or run.rehearsed, proposal.has_preview)
    row = _known(ctx, proposal)
    if row is None:
        row = propose(ctx, proposal, tool, off, counted=not now.dry)
        faults.at("gate.proposed")
    return _next(ctx, row, tool, proposal, now)


@transaction.atomic
def finish(ctx: RunContext, row_id: UUID, *, result: dict[str, Any] | None, error: dict[str, Any] | None) -> None:
    """Record what an executing call brought. Raises AttemptLost when this attempt is no longer the run's newest."""
    faults.at("ledger.finish.before")
    _fence(ctx)
    status = CallStatus.FAILED if error else CallStatus.SUCCEEDED
    moved = calls.move(ctx.run_id, row_id, status, attempt=ctx.attempt, result=result, error=error, ended_at=timezone.now())
    if not moved:
        raise AttemptLost(f"call {row_id} is no longer executing under attempt {ctx.attempt}")
    row = ToolCall.objects.get(pk=row_id)
    record_call(
        ctx,
        row,
        "call.failed" if error else "call.succeeded",
        after={"status": status},
        content={"result": result, "error": error},
    )
    if ctx.undoes is not None and error is None:
        undo.done(ctx.undoes, ctx.run_id)
    _touch_approval(row)
    faults.at("ledger.finish.after")


@transaction.atomic
def try_again(ctx: RunContext, row_id: UUID, failed: dict[str, Any]) -> bool:
    """Put a try that failed on record, and whether an executing call may be tried again: nobody cancelled its run, no switch
    and no rule says otherwise by now, and the circuit of its tool is closed. Raises AttemptLost."""
    run = _fence(ctx)
    row = ToolCall.objects.select_for_update(of=("self",)).select_related("evaluation").get(pk=row_id, run_id=ctx.run_id)
    tool = Tool.objects.select_related("breaker").get(agent=ctx.agent, name=row.tool)
    if row.status != CallStatus.EXECUTING or run.cancel_requested_at is not None or not tool.idempotent:
        return False
    if ctx.dry_run or run.agent_dry_run or run.rehearsed:
        return False
    if switches.why_off(tool, halted=run.halted, agent_enabled=run.agent_enabled):
        return False
    if _denied_now(ctx, row, tool, decode(row.approved_args)) or breakers.seconds_left(tool, row.pk, ctx.run_id):
        return False
    entry = {"try": row.tries, "at": timezone.now().isoformat(), "error": failed}
    ToolCall.objects.filter(pk=row_id).update(
        tries=row.tries + 1, failed_tries=[*row.failed_tries, entry], **_cost(tool, row.tries + 1)
    )
    record_call(ctx, row, "call.retried", after={"try": row.tries + 1, "error": failed["kind"]}, content={"error": failed})
    push("call", row_id, 0, run=ctx.run_id)
    return True


@transaction.atomic
def simulated(ctx: RunContext, row_id: UUID, *, result: dict[str, Any], error: dict[str, Any] | None) -> None:
    """Record what a tool's hook says that the call would do, or why it could not say it. Raises AttemptLost."""
    _fence(ctx)
    calls.move(ctx.run_id, row_id, CallStatus.SIMULATED, result=result, error=error, ended_at=timezone.now())
    row = ToolCall.objects.get(pk=row_id)
    record_call(
        ctx, row, "call.simulated", after={"status": CallStatus.SIMULATED, "previewed": error is None},
        content={"args": row.approved_args, "result": result},
    )  # fmt: skip
    _touch_approval(row)


@transaction.atomic
def leave_paused(ctx: RunContext, row_id: UUID) -> None:
    """The tool itself paused, for instance in a graph that it runs."""
    _fence(ctx)
    calls.move(ctx.run_id, row_id, CallStatus.PAUSED, attempt=ctx.attempt)


@transaction.atomic
def leave_in_doubt(ctx: RunContext, row_id: UUID, because: str) -> Pause:
    """Nobody knows whether the tool took effect: people say."""
    _fence(ctx)
    return _doubt(ctx, ToolCall.objects.select_for_update().get(pk=row_id), because)


@transaction.atomic
def refuse_invalid(ctx: RunContext, proposal: Proposal, error: dict[str, Any], result: dict[str, Any]) -> None:
    """Put a call on record whose arguments do not fit its tool; nobody is asked about it. Raises AttemptLost, LimitReached."""
    _fence(ctx)
    # A name that the model made up is no tool, and nothing for an admin to label.
    version = tool_of(ctx, proposal).schema_version if proposal.schema else ""
    wanted = action_digest(ctx.agent, proposal.tool, version, proposal.args)
    if ToolCall.objects.filter(**place_of(ctx, proposal), digest=wanted).exists():
        return
    count(ctx, proposal.tool, wanted)
    row = ToolCall.objects.create(
        **place_of(ctx, proposal), digest=wanted, tool=proposal.tool, schema_version=version, status=CallStatus.FAILED,
        verdict=Effect.DENY, asked_args=encode(proposal.args), error=error, result=result, ended_at=timezone.now(),
    )  # fmt: skip
    record_call(ctx, row, "call.failed", after={"status": row.status, "error": error["kind"]})


def _known(ctx: RunContext, proposal: Proposal) -> ToolCall | None:
    """The row of this call, if it came by before. Its digest is that of the schema of then: what people were asked about a call
    stands, also when the tool has changed since. Where none fits, one that somebody changed in the database may have been it:
    rather that, which does not run, than another row for the same call."""
    found = ToolCall.objects.select_related("evaluation", "approval").select_for_update(of=("self",))
    rows = list(found.filter(**place_of(ctx, proposal)).order_by("pk"))
    same = [row for row in rows if action_digest(ctx.agent, proposal.tool, row.schema_version, proposal.args) == row.digest]
    changed = [row for row in rows if not _is_as_asked(ctx, row)]
    return next(iter([*same, *changed]), None)


def _fence(ctx: RunContext) -> Any:
    """Hold the run's row while this transaction lasts, so that a takeover waits for it, and refuse an older attempt. The row
    comes with how the switches stand: ``halted`` and ``agent_enabled``, ``rehearsed`` and ``agent_dry_run``."""
    runs = Run.objects.select_for_update(of=("self",), no_key=True).only("attempt", "cancel_requested_at").filter(pk=ctx.run_id)
    run: Any = runs.annotate(
        agent_enabled=F("agent__enabled"), agent_dry_run=F("agent__dry_run"), halted=Exists(Halt.standing()),
        rehearsed=Exists(Rehearsal.standing()),
    ).first()  # fmt: skip
    if run is None or run.attempt != ctx.attempt:
        raise AttemptLost(f"attempt {ctx.attempt} of run {ctx.run_id} has been taken over")
    return run


def _is_as_asked(ctx: RunContext, row: ToolCall) -> bool:
    return action_digest(ctx.agent, row.tool, row.schema_version, decode(row.asked_args)) == row.digest


def _next(ctx: RunContext, row: ToolCall, tool: Tool, proposal: Proposal, now: Now) -> Entry:
    if row.status not in CALL_ENDED and not _is_as_asked(ctx, row):
        return _tampered(ctx, row, "The arguments that the model asked for were changed in the database.")
    match row.status:
        case CallStatus.WAITING:
            if not is_withdrawn(row) or row.evaluation is None:
                return _decided(ctx, row, tool, now)
            if now.off:
                return _deny(ctx, row, now.off)
            again = ask_again(ctx, row, tool, proposal, row.evaluation)
            return Pause(row.pk, again.pk, str(again))
        case CallStatus.APPROVED | CallStatus.PAUSED:
            return _begin(ctx, row, tool, now)
        case CallStatus.EXECUTING:
            if tool.idempotent:
                return _begin(ctx, row, tool, now)
            return _doubt(ctx, row, AT_WORK)
        case CallStatus.IN_DOUBT:
            return _resolve(ctx, row, tool, now)
        case CallStatus.DENIED:
            error = row.error or {}
            return Refused(row.pk, error.get("kind", "denied"), error.get("message", DENIED), error.get("hint", ""))
    if row.status not in CALL_ENDED:
        raise ValueError(f"tool call {row.pk} has status {row.status!r}, which nothing here expects")
    if row.result is not None:
        return Recorded(row.pk, row.result, marks=row.executed_args is not None and _marks(tool))
    error = row.error or {}
    return Refused(row.pk, error.get("kind", row.status), error.get("message", ""), error.get("hint", ""))


def _decided(ctx: RunContext, row: ToolCall, tool: Tool, now: Now) -> Entry:
    """Take the decision on this call, once, or wait on."""
    approval = row.approval
    if approval is None:
        raise ValueError(f"tool call {row.pk} waits without an approval")
    if approval.status == Status.PENDING:  # a decision that comes right now is found when the run has paused
        return Pause(row.pk, approval.pk, str(approval))
    decision = Decision.objects.filter(approval=approval, voided_at__isnull=True).first()
    if decision is None or (decision.release_at is not None and decision.release_at > timezone.now()):
        return Pause(row.pk, approval.pk, str(approval))
    if decision.verdict in (Verdict.APPROVE, Verdict.MODIFY):
        return _approve(ctx, row, tool, approval, decision, now)
    at = timezone.now()
    handover.consume(decision.pk, decision.digest)
    if decision.verdict == Verdict.RESPOND:
        answer = decode(decision.answer)
        calls.move(ctx.run_id, row.pk, CallStatus.SUCCEEDED, decision=decision, ended_at=at)
        record_call(ctx, row, "call.answered", after={"status": CallStatus.SUCCEEDED, "by": decision.decided_by_label})
        return Answered(row.pk, answer)
    status, kind, text = _REFUSALS[Verdict(decision.verdict)]
    label, hint = ("Question", ANSWER) if decision.verdict == Verdict.ASK else ("Reason", AGAIN)
    said = f" {label}: {decision.message}" if decision.message else ""
    message = text.format(tool=row.tool, by=decision.decided_by_label) + said
    error = {"kind": kind, "message": message, "retryable": False, "hint": hint}
    calls.move(ctx.run_id, row.pk, status, decision=decision, error=error, ended_at=at)
    record_call(ctx, row, "call.rejected", after={"status": status, "by": decision.decided_by_label})
    return Refused(row.pk, kind, message, hint)


_REFUSALS = {
    Verdict.REJECT: (CallStatus.REJECTED, "rejected", "{by} rejected this call of {tool}. It was not executed."),
    Verdict.ASK: (
        CallStatus.REJECTED,
        "question",
        "{by} has a question before they decide about this call of {tool}. It was not executed.",
    ),
    Verdict.EXPIRE: (CallStatus.EXPIRED, "expired", "Nobody decided about this call of {tool} in time. It was not executed."),
    Verdict.WITHDRAW: (
        CallStatus.WITHDRAWN,
        "withdrawn",
        "The question about this call of {tool} was withdrawn. It was not executed.",
    ),
}


def _approve(ctx: RunContext, row: ToolCall, tool: Tool, approval: Approval, decision: Decision, now: Now) -> Entry:
    args = decode(decision.args)
    if action_digest(ctx.agent, row.tool, row.schema_version, args) != decision.digest:
        return _tampered(ctx, row, "The arguments stored with the decision are not the ones that were decided on.")
    shown = action_digest(ctx.agent, row.tool, row.schema_version, decode(approval.args))
    if not shown == approval.digest == decision.digest:
        return _tampered(ctx, row, "What was shown to people was changed in the database after they decided.")
    if not handover.consume(decision.pk, decision.digest):
        return _tampered(ctx, row, "The decision on this call was already used.")
    faults.at("gate.decision.taken")
    calls.move(
        ctx.run_id,
        row.pk,
        CallStatus.APPROVED,
        decision=decision,
        approved_args=decision.args,
        approved_digest=decision.digest,
    )
    row.status, row.decision = CallStatus.APPROVED, decision
    row.approved_args, row.approved_digest = decision.args, decision.digest
    return _begin(ctx, row, tool, now)


def _begin(ctx: RunContext, row: ToolCall, tool: Tool, now: Now) -> Entry:
    """Last look before the tool starts: switches, deny rules and digests as of now; then the row says executing."""
    args = decode(row.approved_args)
    if action_digest(ctx.agent, row.tool, row.schema_version, args) != row.approved_digest or (
        row.decision is not None and row.decision.digest != row.approved_digest
    ):
        return _tampered(ctx, row, "The approved arguments were changed in the database.")
    if reason := now.off or _denied_now(ctx, row, tool, args) or (undo.stale(ctx.undoes) if ctx.undoes else ""):
        return _deny(ctx, row, reason)
    if now.dry and tool.effect != "read":
        if row.status == CallStatus.EXECUTING:  # it may have taken effect before the dry run began and its worker died
            return _doubt(ctx, row, AT_WORK)
        if row.status == CallStatus.PAUSED:
            return _doubt(ctx, row, "A dry run began while the tool was paused; it may have taken effect before.")
        if tool.dry_run and now.has_preview:
            return Preview(row.pk, args, tool.timeout_seconds)
        return _simulate(ctx, row, args)
    if row.status != CallStatus.PAUSED and (left := breakers.seconds_left(tool, row.pk, ctx.run_id)):
        return _broken(ctx, row, tool, left)
    calls.move(
        ctx.run_id, row.pk, CallStatus.EXECUTING, attempt=ctx.attempt, tries=row.tries + 1, started_at=timezone.now(),
        executed_args=row.approved_args, executed_digest=row.approved_digest, **_cost(tool, row.tries + 1),
    )  # fmt: skip
    record_call(
        ctx,
        row,
        "call.executing",
        after={"status": CallStatus.EXECUTING, "digest": row.approved_digest, "attempt": ctx.attempt},
    )
    faults.at("gate.executing")
    modified = row.decision.decided_by_label if row.decision and row.decision.verdict == Verdict.MODIFY else ""
    return Execute(
        row.pk, args, tool.timeout_seconds, tool.idempotent, tool.idempotent or tool.effect == "read", modified, tool.pk,
        breakers.is_troubled(tool), tool.retries if tool.idempotent and tool.labels_from != "run" else 0, marks=_marks(tool),
        cost=(tool.currency, tool.cost) if tool.cost else None,
    )  # fmt: skip


def _cost(tool: Tool, tries: int) -> dict[str, Any]:
    """What so many tries of a call cost, as the columns of its row."""
    return {"cost": tool.cost * tries, "currency": tool.currency} if tool.cost else {}


def _marks(tool: Tool) -> bool:
    return tool.results == Results.UNTRUSTED and tool.marks_results


def _denied_now(ctx: RunContext, row: ToolCall, tool: Tool, args: dict[str, Any]) -> str:
    if row.approval_id is None and row.tries == 0:
        return ""  # evaluated in this very step
    now = evaluate_action(
        facts_again(ctx, tool, args, row.evaluation), source=SOURCE, source_ref=str(ctx.run_id), occasion=Occasion.EXECUTING,
        of=row.evaluation,
    )  # fmt: skip
    return DENIED if now.verdict == Effect.DENY else ""


def _deny(ctx: RunContext, row: ToolCall, reason: str) -> Entry:
    """Stop a call that had leave. What people decided about it is not lost, but did not count."""
    if row.status == CallStatus.EXECUTING:  # it may have taken effect before its worker died
        return _doubt(ctx, row, f"{AT_WORK} {reason}")
    error = {"kind": "denied", "message": reason, "retryable": False, "hint": "Do not repeat this call."}
    calls.move(ctx.run_id, row.pk, CallStatus.DENIED, error=error, ended_at=timezone.now())
    record_call(ctx, row, "call.denied", after={"status": CallStatus.DENIED, "reason": reason})
    if row.decision is not None and row.tries == 0 and row.decision.approval.kind == Kind.TOOL_CALL:
        requests.void(row.decision, reason)
    if row.tries == 0 and row.evaluation_id is not None:
        Evaluation.objects.filter(pk=row.evaluation_id).update(counted=False)  # rules that count calls count those that may run
    return Refused(row.pk, "denied", reason, "Do not repeat this call.")


def _simulate(ctx: RunContext, row: ToolCall, args: dict[str, Any]) -> Refused:
    text = f"Dry run: {row.tool} was validated and not executed. It would have run with these arguments."
    calls.move(
        ctx.run_id,
        row.pk,
        CallStatus.SIMULATED,
        ended_at=timezone.now(),
        error={"kind": "dry_run", "message": text, "retryable": False, "hint": ""},
    )
    record_call(ctx, row, "call.simulated", after={"status": CallStatus.SIMULATED}, content={"args": encode(args)})
    return Refused(row.pk, "dry_run", text)


def _broken(ctx: RunContext, row: ToolCall, tool: Tool, seconds: int) -> Entry:
    """The circuit of its tool is open. What people decided did not count: nothing ran."""
    message = f"{row.tool} has failed several times in a row and is not called for a while. "
    if row.status == CallStatus.EXECUTING:  # it may have taken effect before its worker died
        return _doubt(ctx, row, f"{AT_WORK} {message.strip()}")
    message += "It was not started again." if row.tries else "Nothing was executed."
    hint = f"Go on without it, or try again in {seconds} s."
    error = {"kind": "circuit_open", "message": message, "retryable": True, "hint": hint}
    calls.move(ctx.run_id, row.pk, CallStatus.FAILED, error=error, ended_at=timezone.now())
    record_call(ctx, row, "call.failed", after={"status": CallStatus.FAILED, "error": "circuit_open"})
    if row.tries == 0:
        if row.decision is not None and row.decision.approval.kind == Kind.TOOL_CALL:
            requests.void(row.decision, message)
        if row.evaluation_id is not None:
            Evaluation.objects.filter(pk=row.evaluation_id).update(counted=False)
    return Refused(row.pk, "circuit_open", message, hint, retryable=True)


def _tampered(ctx: RunContext, row: ToolCall, what: str) -> Refused:
    """Alarm: what would run is not what was approved. It does not run."""
    message = "This call failed a safety check. " + ("It was not started again." if row.tries else "It was not executed.")
    error = {"kind": "tampered", "message": message, "retryable": False, "hint": ""}
    calls.move(ctx.run_id, row.pk, CallStatus.DENIED, error=error, ended_at=timezone.now())
    record_call(ctx, row, "call.tampered", after={"status": CallStatus.DENIED, "alarm": what})
    return Refused(row.pk, "tampered", message)


def _doubt(ctx: RunContext, row: ToolCall, because: str) -> Pause:
    run = Run.objects.select_related("agent").get(pk=row.run_id)
    # What wanted more than one person's word wants it again to run again: then it did not happen, and the agent asks anew.
    answers = DOUBT_ANSWERS if row.approval is None or is_for_one(row.approval) else DOUBT_ANSWERS[:2]
    approval, _ = requests.request_approval(
        requests.Ask(
            source=SOURCE, source_ref=str(row.run_id), request_key=f"doubt:{row.pk}:{row.tries}", kind=Kind.IN_DOUBT,
            agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id, action=row.tool,
            args=decode(row.approved_args if row.executed_args is None else row.executed_args), args_schema=None,
            schema_version=row.schema_version,
            description=because, reason="", subject="", payload=None, adapter="doubt", allowed=[Verdict.RESPOND],
            answer_schema={"type": "string", "enum": answers}, risk="high", effect="irreversible", egress=False,
            requirements={}, evaluation=None, policy_version=row.policy_version, requester_id=run.requester_id,
            owner_id=run.agent.owner_id,
        ),
        actor=Actor.desk(run.agent.slug),
    )  # fmt: skip
    if not calls.move(ctx.run_id, row.pk, CallStatus.IN_DOUBT, doubt=approval):
        raise ValueError(f"tool call {row.pk} cannot be left in doubt from {row.status!r}")  # it would be asked about for ever
    record_call(ctx, row, "call.in_doubt", after={"status": CallStatus.IN_DOUBT, "because": because})
    return Pause(row.pk, approval.pk, because)


def _resolve(ctx: RunContext, row: ToolCall, tool: Tool, now: Now) -> Entry:
    """A person has said, or will say, what became of a call in doubt."""
    if row.doubt_id is None:
        raise ValueError(f"tool call {row.pk} is in doubt without an approval")
    decision = Decision.objects.filter(approval_id=row.doubt_id, voided_at__isnull=True).first()
    if decision is None:
        return Pause(row.pk, row.doubt_id, "in doubt")
    handover.consume(decision.pk, decision.digest)
    answer = decode(decision.answer) if decision.verdict == Verdict.RESPOND else "did_not_happen"
    record_call(ctx, row, "call.resolved", after={"answer": answer, "by": decision.decided_by_label})
    if answer == "retry":
        calls.move(ctx.run_id, row.pk, CallStatus.APPROVED, doubt=None)
        row.refresh_from_db(fields=["status", "doubt"])
        return _begin(ctx, row, tool, now)
    if answer == "happened":
        calls.move(ctx.run_id, row.pk, CallStatus.SUCCEEDED, ended_at=timezone.now())
        if ctx.undoes is not None:
            undo.done(ctx.undoes, ctx.run_id)
        return Answered(row.pk, f"{row.tool} took effect, as {decision.decided_by_label} confirmed. Its result is not known.")
    text = f"{row.tool} did not take effect, as {decision.decided_by_label} confirmed."
    error = {"kind": "did_not_happen", "message": text, "retryable": True, "hint": ""}
    calls.move(ctx.run_id, row.pk, CallStatus.FAILED, error=error, ended_at=timezone.now())
    return Refused(row.pk, "did_not_happen", text)


def keep_answer(ctx: RunContext, row_id: UUID, result: dict[str, Any]) -> None:
    """Store the message that a person's answer, or a refusal, became, so that a replay hands over the same one."""
    rows = ToolCall.objects.filter(pk=row_id, run_id=ctx.run_id, result__isnull=True, status__in=CALL_ENDED)
    if rows.update(result=result):
        push("call", row_id, 0, run=ctx.run_id)


def _touch_approval(row: ToolCall) -> None:
    """The approval's page shows what the call brought: let it know."""
    if row.approval_id is not None:
        requests.touch(row.approval_id)
