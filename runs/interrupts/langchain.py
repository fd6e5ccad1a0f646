"""LangChain's HumanInTheLoopMiddleware, batched and per call (langchain 1.4: agents/middleware/human_in_the_loop.py)."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import ALL, Payload, Question

# LangChain's words for what people decide.
VERDICTS = {"approve": Verdict.APPROVE, "edit": Verdict.MODIFY, "reject": Verdict.REJECT, "respond": Verdict.RESPOND}


def decision_for(question: Question, decision: Decision) -> dict[str, Any]:
    """One decision in LangChain's form. A reason for a rejection must be under ``message``, or the model never reads it."""
    match decision.verdict:
        case Verdict.APPROVE:
            return {"type": "approve"}
        case Verdict.MODIFY:
            return {"type": "edit", "edited_action": {"name": question.action, "args": decode(decision.args)}}
        case Verdict.RESPOND:
            return {"type": "respond", "message": str(decode(decision.answer))}
    return {"type": "reject", **({"message": decision.message} if decision.message else {})}


class Batched:
    """One interrupt for all gated calls of a turn; the decisions match them by position."""

    name = "langchain-batched"
    refusable = True

    def fits(self, payload: Payload) -> bool:
        value = payload.value
        return isinstance(value, dict) and isinstance(value.get("action_requests"), list) and "review_configs" in value

    def questions(self, payload: Payload) -> list[Question]:
        configs = payload.value["review_configs"]
        return [
            Question(
                action=str(request["name"]),
                args=dict(request.get("args") or {}),
                description=str(request.get("description") or ""),
                allowed=[VERDICTS[d] for d in configs[n]["allowed_decisions"] if d in VERDICTS] if n < len(configs) else ALL,
            )
            for n, request in enumerate(payload.value["action_requests"])
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        questions = self.questions(payload)
        return {"decisions": [decision_for(q, d) for q, d in zip(questions, decisions, strict=True)]}


class PerCall:
    """One interrupt for each gated call, with the schema of its answer."""

    name = "langchain-per-call"
    refusable = True

    def fits(self, payload: Payload) -> bool:
        return isinstance(payload.value, dict) and payload.value.get("type") == "tool_approval" and "name" in payload.value

    def questions(self, payload: Payload) -> list[Question]:
        value = payload.value
        return [
            Question(
                action=str(value["name"]),
                args=dict(value.get("args") or {}),
                description=str(value.get("description") or ""),
                allowed=self._allowed(payload.response_schema),
                call_id=str(value.get("tool_call_id") or ""),
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decision_for(self.questions(payload)[0], decisions[0])

    def _allowed(self, schema: dict[str, Any] | None) -> Sequence[Verdict]:
        """The verdicts whose form the answer's schema knows."""
        text = str(schema or "")
        known = [verdict for word, verdict in VERDICTS.items() if f"'{word}'" in text]
        return known or ALL
