"""AG-UI's interrupts as a LangGraph graph raises them (docs.ag-ui.com/concepts/interrupts; ag_ui_langgraph/interrupts.py).

The value holds ``reason``, and any of ``message``, ``toolCallId``, ``responseSchema``, ``expiresAt`` (or these in snake case).
``interrupt()`` returns the payload of the resume as it is; a cancelled one returns ``{"__agui_cancelled__": true,
"interrupt_id": id}``. A tool call is answered with ``{"approved": bool, "editedArgs"?: object}``: that the schema has
``editedArgs`` says that arguments may be changed.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import REFUSING, Payload, Question, Schema, text_of, usable

REASONS = ("tool_call", "input_required", "confirmation")
CANCELLED = "__agui_cancelled__"
REASON_FIELDS = ("message", "comment")


class AgUi:
    name = "ag-ui"

    def fits(self, payload: Payload) -> bool:
        value = payload.value
        if not isinstance(value, Mapping) or not isinstance(value.get("reason"), str):
            return False
        known = value["reason"] in REASONS or ":" in value["reason"]
        return known or "responseSchema" in value or "toolCallId" in value

    def questions(self, payload: Payload) -> list[Question]:
        value, schema = payload.value, _schema(payload)
        common: dict[str, Any] = {"description": text_of(value, "message"), "expires_after": _left(value)}
        if not _is_approval(payload):
            wanted = schema if schema is not None else {"type": "string"}
            return [
                Question(
                    action=payload.place,
                    args={name: item for name, item in value.items() if name not in ("responseSchema", "response_schema")},
                    allowed=[Verdict.RESPOND, Verdict.REJECT],
                    answer_schema=wanted,
                    **common,
                )
            ]
        edits = _properties(schema).get("editedArgs")
        allowed = [Verdict.APPROVE, Verdict.REJECT, *([Verdict.MODIFY] if edits is not None else [])]
        return [
            Question(
                action=text_of(value, "toolCallName", "tool_name", "toolName", "action") or payload.place,
                args=_args(value),
                allowed=allowed,
                args_schema=edits if isinstance(edits, dict) and edits.get("properties") else None,
                call_id=text_of(value, "toolCallId", "tool_call_id"),
                **common,
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        decision = decisions[0]
        if decision.verdict == Verdict.RESPOND:
            return decode(decision.answer)
        if not _is_approval(payload) or decision.verdict in (Verdict.EXPIRE, Verdict.WITHDRAW):
            return {CANCELLED: True, "interrupt_id": payload.id}
        if decision.verdict in REFUSING:
            known = [name for name in REASON_FIELDS if name in _properties(_schema(payload))]
            return {"approved": False, **({known[0]: decision.message} if known and decision.message else {})}
        edited = {"editedArgs": decode(decision.args)} if decision.verdict == Verdict.MODIFY else {}
        return {"approved": True, **edited}

    def answer_schema(self, payload: Payload) -> Schema:
        cancelled = {"type": "object", "properties": {CANCELLED: {"const": True}}, "required": [CANCELLED, "interrupt_id"]}
        approved = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}
        schema = _schema(payload)
        own = schema if schema is not None else approved if _is_approval(payload) else {"type": "string"}
        return {**{name: own[name] for name in ("$defs", "definitions") if name in own}, "anyOf": [cancelled, own]}

    def is_refusable(self, payload: Payload) -> bool:
        return True


def _schema(payload: Payload) -> Schema | None:
    value = payload.value
    return usable(value.get("responseSchema", value.get("response_schema"))) or usable(payload.response_schema)


def _properties(schema: Schema | None) -> Mapping[str, Any]:
    found = (schema or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _is_approval(payload: Payload) -> bool:
    """Whether yes, no and changed arguments are all that the answer can say."""
    schema = _schema(payload)
    if schema is None:
        return payload.value["reason"] in ("tool_call", "confirmation")
    required = set(schema.get("required") or []) - {"approved", "editedArgs"}
    return "approved" in _properties(schema) and not required


def _args(value: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments, wherever the graph has put them; failing that, all that it said."""
    metadata = value.get("metadata")
    for holder in (value, metadata if isinstance(metadata, Mapping) else {}):
        for name in ("args", "arguments", "toolCallArgs", "tool_args"):
            if isinstance(holder.get(name), Mapping):
                return dict(holder[name])
    told = ("responseSchema", "response_schema", "message", "expiresAt", "expires_at")
    return {name: item for name, item in value.items() if name not in told}


def _left(value: Mapping[str, Any]) -> int | None:
    """Seconds until ``expiresAt``; None where it names no moment."""
    try:
        end = dt.datetime.fromisoformat(text_of(value, "expiresAt", "expires_at"))
    except ValueError:
        return None
    end = end if end.tzinfo else end.replace(tzinfo=dt.UTC)
    return max(1, int((end - dt.datetime.now(dt.UTC)).total_seconds()))
