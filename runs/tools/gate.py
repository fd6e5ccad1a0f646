"""The gate: every tool call passes it, outermost on every ToolNode. Agents import nothing of it.

:func:`install` wraps ToolNode's constructor, so that every node an agent's code builds is gated, also one that it hides in a
closure, makes while it runs, or gives to a nested agent; a walk over a loaded graph would miss those. Behind the gate stands
the guard (``runs.tools.guard``), which refuses what did not pass here.

A call that must wait raises GraphInterrupt itself instead of calling ``interrupt()``: the pause then takes no place in the
task's list of answers, so an answer meant for an agent's own ``interrupt()`` inside a tool cannot be shifted by ours, and
nothing that a resume carries can pass for a decision. The decision is read from the database, never from the graph.
"""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import jsonschema
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp, GraphInterrupt, is_invalid_resume
from langgraph.prebuilt.tool_node import ToolCallRequest, ToolNode
from langgraph.types import Interrupt
from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from agentdesk import faults
from agentdesk.digests import decode, digest, encode
from runs.engine.hop import hop
from runs.tools import breakers, hung, ledger, previews, undoing
from runs.tools.context import GateMissing, LimitReached, Permit, RunContext, Siblings, current, permit
from runs.tools.entries import Answered, Entry, Execute, Pause, Preview, Proposal, Recorded, Refused
from runs.tools.marks import marked
from runs.tools.results import ToolError, dump, error_message, load, raised, refuse_if_large, returned
from runs.tools.retries import Tried, tried

type Run = Callable[[ToolCallRequest], Awaitable[Any]]

LABELS = {"effect", "egress", "idempotent", "risk", "results", "data", "undo_tool"}
_MARK = "_agentdesk_gated"


