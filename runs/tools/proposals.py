"""A tool call that is seen for the first time: evaluated, its verdict frozen on a row, and people asked where they must be."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor, record
from agentdesk.digests import action_digest, decode, encode
from approvals import critical, requests, standing, tools
from approvals.models import Approval, Evaluation, Tool
from approvals.models.approvals import ASKED_BACK
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts
from approvals.policy.fences import Bounds
from approvals.policy.origins import trace
from approvals.policy.record import evaluate_action
from approvals.policy.replay import facts_of as facts_recorded
from approvals.policy.requirements import freeze, unite
from approvals.states import Kind, Status, Verdict
from runs.lifecycle import SOURCE
from runs.limits import PENDING_APPROVALS
from runs.models import ToolCall
from runs.states import CallStatus
from runs.tools.context import RunContext
from runs.tools.counting import count, make_room
from runs.tools.entries import Proposal
from runs.tools.readings import read_by

DENIED = "This call was refused. It was not executed."
NOT_AGAIN = "Do not repeat this call."


def propose(ctx: RunContext, proposal: Proposal, tool: Tool, off: str, *, counted: bool) -> ToolCall:
    """Evaluate the call and freeze the verdict on its row. ``off``: why nothing may start now; then neither rules nor people
    are asked. ``counted``: rules that count calls count it; not in a dry run. Raises LimitReached."""
    wanted = action_digest(ctx.agent, proposal.tool, tool.schema_version, proposal.args)
    count(ctx, proposal.tool, wanted)
    if off:
        return _switched_off(ctx, proposal, tool, off)
    read = read_by(ctx)
    facts = replace(
        facts_of(ctx, tool, proposal.args, proposal.confidence),
        origins=trace(proposal.args, read.readings),
        bounds=bounds_of(ctx, tool, read.labels),
    )
    evaluation = evaluate_action(facts, source=SOURCE, source_ref=str(ctx.run_id), counted=counted)
    faults.at("gate.evaluated")
    row = ToolCall(
        **place_of(ctx, proposal), tool=proposal.tool, digest=wanted, schema_version=tool.schema_version,
        verdict=evaluation.verdict, policy_version=evaluation.policy_version, evaluation=evaluation,
        asked_args=encode(proposal.args),
    )  # fmt: skip
    match evaluation.verdict:
        case Effect.ALLOW:
            row.status = CallStatus.APPROVED
            row.approved_args, row.approved_digest = row.asked_args, wanted
            action = "call.allowed"
        case Effect.DENY:
            row.status, row.ended_at = CallStatus.DENIED, timezone.now()
            row.error = {"kind": "denied", "message": DENIED, "retryable": False, "hint": NOT_AGAIN}
            action = "call.denied"
        case _:
            row.status = CallStatus.WAITING
            row.approval = _ask(ctx, row, tool, proposal, evaluation)
            action = "call.asked"
    row.save(force_insert=True)
    if row.approval is not None and counted:
        standing.use(row.approval)
    record_call(
        ctx,
        row,
        action,
        after={"status": row.status, "verdict": row.verdict, "digest": wanted},
        content={"args": row.asked_args},
    )
    return row


def is_withdrawn(row: ToolCall) -> bool:
    """Whether a call waits for people whose question was withdrawn, because its run had ended, which goes on again."""
    return row.approval is not None and row.approval.status == Status.WITHDRAWN and row.evaluation is not None


def ask_again(ctx: RunContext, row: ToolCall, tool: Tool, proposal: Proposal, evaluation: Evaluation) -> Approval:
    """A new approval of a call whose question was withdrawn. Nobody has decided: what was required stays required."""
    row.approval = _ask(ctx, row, tool, proposal, evaluation)
    row.save(update_fields=["approval"])
    record_call(ctx, row, "call.asked", after={"status": row.status, "verdict": row.verdict, "digest": row.digest})
    return row.approval


def _switched_off(ctx: RunContext, proposal: Proposal, tool: Tool, off: str) -> ToolCall:
    row = ToolCall.objects.create(
        **place_of(ctx, proposal), tool=proposal.tool, schema_version=tool.schema_version, verdict=Effect.DENY,
        digest=action_digest(ctx.agent, proposal.tool, tool.schema_version, proposal.args), status=CallStatus.DENIED,
        ended_at=timezone.now(), asked_args=encode(proposal.args),
        error={"kind": "denied", "message": off, "retryable": False, "hint": NOT_AGAIN},
    )  # fmt: skip
    record_call(ctx, row, "call.denied", after={"status": row.status, "reason": off}, content={"args": row.asked_args})
    return row


def _ask(ctx: RunContext, row: ToolCall, tool: Tool, proposal: Proposal, evaluation: Evaluation) -> Approval:
    """The approval of this call: the one the agent's own middleware already asked for the same action, or a new one."""
    key = f"call:{row.pk}" if row.approval is None else f"call:{row.pk}:{row.approval_id}"
    of_run = Approval.objects.filter(source=SOURCE, source_ref=str(ctx.run_id), action=proposal.tool)
    own = Q(kind=Kind.INTERRUPT, calls__isnull=True)
    earlier = list(of_run.filter(own | ASKED_BACK).order_by("-requested_at"))
    for asked in earlier:
        if asked.kind != Kind.INTERRUPT:
            continue
        # An edit may reach the gate as the edited call, or as the original one that the middleware swaps behind it.
        original = action_digest(asked.agent, asked.action, asked.schema_version, decode(asked.asked_args))
        if row.digest in (asked.digest, original) and _meets(asked, evaluation, tool):
            return asked
    make_room(ctx.agent, ctx.limits[PENDING_APPROVALS])
    request = requests.request_new if row.approval is None else requests.request_approval
    allowed = [Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT, Verdict.RESPOND, Verdict.ASK]
    if ctx.undoes is not None:  # there is no agent to ask, nobody to answer, and what is undone is what was done
        allowed = [Verdict.APPROVE, Verdict.REJECT]
    approval, _ = request(
        requests.Ask(
            source=SOURCE, source_ref=str(ctx.run_id), request_key=key, kind=Kind.TOOL_CALL, agent=ctx.agent,
            agent_version=ctx.agent_version, team_id=ctx.team_id, action=proposal.tool, args=proposal.args,
            args_schema=proposal.schema, schema_version=row.schema_version, description=proposal.description,
            reason=proposal.reason, subject=ctx.subject, payload=None,
            adapter="gate" if ctx.undoes is None else "undo", allowed=allowed, answer_schema=None,
            risk=tool.risk, effect=tool.effect, egress=tool.egress, requirements=evaluation.requirements,
            evaluation=evaluation, policy_version=evaluation.policy_version, requester_id=ctx.requester_id,
            owner_id=ctx.owner_id,
            follows_id=next((asked.pk for asked in earlier if asked.kind != Kind.INTERRUPT), None),
        ),
        actor=Actor.desk(ctx.agent),
    )  # fmt: skip
    return approval


