"""The exact JSON that a run will receive, before anybody has decided."""

from typing import Any

from agentdesk.digests import decode, encode
from approvals.models import Approval, Decision
from runs.interrupts.adapters import ADAPTERS
from runs.interrupts.base import Payload


def preview(approval: Approval, decision: Decision) -> Any:
    """The answer of the adapter that asked. One of several questions of a payload is shown by itself, in the form of one."""
    adapter = next(a for a in ADAPTERS if a.name == approval.adapter)
    payload = Payload("", _only(approval, decode(approval.payload)), "", approval.answer_schema)
    return encode(adapter.answer(payload, [decision]))


def _only(approval: Approval, value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("action_requests"), list):
        return {**value, "action_requests": [{"name": approval.action, "args": decode(approval.args)}]}
    return value
