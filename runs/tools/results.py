"""What a call brought, in a form that can be stored, shown to people and handed to the graph again unchanged."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agentdesk.digests import encode
from runs.tools.context import LimitReached, RunContext

_serde = JsonPlusSerializer(allowed_msgpack_modules=None)


@dataclass(frozen=True, slots=True)
class ToolError:
    """An error the model can act on."""

    kind: str
    message: str
    retryable: bool = False
    hint: str = ""
    is_fault: bool = False  # the tool does not work, rather than that it says no; circuit breakers count these

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "message": self.message, "retryable": self.retryable, "hint": self.hint}


def raised(error: BaseException) -> ToolError:
    """What an exception of a tool says. One with ``kind``, ``message``, ``retryable`` and ``hint``, such as the toolkit's
    ToolFailure, says it itself; of the others, a connection that failed may be tried again."""
    kind, message = getattr(error, "kind", None), getattr(error, "message", None)
    if isinstance(kind, str) and isinstance(message, str):
        return _checked(kind, message, getattr(error, "retryable", False), getattr(error, "hint", ""))
    return ToolError(type(error).__name__, str(error) or repr(error), isinstance(error, ConnectionError), is_fault=True)


def returned(result: Any) -> ToolError | None:
    """The structured error in what a tool returned, ``{"error": {"kind", "message", …}}``; None where it has none."""
    if not isinstance(result, ToolMessage) or not isinstance(result.content, str):
        return None
    try:
        said = json.loads(result.content)
    except ValueError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict) and isinstance(error.get("kind"), str) and isinstance(error.get("message"), str):
        return _checked(error["kind"], error["message"], error.get("retryable", False), error.get("hint", ""))
    return ToolError("tool_error", result.content[:2000]) if result.status == "error" else None


def _checked(kind: str, message: str, retryable: object, hint: object) -> ToolError:
    hint = str(hint)[:2000] if hint else ""
    return ToolError(kind[:100] or "failed", message[:2000], retryable is True, hint, is_fault=retryable is True)


def error_message(error: ToolError, *, tool: str, call_id: str) -> ToolMessage:
    """The structured error as the model reads it."""
    return ToolMessage(content=json.dumps({"error": error.as_dict()}), name=tool, tool_call_id=call_id, status="error")


def dump(result: Any) -> dict[str, Any]:
    """A tool message, a command or a list of them as JSON: ``shown`` for people, ``exact`` for :func:`load`."""
    kind, data = _serde.dumps_typed(result)
    return {"shown": encode(_shown(result)), "exact": [kind, base64.b64encode(data).decode()]}


def load(stored: dict[str, Any]) -> Any:
    """What :func:`dump` was given."""
    kind, data = stored["exact"]
    return _serde.loads_typed((kind, base64.b64decode(data)))


def size(result: Any) -> int:
    """Characters that the model would get to read."""
    shown = result.content if isinstance(result, ToolMessage) else _shown(result)
    return len(shown) if isinstance(shown, str) else len(json.dumps(encode(shown), ensure_ascii=False))


def refuse_if_large(ctx: RunContext, tool: str, result: Any) -> None:
    """Raises LimitReached for a result that is too large to be read. It is on record whole, and handed over when the run goes
    on with more; cut short, it would be a half-truth that the model acts on."""
    most = ctx.limits["output_chars"]
    if (length := size(result)) > most:
        detail = f"{tool} returned {length} characters; they are on record, and the model has not read them."
        raise LimitReached("output_chars", most, detail)


def _shown(result: Any) -> Any:
    if isinstance(result, ToolMessage):
        content = result.content
        if isinstance(content, str):
            try:
                return json.loads(content)
            except ValueError:
                return content
        return content
    if isinstance(result, list):
        return [_shown(item) for item in result]
    update = getattr(result, "update", None)
    return _shown(update.get("messages", update)) if isinstance(update, dict) else repr(result)
