"""The ``approval_required`` payload: ``{type, action, details, risk_level}``."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Risk, Verdict
from runs.interrupts.base import REFUSING, Payload, Question, Schema, has


class ApprovalRequired:
    name = "approval-required"

    def fits(self, payload: Payload) -> bool:
        return has(payload.value, "type", "action") and payload.value["type"] == "approval_required"

    def questions(self, payload: Payload) -> list[Question]:
        value = payload.value
        details = value.get("details")
        risk = str(value.get("risk_level") or "").lower()
        return [
            Question(
                action=str(value["action"]),
                args=dict(details) if isinstance(details, dict) else {"details": details},
                description=str(value.get("description") or ""),
                risk=risk if risk in Risk.values else "",
                told=value,
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        decision = decisions[0]
        final = decode(decision.args)
        details = payload.value.get("details")
        return {
            "decision": "reject" if decision.verdict in REFUSING else decision.verdict,
            "approved": decision.verdict in (Verdict.APPROVE, Verdict.MODIFY),
            "action": payload.value["action"],
            "details": final if isinstance(details, dict) else final["details"],
            "message": str(decode(decision.answer)) if decision.verdict == Verdict.RESPOND else decision.message,
            "decided_by": decision.decided_by_label,
            "decision_id": str(decision.pk),
        }

    def answer_schema(self, payload: Payload) -> Schema:
        texts = {name: {"type": "string"} for name in ("message", "decided_by", "decision_id")}
        verdicts = {"enum": [str(Verdict.APPROVE), str(Verdict.MODIFY), str(Verdict.REJECT), str(Verdict.RESPOND)]}
        action = {"const": payload.value["action"]}
        facts = {"decision": verdicts, "approved": {"type": "boolean"}, "action": action, "details": {}}
        return {"type": "object", "properties": facts | texts, "required": [*facts, *texts]}

    def is_refusable(self, payload: Payload) -> bool:
        return True
