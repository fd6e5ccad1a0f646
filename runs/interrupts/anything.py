"""What no family claims: an object to send back as it is or changed, and any other value, answered with any JSON."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import Payload, Question, Schema
from runs.interrupts.schemas import said, shown


class WholeObject:
    """An object without a word on its answer: sent back as it is (approve), changed (modify), or answered otherwise."""

    name = "object"

    def fits(self, payload: Payload) -> bool:
        return bool(payload.value) and shown(payload.value) is payload.value

    def questions(self, payload: Payload) -> list[Question]:
        allowed = [Verdict.APPROVE, Verdict.MODIFY, Verdict.RESPOND]
        return [Question(payload.place, payload.value, said(payload.value), allowed, answer_schema={})]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        decision = decisions[0]
        return decode(decision.answer if decision.verdict == Verdict.RESPOND else decision.args)

    def answer_schema(self, payload: Payload) -> Schema | None:
        return None

    def is_refusable(self, payload: Payload) -> bool:
        return False


class Anything:
    name = "anything"

    def fits(self, payload: Payload) -> bool:
        return True

    def questions(self, payload: Payload) -> list[Question]:
        return [Question(payload.place, {"question": payload.value}, "", [Verdict.RESPOND], answer_schema={})]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decode(decisions[0].answer)

    def answer_schema(self, payload: Payload) -> Schema | None:
        return None

    def is_refusable(self, payload: Payload) -> bool:
        return False