def install() -> None:
    """Gate every ToolNode that is built from now on in this process. Safe to call again."""
    if getattr(ToolNode.__init__, _MARK, False):
        return
    build = ToolNode.__init__

    @functools.wraps(build)
    def gated(self: ToolNode, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        inner, ainner = self._wrap_tool_call, self._awrap_tool_call
        self._wrap_tool_call = functools.partial(_pass_sync, inner)
        self._awrap_tool_call = functools.partial(_pass, inner, ainner)

    setattr(gated, _MARK, True)
    ToolNode.__init__ = gated  # type: ignore[method-assign]  # the one place where all nodes come by


async def _pass(inner: Any, ainner: Any, request: ToolCallRequest, execute: Callable[..., Awaitable[Any]]) -> Any:
    async def run(changed: ToolCallRequest) -> Any:
        if ainner is not None:
            return await ainner(changed, execute)
        if inner is not None:
            loop = asyncio.get_running_loop()

            def run_inside(again: ToolCallRequest) -> Any:
                return asyncio.run_coroutine_threadsafe(_awaited(execute(again)), loop).result()

            return await asyncio.to_thread(inner, changed, run_inside)
        return await execute(changed)

    ctx = _context(request)
    return await _through(ctx, request, run, _group(ctx, request))


def _pass_sync(inner: Any, request: ToolCallRequest, execute: Callable[[ToolCallRequest], Any]) -> Any:
    """The same road for a node that a graph invokes synchronously. Its calls run in threads, and it waits for them all."""

    async def run(changed: ToolCallRequest) -> Any:
        return inner(changed, execute) if inner is not None else execute(changed)

    return asyncio.run(_through(_context(request), request, run, Siblings()))


async def _through(ctx: RunContext, request: ToolCallRequest, run: Run, group: Siblings) -> Any:
    async with _beside(group) as rest:
        try:
            result = await _call(ctx, request, run, rest)
            refuse_if_large(ctx, request.tool_call["name"], result)
            return result
        except LimitReached:
            await rest()  # the calls beside this one come to their end: what they did is on record before the run stops
            raise


async def _call(ctx: RunContext, request: ToolCallRequest, run: Run, rest: Callable[[], Awaitable[None]]) -> Any:
    if (refused := _refusal(request)) is not None:
        return refused
    proposal = _proposal(request)
    if (invalid := _invalid(request, proposal)) is not None:
        message = error_message(invalid, tool=proposal.tool, call_id=proposal.call_id)
        await hop(ledger.refuse_invalid, ctx, proposal, invalid.as_dict(), dump(message))
        return message
    entry = await hop(ledger.enter, ctx, proposal)
    await faults.at_on_loop("gate.enter.after")
    _tell(ctx, entry, request)
    if isinstance(entry, Pause):
        await rest()
        raise _interrupt(entry, proposal)
    if isinstance(entry, Preview):
        return await _preview(ctx, entry, proposal, request)
    if not isinstance(entry, Execute):
        return await _reply(ctx, entry, proposal)
    return await _execute(ctx, entry, proposal, request, run)


async def _execute(
    ctx: RunContext,
    entry: Execute,
    proposal: Proposal,
    request: ToolCallRequest,
    run: Callable[[ToolCallRequest], Awaitable[Any]],
) -> Any:
    """Run the tool, again where that is safe and may help, and record what it brought."""
    changed = request.override(tool_call={**request.tool_call, "args": entry.args})
    _give_key(changed, entry.row)

    is_troubled = entry.is_troubled

    async def once() -> Tried:
        nonlocal is_troubled
        if entry.cost is not None:
            ctx.on_cost(*entry.cost)
        done = await _try(ctx, entry, proposal, changed, run)
        fault = done.error if done.error is not None and done.error.is_fault else None
        if entry.tool is not None and (is_troubled or fault is not None):
            await hop(breakers.report, entry.tool, entry.row, ctx.run_id, fault)
            is_troubled = True  # a success after it ends the row of failures
        return done

    async def may_again(error: ToolError) -> bool:
        return await hop(ledger.try_again, ctx, entry.row, error.as_dict())

    done = await tried(ctx, once, may_again, entry.retries)
    if done.error is not None and done.result is None:
        return await _finish(ctx, entry, proposal, done.error)
    result = _with_notice(done.result, entry)
    problem = done.error.as_dict() if done.error is not None else None
    await hop(ledger.finish, ctx, entry.row, result=dump(result), error=problem)
    await faults.at_on_loop("ledger.commit.after")
    ctx.on_call(entry.row, proposal.tool, "failed" if problem else "succeeded", "")
    return _with_notice(marked(done.result, proposal.tool, entry.row), entry) if entry.marks else result


async def _try(ctx: RunContext, entry: Execute, proposal: Proposal, changed: ToolCallRequest, run: Run) -> Tried:
    """Run the tool once, under its permit and its timeout. Raises what ends or pauses the run."""
    leave = Permit(proposal.tool, proposal.call_id, digest(entry.args))
    token = permit.set(leave)
    clock = asyncio.timeout(entry.timeout)
    try:
        await faults.at_on_loop("tool.start")
        async with clock:
            result = await run(changed)
        await faults.at_on_loop("tool.end")
    except TimeoutError as error:
        hung.note(leave)
        return await _timed_out(ctx, entry, proposal, None if clock.expired() else error)
    except GateMissing as missing:
        await _finish(ctx, entry, proposal, ToolError("refused", str(missing)))
        raise
    except LimitReached:
        if entry.repeatable:
            await _leave_paused(ctx, entry, proposal)
        else:
            await hop(ledger.leave_in_doubt, ctx, entry.row, "The run reached a limit while the tool was at work.")
            ctx.on_call(entry.row, proposal.tool, "waiting", "")
        raise
    except GraphBubbleUp:
        await _leave_paused(ctx, entry, proposal)
        raise
    except Exception as error:
        if is_invalid_resume(error):
            await _leave_paused(ctx, entry, proposal)
            raise
        return Tried(error=raised(error))
    finally:
        permit.reset(token)
    if isinstance(result, ToolMessage) and result.status == "error" and leave.error is not None:
        return Tried(result, raised(leave.error))  # its node made words of what it raised
    return Tried(result, returned(result))


async def _leave_paused(ctx: RunContext, entry: Execute, proposal: Proposal) -> None:
    await hop(ledger.leave_paused, ctx, entry.row)
    ctx.on_call(entry.row, proposal.tool, "paused", "")


def _tell(ctx: RunContext, entry: Entry, request: ToolCallRequest) -> None:
    """Let the recorder know where the call stands. A replayed result is no news."""
    outcome = {Execute: "executing", Pause: "waiting", Answered: "succeeded"}.get(type(entry))
    if isinstance(entry, Refused):
        outcome = {"dry_run": "simulated", "tampered": "denied", "circuit_open": "failed"}.get(entry.kind, entry.kind)
    if outcome is not None:
        ctx.on_call(entry.row, request.tool_call["name"], outcome, _place(request).rpartition(":")[2])


async def _timed_out(ctx: RunContext, entry: Execute, proposal: Proposal, own: TimeoutError | None) -> Tried:
    """``own``: what the tool raised itself, when it was not the gate that lost patience. Either way nobody knows whether it
    took effect: where the tool is not idempotent, people say."""
    text = f"No answer within {entry.timeout} s"
    if own is not None:
        text = f"The tool's own wait timed out: {str(own) or 'TimeoutError'}"
    error = ToolError("timeout", f"{text}.", retryable=True, is_fault=True)
    if entry.idempotent:
        return Tried(error=error)
    paused = await hop(ledger.leave_in_doubt, ctx, entry.row, f"{text}; it may still take effect.")
    if entry.tool is not None:
        await hop(breakers.report, entry.tool, entry.row, ctx.run_id, error)
    raise _interrupt(paused, proposal)


async def _preview(ctx: RunContext, entry: Preview, proposal: Proposal, request: ToolCallRequest) -> ToolMessage:
    """A dry run: the tool's own hook says what the call would do."""
    error: ToolError | None = None
    try:
        would = await previews.said(request.tool, entry.args, request.runtime.config, entry.timeout)
        words = {"dry_run": True, "message": f"{proposal.tool} was not executed. This is what it would do.", "would": would}
        content = json.dumps(encode(words), ensure_ascii=False)
        message = ToolMessage(content=content, name=proposal.tool, tool_call_id=proposal.call_id)
    except GraphBubbleUp:
        raise
    except TimeoutError:
        text = f"Dry run: {proposal.tool} was not executed, and gave no preview in {entry.timeout} s."
        error = ToolError("preview_failed", text)
    except Exception as problem:
        said = raised(problem)
        text = f"Dry run: {proposal.tool} was not executed. Its preview failed: {said.message}"
        error = ToolError(said.kind, text[:2000], said.retryable, said.hint)
    if error is not None:
        message = error_message(error, tool=proposal.tool, call_id=proposal.call_id)
    await hop(ledger.simulated, ctx, entry.row, result=dump(message), error=error.as_dict() if error else None)
    ctx.on_call(entry.row, proposal.tool, "simulated", "")
    return message


async def _finish(ctx: RunContext, entry: Execute, proposal: Proposal, error: ToolError) -> Any:
    message = error_message(error, tool=proposal.tool, call_id=proposal.call_id)
    await hop(ledger.finish, ctx, entry.row, result=dump(message), error=error.as_dict())
    ctx.on_call(entry.row, proposal.tool, "failed", "")
    return marked(message, proposal.tool, entry.row) if entry.marks else message


async def _reply(ctx: RunContext, entry: Entry, proposal: Proposal) -> Any:
    """What the graph gets for a call that does not run (any more)."""
    match entry:
        case Recorded(row=row, result=result, marks=marks):
            return marked(load(result), proposal.tool, row) if marks else load(result)
        case Answered(answer=answer):
            content = answer if isinstance(answer, str) else json.dumps(encode(answer))
            message = ToolMessage(content=content, name=proposal.tool, tool_call_id=proposal.call_id)
        case Refused(kind=kind, message=text, hint=hint, retryable=retryable):
            message = error_message(ToolError(kind, text, retryable, hint), tool=proposal.tool, call_id=proposal.call_id)
        case _:
            raise TypeError(f"no reply to {entry!r}")
    await faults.at_on_loop("gate.answer.before")
    await hop(ledger.keep_answer, ctx, entry.row, dump(message))
    return message


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _context(request: ToolCallRequest) -> RunContext:
    ctx = current.get()
    if ctx is None:
        raise GateMissing(f"The tool {request.tool_call['name']!r} was called outside a run of the desk. It was not started.")
    return ctx


def _proposal(request: ToolCallRequest) -> Proposal:
    call = request.tool_call
    message = _message(request)
    tool = request.tool
    return Proposal(
        namespace=_namespace(request),
        message_id=_message_id(message, request),
        call_id=call["id"] or "",
        tool=call["name"],
        args=dict(call["args"]),
        description=tool.description if tool else "",
        schema=schema_of(tool) if tool else {},
        labels=labels_of(tool) if tool else {},
        has_preview=previews.hook_of(tool) is not None,
        reason=_text(message) if message else "",
        confidence=_confidence(message, call["id"] or "") if message else None,
    )


def schema_of(tool: BaseTool) -> dict[str, Any]:
    """The JSON Schema of what the model may pass: injected arguments are not part of it. LangChain's own form of it drops the
    fields' titles, formats and examples, which people's forms are made of: those come from the tool's model."""
    passed = tool.tool_call_schema
    if isinstance(passed, dict):
        return dict(passed)
    if not issubclass(passed, BaseModel):
        return passed.schema()  # a tool made with Pydantic's first version
    schema = passed.model_json_schema()
    whole = tool.args_schema
    if isinstance(whole, type) and issubclass(whole, BaseModel):
        try:
            fields = whole.model_json_schema()
        except PydanticInvalidForJsonSchema:  # an injected argument has no schema
            return schema
        known = {name: part for name, part in fields.get("properties", {}).items() if name in schema.get("properties", {})}
        schema["properties"] = {**schema.get("properties", {}), **known}
        if "$defs" in fields:
            schema["$defs"] = {**schema.get("$defs", {}), **fields["$defs"]}
    return schema


def labels_of(tool: BaseTool) -> dict[str, Any]:
    """What the tool's own metadata, or its MCP hints, say of it: a first filling of the admin's labels, no more."""
    metadata = tool.metadata or {}
    labels = {key: metadata[key] for key in LABELS if key in metadata}
    if previews.hook_of(tool) is not None:
        labels["dry_run"] = True
    if undo := undoing.name_of(tool):
        labels["undo_tool"] = undo
    if metadata.get("readOnlyHint") is True:
        labels.setdefault("effect", "read")
    if metadata.get("idempotentHint") is True:
        labels.setdefault("idempotent", True)
    if metadata.get("openWorldHint") is True:
        labels.setdefault("results", "untrusted")
    return labels


def _message(request: ToolCallRequest) -> AIMessage | None:
    """The model's message that holds this call: the last one that does."""
    state = request.state
    messages = state if isinstance(state, list) else None
    if isinstance(state, dict):
        messages = state.get("messages")
    elif isinstance(state, BaseModel) or hasattr(state, "messages"):
        messages = getattr(state, "messages", None)
    for message in reversed(messages or []):
        if isinstance(message, AIMessage) and any(c["id"] == request.tool_call["id"] for c in message.tool_calls):
            return message
    return None


def _message_id(message: AIMessage | None, request: ToolCallRequest) -> str:
    if message is None:
        return "call"
    return message.id or digest([message.content, [dict(c) for c in message.tool_calls]])


def _namespace(request: ToolCallRequest) -> str:
    """Where in the graph the call stands, without the ids that change from attempt to attempt."""
    return "|".join(part.split(":")[0] for part in _place(request).split("|"))


def _place(request: ToolCallRequest) -> str:
    return str((request.runtime.config.get("configurable") or {}).get("checkpoint_ns", ""))


def _refusal(request: ToolCallRequest) -> ToolMessage | None:
    """Two calls with one id in one message cannot be told apart: both are refused."""
    message = _message(request)
    call = request.tool_call
    if not call["id"] or (message and sum(c["id"] == call["id"] for c in message.tool_calls) > 1):
        error = ToolError("ambiguous_call", "This call's id is missing or used twice in one message. It was not executed.")
        return error_message(error, tool=call["name"], call_id=call["id"] or "")
    return None


def _invalid(request: ToolCallRequest, proposal: Proposal) -> ToolError | None:
    """Arguments that the tool would refuse anyway are refused before a person is asked."""
    if request.tool is None:
        return ToolError("unknown_tool", f"There is no tool named {proposal.tool}. Nothing was executed.")
    schema = request.tool.tool_call_schema
    try:
        if isinstance(schema, dict):
            jsonschema.validate(proposal.args, schema)
        elif issubclass(schema, BaseModel):
            schema.model_validate(proposal.args)
    except (ValidationError, jsonschema.ValidationError) as error:
        text = error.message if isinstance(error, jsonschema.ValidationError) else _sentences(error)
        return ToolError("invalid_arguments", text, retryable=True, hint="Correct the arguments and call again.")
    return None


def _sentences(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in error.errors())


def _text(message: AIMessage) -> str:
    return str(message.text)


def _confidence(message: AIMessage, call_id: str) -> float | None:
    """What the agent says of its own certainty: ``additional_kwargs["confidence"]`` of the message, one number from 0 to 1 or a
    number for each call id. None where it says nothing of the kind."""
    said: Any = message.additional_kwargs.get("confidence")
    if isinstance(said, dict):
        said = said.get(call_id)
    is_number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if is_number and 0 <= said <= 1 else None


def _give_key(request: ToolCallRequest, row: UUID) -> None:
    """Hand the idempotency key to the tool, in the configuration that its call gets and no other call sees."""
    config = request.runtime.config
    config["configurable"] = {**(config.get("configurable") or {}), "idempotency_key": str(row)}


def _with_notice(result: Any, entry: Execute) -> Any:
    """Tell the model that a person changed its call, or it would make the original one again."""
    if not entry.modified_by or not isinstance(result, ToolMessage) or not isinstance(result.content, str):
        return result
    args = json.dumps(encode(entry.args), ensure_ascii=False)
    notice = f"Note: {entry.modified_by} changed this call before it ran. It ran with {args}. Do not repeat the original call."
    return result.model_copy(update={"content": f"{result.content}\n\n{notice}"})


def _interrupt(entry: Pause, proposal: Proposal) -> GraphInterrupt:
    """LangChain's per-call request, for whoever watches the stream; the answer is read from the ledger."""
    value = {
        "type": "tool_approval", "tool_call_id": proposal.call_id, "name": proposal.tool, "args": decode(encode(proposal.args)),
        "description": entry.description, "desk_call": str(entry.row), "desk_approval": str(entry.approval),
    }  # fmt: skip
    return GraphInterrupt((Interrupt(value=value, id=entry.row.hex),))


def _group(ctx: RunContext, request: ToolCallRequest) -> Siblings:
    return ctx.groups.setdefault(_place(request), Siblings())


@asynccontextmanager
async def _beside(group: Siblings) -> Any:
    """Stand beside the other calls of this task. Yields ``rest()``: come to rest, and wait until all others have."""
    loop = asyncio.get_running_loop()
    with _busy(group) as done:

        async def rest() -> None:
            done()
            await asyncio.sleep(0)
            while group.busy:
                turn = asyncio.Event()
                group.waiters.append(functools.partial(_wake, loop, turn))
                if group.busy:
                    await turn.wait()

        await asyncio.sleep(0)  # let the siblings of this task come in, so that none is overlooked
        yield rest


def _wake(loop: asyncio.AbstractEventLoop, turn: asyncio.Event) -> None:
    loop.call_soon_threadsafe(turn.set)


@contextmanager
def _busy(group: Siblings) -> Any:
    group.busy += 1
    over = False

    def done() -> None:
        nonlocal over
        if not over:
            over = True
            group.busy -= 1
            if not group.busy:
                waiters, group.waiters = group.waiters, []
                for wake in waiters:
                    wake()

    try:
        yield done
    finally:
        done()
