"""Taking back what a tool did: an undo is a run of its own, with one call, which passes the gate like any other call.

Nothing of it is trusted more than what an agent asks for: rules judge it, people decide about it where they have to, it is
executed once, and a worker that dies in the middle of it leaves it as every other call.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.digests import decode
from agentdesk.english import in_english
from agentdesk.live.push import push
from approvals import requests
from approvals.models import Tool
from runs import calls, lifecycle
from runs.access import may_undo
from runs.errors import InvalidReason, NotAllowed, NotUndoable, UnknownCall
from runs.models import Run, ToolCall
from runs.states import LIVE, CallStatus

LONGEST_REASON = 2_000
_UNSETTLED = (CallStatus.EXECUTING, CallStatus.PAUSED, CallStatus.IN_DOUBT)


@transaction.atomic
def undo(call_id: UUID, reason: str, *, actor: Actor) -> Run:
    """Start the run that takes a call back. While there is one already, that is the answer.

    Raises UnknownCall, NotAllowed, InvalidReason, NotUndoable with the reason, and what starting a run raises.
    """
    if actor.user is None:
        raise NotAllowed
    seen = ToolCall.objects.filter(run__in=Run.objects.visible_to(actor.user))
    # The lock makes two who ask at once come one after the other: the second finds the first one's run.
    call = seen.select_for_update(of=("self",)).select_related("run__agent").filter(pk=call_id).first()
    if call is None:
        raise UnknownCall
    if not may_undo(actor.user, call.run):
        raise NotAllowed
    if (live := live_of(call)) is not None:
        return live
    said = reason.strip()
    if not said or len(said) > LONGEST_REASON:
        told = _("Say why, in at most %(most)d characters.") % {"most": LONGEST_REASON}
        raise InvalidReason(told)
    tool = tool_of(call)
    if why := why_not(call, tool):
        raise NotUndoable(why)
    by = Tool.objects.get(agent=call.run.agent.slug, name=tool.undo_tool if tool else "")
    args = arguments(by, call)
    message = {
        "role": "assistant", "content": said,
        "tool_calls": [{"name": by.name, "args": args, "id": f"undo-{call.pk}", "type": "tool_call"}],
    }  # fmt: skip
    title = f"Undo {call.tool}"
    slug, scope = call.run.agent.slug, call.run.scope
    run = lifecycle.start(slug, {"messages": [message]}, actor=actor, scope=scope, undoes=call, title=title[:200])
    _enter("call.undo_asked", call, call.run, actor=actor, after={"by": str(run.pk)}, content={"reason": said, "args": args})
    return run


def tool_name(run_input: Any) -> str:
    """The tool that a run of :func:`undo` calls."""
    return str(run_input["messages"][0]["tool_calls"][0]["name"])


def live_of(call: ToolCall) -> Run | None:
    """The run that is about to take the call back."""
    return Run.objects.filter(undoes=call, status__in=LIVE).first()


def tool_of(call: ToolCall) -> Tool | None:
    """The row of the call's tool, with what an admin says of undoing it."""
    return Tool.objects.filter(agent=call.run.agent.slug, name=call.tool).first()


def until(call: ToolCall, tool: Tool) -> datetime | None:
    """When the window in which the call can be taken back closes; None: never."""
    if tool.undo_seconds is None or call.ended_at is None:
        return None
    return call.ended_at + timedelta(seconds=tool.undo_seconds)


def why_not(call: ToolCall, tool: Tool | None) -> str:
    """Why nobody can take the call back now; empty where somebody can. ``call`` has its run and agent."""
    if call.status == CallStatus.UNDONE:
        return _("This was undone already.")
    if call.run.erased_at is not None:
        return _("The run's content was erased: what would be undone is not known any more.")
    if call.status != CallStatus.SUCCEEDED or call.executed_args is None:
        return _("Only what ran and succeeded can be undone.")
    if tool is None or not tool.undo_tool:
        return _("Nothing undoes a call of this tool.")
    if not Tool.objects.filter(agent=tool.agent, name=tool.undo_tool).exists():
        return _("The tool that undoes it, %(tool)s, is not known. Load the agents again.") % {"tool": tool.undo_tool}
    if (end := until(call, tool)) is not None and end <= timezone.now():
        return _("The time in which it could be undone is over.")
    if ToolCall.objects.filter(run__undoes=call, status__in=_UNSETTLED).exclude(run__status__in=LIVE).exists():
        return _("It is not known yet whether an earlier undo took effect. Say that first.")
    return ""


def arguments(by: Tool, call: ToolCall) -> dict[str, Any]:
    """What the undoing tool is called with: ``result``, and else what the result or the executed arguments hold under the names
    that it takes. Raises NotUndoable where something that it needs is not there."""
    schema = decode(by.schema)
    result = decode((call.result or {}).get("shown"))
    ran_with = decode(call.executed_args)
    given: dict[str, Any] = {}
    for name in schema.get("properties", {}):
        if name == "result":
            given[name] = result
        elif isinstance(result, Mapping) and name in result:
            given[name] = result[name]
        elif name in ran_with:
            given[name] = ran_with[name]
    if missing := [name for name in schema.get("required", []) if name not in given]:
        told = _("%(tool)s needs %(names)s, which neither the result nor the arguments of the call hold.")
        raise NotUndoable(told % {"tool": by.name, "names": ", ".join(missing)})
    return given


@in_english()
def stale(call_id: UUID) -> str:
    """Why an undo that had leave may not start any more, for the record; empty where it may."""
    call = ToolCall.objects.select_related("run__agent").get(pk=call_id)
    return why_not(call, tool_of(call))


def done(call_id: UUID, by: UUID) -> None:
    """The undo's own call has succeeded in the run ``by``: what it took back is undone. In the caller's transaction."""
    run_id = ToolCall.objects.values_list("run", flat=True).get(pk=call_id)
    # The run before its call, as everybody locks them.
    run = Run.objects.select_for_update(of=("self",), no_key=True).select_related("agent").get(pk=run_id)
    call = ToolCall.objects.get(pk=call_id)
    if not calls.move(run.pk, call.pk, CallStatus.UNDONE):
        return
    after = {"status": CallStatus.UNDONE, "by": str(by)}
    _enter("call.undone", call, run, actor=Actor.desk(), before={"status": call.status}, after=after)
    Run.objects.filter(pk=run.pk).update(revision=F("revision") + 1)
    push("run", run.pk, run.revision + 1)
    if call.approval_id is not None:
        requests.touch(call.approval_id)


def _enter(action: str, call: ToolCall, run: Run, *, actor: Actor, after: Any, before: Any = None, content: Any = None) -> None:
    record(
        action, actor=actor, object_type="call", object_id=call.pk, object_label=call.tool, run_id=run.pk, team_id=run.team_id,
        before=before, after=after, content=content,
    )  # fmt: skip
