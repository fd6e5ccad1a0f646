"""The exact JSON that a run will receive, before anybody has decided."""

from typing import Any

from agentdesk.digests import decode, encode
from approvals.models import Approval, Decision
from runs.interrupts.adapters import ADAPTERS, named
from runs.interrupts.base import Payload


def is_known(approval: Approval) -> bool:
    """Whether this release has the adapter that asked."""
    return any(adapter.name == approval.adapter for adapter in ADAPTERS)


def preview(approval: Approval, decision: Decision) -> Any:
    """The answer of the adapter that asked. One of several questions of a payload is shown by itself, in the form of one."""
    adapter = named(approval.adapter)
    interrupt, number = _place(approval)
    value = _only(decode(approval.payload), number)
    schema = approval.answer_schema
    payload = Payload(interrupt, value, approval.action.removeprefix("interrupt:"), schema, schema)
    return encode(adapter.answer(payload, [decision]))


def _place(approval: Approval) -> tuple[str, int]:
    """The interrupt that asked, and which of its questions this is: ``interrupt:<run>:<checkpoint>:<interrupt>:<number>``."""
    parts = approval.request_key.split(":")
    return (parts[3], int(parts[4])) if len(parts) > 4 and parts[4].isdigit() else ("", 0)


def _only(value: Any, number: int) -> Any:
    """The payload with the one question alone, where it asks several."""
    if isinstance(value, list) and number < len(value):
        return [value[number]]
    if isinstance(value, dict) and isinstance(requests := value.get("action_requests"), list) and number < len(requests):
        configs = (value.get("review_configs") or [])[number : number + 1]
        return {**value, "action_requests": [requests[number]], "review_configs": configs}
    return value
