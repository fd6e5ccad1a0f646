"""Any other payload: shown as it is, answered with a value that fits its schema, or any JSON where it names none."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import Payload, Question


class Anything:
    name = "anything"
    refusable = False

    def fits(self, payload: Payload) -> bool:
        return True

    def questions(self, payload: Payload) -> list[Question]:
        value = payload.value
        schema = payload.response_schema
        if schema is None and isinstance(value, str):
            schema = {"type": "string"}
        return [
            Question(
                action=f"interrupt:{payload.node}",
                args=value if isinstance(value, dict) else {"question": value},
                description=value if isinstance(value, str) else "",
                allowed=[Verdict.RESPOND],
                answer_schema=schema or {},
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decode(decisions[0].answer)
