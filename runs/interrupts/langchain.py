"""LangChain's HumanInTheLoopMiddleware, batched and per call (langchain 1.4: agents/middleware/human_in_the_loop.py)."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Verdict
from runs.interrupts.base import ALL, Payload, Question, Schema, has

# LangChain's words for what people decide.
VERDICTS = {"approve": Verdict.APPROVE, "edit": Verdict.MODIFY, "reject": Verdict.REJECT, "respond": Verdict.RESPOND}
TEXT = {"type": "string"}


def decision_for(question: Question, decision: Decision) -> dict[str, Any]:
    """One decision in LangChain's form. A reason for a rejection must be under ``message``, or the model never reads it."""
    match decision.verdict:
        case Verdict.APPROVE:
            return {"type": "approve"}
        case Verdict.MODIFY:
            return {"type": "edit", "edited_action": {"name": question.action, "args": decode(decision.args)}}
        case Verdict.RESPOND:
            return {"type": "respond", "message": decode(decision.answer)}
    return {"type": "reject", **({"message": decision.message} if decision.message else {})}


def decision_schema(question: Question) -> Schema:
    """What LangChain takes as a decision about ``question``."""
    forms: dict[Verdict, Schema] = {
        Verdict.APPROVE: {"properties": {"type": {"const": "approve"}}},
        Verdict.MODIFY: {
            "properties": {
                "type": {"const": "edit"},
                "edited_action": {
                    "type": "object",
                    "properties": {"name": {"const": question.action}, "args": {"type": "object"}},
                    "required": ["name", "args"],
                },
            },
            "required": ["edited_action"],
        },
        Verdict.REJECT: {"properties": {"type": {"const": "reject"}, "message": TEXT}},
        Verdict.RESPOND: {"properties": {"type": {"const": "respond"}, "message": TEXT}, "required": ["message"]},
    }
    allowed = [form for verdict, form in forms.items() if verdict in question.allowed]
    return {"type": "object", "required": ["type"], "anyOf": allowed}


class Batched:
    """One interrupt for all gated calls of a turn; the decisions match them by position."""

    name = "langchain-batched"

    def fits(self, payload: Payload) -> bool:
        value = payload.value
        return has(value, "action_requests", "review_configs") and isinstance(value["action_requests"], list)

    def questions(self, payload: Payload) -> list[Question]:
        configs = payload.value["review_configs"]
        return [
            Question(
                action=str(request["name"]),
                args=dict(request.get("args") or {}),
                description=str(request.get("description") or ""),
                allowed=[VERDICTS[d] for d in configs[n]["allowed_decisions"] if d in VERDICTS] if n < len(configs) else ALL,
                answer_schema=TEXT,
                told=request,
            )
            for n, request in enumerate(payload.value["action_requests"])
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        questions = self.questions(payload)
        return {"decisions": [decision_for(q, d) for q, d in zip(questions, decisions, strict=True)]}

    def parts(self, answer: Any) -> list[Any]:
        found: list[Any] = answer["decisions"]
        return found

    def answer_schema(self, payload: Payload) -> Schema:
        forms = [decision_schema(question) for question in self.questions(payload)]
        decisions = {"type": "array", "prefixItems": forms, "minItems": len(forms), "maxItems": len(forms)}
        return {"type": "object", "properties": {"decisions": decisions}, "required": ["decisions"]}

    def is_refusable(self, payload: Payload) -> bool:
        return all(Verdict.REJECT in question.allowed for question in self.questions(payload))


class PerCall:
    """One interrupt for each gated call, with the schema of its answer."""

    name = "langchain-per-call"

    def fits(self, payload: Payload) -> bool:
        return has(payload.value, "type", "name") and payload.value["type"] == "tool_approval"

    def questions(self, payload: Payload) -> list[Question]:
        value = payload.value
        return [
            Question(
                action=str(value["name"]),
                args=dict(value.get("args") or {}),
                description=str(value.get("description") or ""),
                allowed=self._allowed(payload.response_schema),
                answer_schema=TEXT,
                call_id=str(value.get("tool_call_id") or ""),
                told=value,
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        return decision_for(self.questions(payload)[0], decisions[0])

    def answer_schema(self, payload: Payload) -> Schema:
        return payload.response_schema or decision_schema(self.questions(payload)[0])

    def is_refusable(self, payload: Payload) -> bool:
        return Verdict.REJECT in self.questions(payload)[0].allowed

    def _allowed(self, schema: Schema | None) -> Sequence[Verdict]:
        """The verdicts whose form the answer's schema knows."""
        text = str(schema or "")
        known = [verdict for word, verdict in VERDICTS.items() if f"'{word}'" in text]
        return known or ALL
