"""The ``approval_required`` payload: ``{type, action, details, risk_level}``."""

from collections.abc import Sequence
from typing import Any

from agentdesk.digests import decode
from approvals.models import Decision
from approvals.states import Risk, Verdict
from runs.interrupts.base import Payload, Question


class ApprovalRequired:
    name = "approval-required"
    refusable = True

    def fits(self, payload: Payload) -> bool:
        return (
            isinstance(payload.value, dict) and payload.value.get("type") == "approval_required" and "action" in payload.value
        )

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
            )
        ]

    def answer(self, payload: Payload, decisions: Sequence[Decision]) -> Any:
        decision = decisions[0]
        final = decode(decision.args)
        details = payload.value.get("details")
        refused = decision.verdict in (Verdict.REJECT, Verdict.EXPIRE, Verdict.WITHDRAW)
        return {
            "decision": "reject" if refused else decision.verdict,
            "approved": decision.verdict in (Verdict.APPROVE, Verdict.MODIFY),
            "action": payload.value["action"],
            "details": final if isinstance(details, dict) else final["details"],
            "message": str(decode(decision.answer)) if decision.verdict == Verdict.RESPOND else decision.message,
            "decided_by": decision.decided_by_label,
            "decision_id": str(decision.pk),
        }
