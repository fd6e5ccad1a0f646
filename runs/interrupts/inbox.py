"""Agent Inbox: ``HumanInterrupt`` as a list and by itself (agent-inbox README; langgraph.prebuilt.interrupt).

The answer is always a list with one ``HumanResponse`` for each request: ``{"type": "accept" | "ignore" | "response" | "edit",
"args": None | str | ActionRequest}``. Edited arguments are texts, as Agent Inbox sends them: what was no text goes as its JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentdesk.digests import decode, encode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import Payload, Question, Schema, has

PERMISSIONS = {
    "allow_accept": Verdict.APPROVE,
    "allow_edit": Verdict.MODIFY,
    "allow_ignore": Verdict.REJECT,
    "allow_respond": Verdict.RESPOND,
}
TYPES = {Verdict.APPROVE: "accept", Verdict.MODIFY: "edit", Verdict.RESPOND: "response"}


class AgentInbox:
    name = "agent-inbox"

    def fits(self, payload: Payload) -> bool:
        requests = _requests(payload.value)
        return bool(requests) and all(
            has(request, "action_request", "config") and has(request["action_request"], "action") and _allowed(request)
            for request in requests
        )

    def questions(self, payload: Payload) -> list[Question]:
        return [
            Question(
                action=str(request["action_request"]["action"]),
                args=_args(request),
                description=str(request.get("description") or ""),
                allowed=_allowed(request),
                answer_schema={"type": "string"},
            )
            for request in _requests(payload.value)
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return [_response(r, d) for r, d in zip(_requests(payload.value), decisions, strict=True)]

    def parts(self, answer: Any) -> list[Any]:
        found: list[Any] = answer
        return found

    def answer_schema(self, payload: Payload) -> Schema:
        forms = [_schema(request) for request in _requests(payload.value)]
        return {"type": "array", "prefixItems": forms, "minItems": len(forms), "maxItems": len(forms)}

    def is_refusable(self, payload: Payload) -> bool:
        return all(Verdict.REJECT in _allowed(request) for request in _requests(payload.value))


def _requests(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _allowed(request: Mapping[str, Any]) -> list[Verdict]:
    config = request["config"]
    return [verdict for name, verdict in PERMISSIONS.items() if isinstance(config, Mapping) and config.get(name)]


def _args(request: Mapping[str, Any]) -> dict[str, Any]:
    args = request["action_request"].get("args")
    return dict(args) if isinstance(args, Mapping) else {} if args is None else {"args": args}


def _response(request: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
    match decision.verdict:
        case Verdict.APPROVE:
            # Agent Inbox sends the action back where it could have been edited, else nothing.
            return {"type": "accept", "args": request["action_request"] if Verdict.MODIFY in _allowed(request) else None}
        case Verdict.MODIFY:
            args = {name: _text(value) for name, value in decode(decision.args).items()}
            return {"type": "edit", "args": {"action": request["action_request"]["action"], "args": args}}
        case Verdict.RESPOND:
            return {"type": "response", "args": decode(decision.answer)}
    return {"type": "ignore", "args": None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(encode(value), ensure_ascii=False)


def _schema(request: Mapping[str, Any]) -> Schema:
    action = {"type": "object", "required": ["action", "args"]}
    args: dict[Verdict, Schema] = {
        Verdict.APPROVE: {"anyOf": [action, {"type": "null"}]},
        Verdict.MODIFY: action,
        Verdict.REJECT: {"type": "null"},
        Verdict.RESPOND: {"type": "string"},
    }
    forms = [{"properties": {"type": {"const": TYPES.get(v, "ignore")}, "args": args[v]}} for v in _allowed(request)]
    return {"type": "object", "required": ["type", "args"], "anyOf": forms}
