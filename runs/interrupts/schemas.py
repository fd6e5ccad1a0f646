"""Payloads whose answer has a schema: one that the graph gave (``interrupt(value, response_schema=...)``), or one that an admin
has pinned to the agent's node. LangGraph hands on Pydantic models, TypedDicts and dataclasses as their JSON Schema."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import Payload, Question, Schema, text_of, usable


class ResponseSchema:
    name = "response-schema"

    def fits(self, payload: Payload) -> bool:
        return usable(payload.response_schema) is not None

    def questions(self, payload: Payload) -> list[Question]:
        return [
            Question(
                action=payload.place,
                args=shown(payload.value),
                description=said(payload.value),
                allowed=[Verdict.RESPOND],
                answer_schema=self.answer_schema(payload) or {},
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decode(decisions[0].answer)

    def answer_schema(self, payload: Payload) -> Schema | None:
        return payload.response_schema

    def is_refusable(self, payload: Payload) -> bool:
        return False


class Pinned(ResponseSchema):
    name = "pinned"

    def fits(self, payload: Payload) -> bool:
        return usable(payload.pinned) is not None

    def answer_schema(self, payload: Payload) -> Schema | None:
        return payload.pinned


def shown(value: Any) -> dict[str, Any]:
    """A payload as named arguments."""
    return value if isinstance(value, dict) and all(isinstance(name, str) for name in value) else {"question": value}


def said(value: Any) -> str:
    """What a payload says in words: itself, where it is a text, or the field that usually holds them."""
    if isinstance(value, str):
        return value
    return text_of(value, "question", "message", "prompt", "instruction", "task") if isinstance(value, dict) else ""
