"""deepagents' ``ask_user``: several questions at once, answered in their order (deepagents_code/ask_user.py).

``{"type": "ask_user", "questions": [{"question", "type": "text" | "multiple_choice" | "multi_select", "choices"?: [{"value"}],
"required"?}], "tool_call_id"}`` is answered with ``{"status": "answered" | "cancelled", "answers": [str, …]}``. The answer to a
``multi_select`` is the JSON text of a list, that to a question passed over is empty.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import REFUSING, Payload, Question, Schema, has


class AskUser:
    name = "ask-user"

    def fits(self, payload: Payload) -> bool:
        value = payload.value
        if not (has(value, "type", "questions") and value["type"] == "ask_user" and isinstance(value["questions"], list)):
            return False
        return bool(value["questions"]) and all(has(question, "question") for question in value["questions"])

    def questions(self, payload: Payload) -> list[Question]:
        asked = payload.value["questions"]
        fields = {_name(n): _field(question) for n, question in enumerate(asked)}
        required = [_name(n) for n, question in enumerate(asked) if question.get("required", True)]
        return [
            Question(
                action=payload.place,
                args={_name(n): question["question"] for n, question in enumerate(asked)},
                allowed=[Verdict.RESPOND, Verdict.REJECT],
                answer_schema={"type": "object", "properties": fields, "required": required, "additionalProperties": False},
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        decision, asked = decisions[0], payload.value["questions"]
        if decision.verdict in REFUSING:
            return {"status": "cancelled", "answers": []}
        given = decode(decision.answer)
        return {"status": "answered", "answers": [_said(given.get(_name(n))) for n in range(len(asked))]}

    def answer_schema(self, payload: Payload) -> Schema:
        count = len(payload.value["questions"])
        answers = {"type": "array", "items": {"type": "string"}}
        answered = {"properties": {"status": {"const": "answered"}, "answers": {"minItems": count, "maxItems": count}}}
        cancelled = {"properties": {"status": {"const": "cancelled"}}}
        return {
            "type": "object",
            "properties": {"answers": answers},
            "required": ["status", "answers"],
            "anyOf": [answered, cancelled],
        }

    def is_refusable(self, payload: Payload) -> bool:
        return True


def _name(number: int) -> str:
    return f"question_{number + 1}"


def _field(question: Mapping[str, Any]) -> Schema:
    titled = {"title": str(question["question"])}
    choices = [choice["value"] if has(choice, "value") else choice for choice in question.get("choices") or []]
    if not choices:
        return titled | {"type": "string", "minLength": 1 if question.get("required", True) else 0}
    if question.get("type") == "multi_select":
        least = {"minItems": 1} if question.get("required", True) else {}
        return titled | least | {"type": "array", "items": {"enum": choices}, "uniqueItems": True}
    return titled | {"enum": choices}


def _said(given: Any) -> str:
    if given is None:
        return ""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
