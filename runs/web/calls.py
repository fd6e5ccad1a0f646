"""Rows of the tool-call table: what the agent asked, what was approved, what ran, what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from agentdesk.digests import decode
from approvals.models import Evaluation
from approvals.models.rules import Effect
from approvals.policy.replay import facts_of
from approvals.states import Verdict
from runs.models import ToolCall
from runs.states import CALL_ENDED, CallStatus
from runs.web.arguments import Argument, arguments, changes, text_of

TONES = {
    CallStatus.SUCCEEDED: "ok",
    CallStatus.EXECUTING: "live",
    CallStatus.WAITING: "live",
    CallStatus.FAILED: "bad",
    CallStatus.IN_DOUBT: "bad",
}
ICONS = {
    CallStatus.PROPOSED: "dots", CallStatus.DENIED: "lock", CallStatus.WAITING: "pause", CallStatus.APPROVED: "check",
    CallStatus.EXECUTING: "spin", CallStatus.PAUSED: "pause", CallStatus.SUCCEEDED: "check", CallStatus.FAILED: "cross",
    CallStatus.REJECTED: "cross", CallStatus.EXPIRED: "clock", CallStatus.WITHDRAWN: "minus", CallStatus.IN_DOUBT: "doubt",
    CallStatus.SIMULATED: "eye", CallStatus.UNDONE: "undo",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallRow:
    """One tool call as its row shows it."""

    call: ToolCall

    @property
    def tone(self) -> str:
        return TONES.get(CallStatus(self.call.status), "")

    @property
    def icon(self) -> str:
        return ICONS[CallStatus(self.call.status)]

    @property
    def asked(self) -> list[Argument]:
        return arguments(self.call.asked_args)

    @property
    def answered(self) -> bool:
        """A person's answer stood in for the tool's result."""
        return self.call.decision is not None and self.call.decision.verdict == Verdict.RESPOND

    @property
    def approved(self) -> list[Argument]:
        """The approved arguments beside the asked ones; empty while nothing is approved or when they are the same."""
        return _unless_equal(self.call.asked_args, self.call.approved_args)

    @property
    def executed(self) -> list[Argument]:
        """The executed arguments beside the approved ones; empty when nothing ran or when they are the same."""
        return _unless_equal(self.call.approved_args, self.call.executed_args)

    @property
    def allowed_by_rule(self) -> bool:
        return self.call.verdict == Effect.ALLOW

    @property
    def denied_by_rule(self) -> bool:
        return self.call.verdict == Effect.DENY

    @property
    def rules(self) -> list[str]:
        return rule_names(self.call.evaluation)

    @property
    def ran(self) -> bool:
        return self.call.executed_args is not None

    @property
    def ran_with(self) -> dict[str, Any]:
        """The executed arguments as plain values."""
        args: dict[str, Any] = decode(self.call.executed_args or {})
        return args

    @property
    def same_digest(self) -> bool:
        """What ran is what was approved."""
        return bool(self.call.executed_digest) and self.call.executed_digest == self.call.approved_digest

    @property
    def ended(self) -> bool:
        return self.call.status in CALL_ENDED

    @property
    def result(self) -> Argument | None:
        """What came back, as text; None when nothing did."""
        return None if self.call.result is None else Argument("", result_text(self.call.result))

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        if self.call.started_at is None or self.call.ended_at is None:
            return None
        return (self.call.ended_at - self.call.started_at).total_seconds()


def loaded() -> QuerySet[ToolCall]:
    """Tool calls with all that their rows show."""
    return ToolCall.objects.select_related("approval", "decision", "evaluation")


def rows(calls: Sequence[ToolCall]) -> list[CallRow]:
    return [CallRow(call) for call in calls]


def rule_names(evaluation: Evaluation | None) -> list[str]:
    """The rules that gave the verdict, by name; where it goes beyond a fence, why."""
    if evaluation is None:
        return []
    if evaluation.facts and evaluation.facts.get("bounds") and (fences := facts_of(evaluation.facts).crossed()):
        strictest = [fence.text for fence in fences if fence.verdict == evaluation.verdict]
        if strictest:
            return strictest
    named = [rule for rule in evaluation.rules if isinstance(rule, dict) and rule.get("matched", True)]
    deciding = [rule for rule in named if rule.get("verdict", evaluation.verdict) == evaluation.verdict]
    return [str(rule["name"]) for rule in deciding if rule.get("name") and rule.get("mode", "active") == "active"]


def result_text(result: Any) -> str:
    """A stored result as people read it."""
    return text_of(result["shown"] if isinstance(result, dict) and "shown" in result else result)


def _unless_equal(before: Any, after: Any) -> list[Argument]:
    shown = [] if after is None else changes(before, after)
    return shown if any(argument.changed for argument in shown) else []