def _meets(asked: Approval, evaluation: Evaluation, tool: Tool) -> bool:
    """Whether a decision on the agent's own question satisfies what the policy and the tool's risk require for the call: what
    that question required has to be no weaker."""
    had = freeze(asked.requirements, asked.team_id)
    wanted = critical.required(evaluation.requirements, asked.team_id, tool.risk, Kind.TOOL_CALL, [Verdict.APPROVE])
    return unite([had, wanted]) == had


def facts_again(ctx: RunContext, tool: Tool, args: dict[str, Any], before: Evaluation | None) -> Facts:
    """What the policy is asked about at the last look: where its arguments came from, and what the run had read, stands since
    the call was proposed (``before``); what the tool may reach is as of now."""
    asked = facts_recorded(before.facts) if before and before.facts else None
    facts = facts_of(ctx, tool, args, asked.confidence if asked else None)
    if asked is None:
        return facts
    return replace(
        facts,
        origins=asked.origins and asked.origins.changed(asked.args, args),
        bounds=bounds_of(ctx, tool, asked.bounds.data_read),
    )


def bounds_of(ctx: RunContext, tool: Tool, labels: Sequence[str]) -> Bounds:
    """The fences around a call. ``labels``: of the data that the run has read."""
    return tools.bounds_of(tool, scope=ctx.scope, tools=ctx.tools, outside=ctx.outside_scope, data_read=tuple(labels))


def facts_of(ctx: RunContext, tool: Tool, args: dict[str, Any], confidence: float | None) -> Facts:
    """What the policy is asked about."""
    return Facts(
        agent=ctx.agent, team_id=ctx.team_id, action=tool.name, args=args, effect=tool.effect, egress=tool.egress,
        risk=tool.risk, schema_version=tool.schema_version,
        tool_known=tool.labels_from != "run", schema_changed=tool.is_changed, run_input=ctx.run_input,
        requester=ctx.requester_id, confidence=confidence, bounds=bounds_of(ctx, tool, ()),
    )  # fmt: skip


def tool_of(ctx: RunContext, proposal: Proposal) -> Tool:
    """The tool's row, with its schema and description as they are here. One that nobody has registered gets its row now."""
    code = tools.Code(proposal.tool, proposal.description, proposal.schema, proposal.labels)
    return tools.seen(ctx.agent, ctx.team_id, code, ctx.run_id)


def place_of(ctx: RunContext, proposal: Proposal) -> dict[str, Any]:
    """Where in the run the call stands."""
    return {
        "run_id": ctx.run_id, "namespace": proposal.namespace, "message_id": proposal.message_id, "call_id": proposal.call_id
    }  # fmt: skip


def record_call(ctx: RunContext, row: ToolCall, action: str, *, after: dict[str, Any], content: Any = None) -> None:
    """One entry in the audit, about a call."""
    record(
        action, actor=Actor.desk(), object_type="call", object_id=row.pk, object_label=row.tool, team_id=ctx.team_id,
        run_id=row.run_id, after=after, policy_version=row.policy_version, content=content,
    )  # fmt: skip
