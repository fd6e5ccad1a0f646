"""The story of a run: one line for each step, in words of the desk made from the record."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from agentdesk.digests import decode
from agentdesk.templatetags.desk import human
from approvals.models import Approval, Decision
from approvals.states import Verdict
from approvals.web.display import phrase, sentence
from runs.limits import name_of
from runs.models import Step
from runs.states import CallStatus, StepKind, StepStatus
from runs.web.arguments import Argument, changes
from runs.web.calls import CallRow, loaded

LONG_WORDS = 1500  # characters; longer words of a model scroll inside themselves


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call as a model wrote it."""

    name: str
    args: Any

    @property
    def sentence(self) -> str:
        return deed(self.name, self.args)


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval as a line names it: with the arguments that it had then, which never change any more."""

    approval: Approval
    args: Any

    @property
    def pk(self) -> UUID:
        return self.approval.pk

    @property
    def sentence(self) -> str:
        then = copy(self.approval)
        then.args = self.args
        return sentence(then)


@dataclass(frozen=True, slots=True)
class Line:
    """One step with what its sentence speaks of. ``call`` of a tool step, ``after`` the decision step that let it go on;
    ``approvals`` of a pause; ``approval`` and ``decision`` of a decision."""

    step: Step
    call: CallRow | None = None
    after: int | None = None
    approvals: list[Approval] = field(default_factory=list)
    approval: Approval | None = None
    decision: Decision | None = None

    @property
    def order(self) -> str:
        """Where the line stands. A call that waited for people is told of after their decision, not where it was asked."""
        own = f"{self.step.pk:020d}"
        return own if self.after is None else f"{self.after:020d} {own}"

    @property
    def is_open(self) -> bool:
        return self.step.status == StepStatus.OPEN

    @property
    def is_empty(self) -> bool:
        """The end of a pause that another line tells of: several approvals, one wait."""
        return self.step.kind == StepKind.PAUSE and not self.is_open and not self.approvals

    @property
    def is_lost(self) -> bool:
        """Its worker died in it. A call that waited for people lost nothing by that."""
        return self.step.status == StepStatus.LOST and self.outcome != CallStatus.WAITING

    @property
    def at(self) -> datetime:
        """When it happened; for a call that waited for people, when they let it go on."""
        if self.after is None or self.call is None:
            return self.step.started_at
        return self.call.call.started_at or self.call.call.ended_at or self.step.started_at

    @property
    def seconds(self) -> float | None:
        """How long it took; of a call, without the wait for people."""
        if self.call is not None:
            return self.call.seconds
        return None if self.step.ended_at is None else (self.step.ended_at - self.step.started_at).total_seconds()

    @property
    def outcome(self) -> str:
        """What became of the call of a tool step, as a status of calls."""
        said = str(self.step.data.get("outcome", ""))
        if said in CallStatus.values:
            return said
        return self.call.call.status if self.call else ""

    @property
    def limit(self) -> str:
        """What was at its limit, in words."""
        words = name_of(str(self.step.data.get("limit") or self.step.name))
        return words[:1].upper() + words[1:]

    @property
    def text(self) -> str:
        """What a model wrote."""
        return str(self.step.data.get("text") or "")

    @property
    def wanted(self) -> list[Wanted]:
        calls = self.step.data.get("tool_calls") or []
        return [Wanted(str(call.get("name", "")), call.get("args")) for call in calls if isinstance(call, dict)]

    @property
    def is_long(self) -> bool:
        return len(self.text) > LONG_WORDS

    @property
    def tokens(self) -> int | None:
        """Tokens read and written, None where the model did not say."""
        counts = [self.step.data.get(name) for name in ("input_tokens", "output_tokens")]
        known = [int(count) for count in counts if count is not None]
        return sum(known) if known else None

    @property
    def deed(self) -> str:
        """What a tool step does, from its real arguments: those that ran, or those that were asked."""
        if self.call is None:
            return human(str(self.step.data.get("tool") or self.step.name))
        row = self.call.call
        return deed(row.tool, row.asked_args if row.executed_args is None else row.executed_args)

    @property
    def asked(self) -> list[Asked]:
        """The approvals that this line speaks of."""
        if self.approval is not None:
            return [Asked(self.approval, self.decision.args if self.decision else self.approval.asked_args)]
        return [Asked(one, one.asked_args) for one in self.approvals]

    @property
    def by(self) -> str:
        """Who decided."""
        said = str(self.step.data.get("by") or "")
        return self.decision.decided_by_label if self.decision and not said else said

    @property
    def changed(self) -> list[Argument]:
        """What a decision changed in the arguments."""
        if self.decision is None or self.approval is None or self.decision.verdict != Verdict.MODIFY:
            return []
        return [one for one in changes(self.approval.asked_args, self.decision.args) if one.changed]


def lines(steps: Sequence[Step]) -> list[Line]:
    """Lines for ``steps``, one each. At most four queries."""
    calls = _calls(_ids(steps, StepKind.TOOL, "call"))
    approvals = _approvals(_ids(steps, StepKind.PAUSE, "approvals") | _ids(steps, StepKind.DECISION, "approval"))
    decided = _decided({row.call.run_id for row in calls.values()}, calls.values())
    return [_line(step, calls, approvals, decided) for step in steps]


def in_order(told: Iterable[Line]) -> list[Line]:
    return sorted(told, key=lambda line: line.order)


def deed(tool: str, args: Any) -> str:
    """A tool call in the desk's words, made from its encoded arguments."""
    return phrase(tool, decode(args))


def waited(pauses: Iterable[tuple[datetime, datetime | None]]) -> tuple[float, datetime | None]:
    """Seconds that a run waited for people, and since when it waits now. Pauses that overlap count once."""
    total, reached = 0.0, None
    for start, end in sorted(pauses, key=lambda pause: pause[0]):
        if end is None:
            return total, start
        begin = start if reached is None else max(start, reached)
        total += max(0.0, (end - begin).total_seconds())
        reached = end if reached is None else max(reached, end)
    return total, None


def _line(step: Step, calls: dict[UUID, CallRow], approvals: dict[UUID, Approval], decided: dict[UUID, int]) -> Line:
    match step.kind:
        case StepKind.TOOL:
            row = next((calls[key] for key in _uuids(step.data.get("call")) if key in calls), None)
            return Line(step, call=row, after=_after(step, row, decided))
        case StepKind.PAUSE:
            return Line(step, approvals=[approvals[key] for key in _uuids(step.data.get("approvals")) if key in approvals])
        case StepKind.DECISION:
            approval = next((approvals[key] for key in _uuids(step.data.get("approval")) if key in approvals), None)
            return Line(step, approval=approval, decision=_decision(step, approval))
    return Line(step)


def _after(step: Step, row: CallRow | None, decided: dict[UUID, int]) -> int | None:
    """The decision step that a tool step follows, where that came later."""
    asked = [] if row is None else [row.call.approval_id, row.call.doubt_id]
    later = [decided[one] for one in asked if one in decided and decided[one] > step.pk]
    return max(later, default=None)


def _decided(runs: set[UUID], rows: Iterable[CallRow]) -> dict[UUID, int]:
    """The last decision step on each approval that these calls waited for."""
    asked = {str(one) for row in rows for one in (row.call.approval_id, row.call.doubt_id) if one}
    if not asked:
        return {}
    steps = Step.objects.filter(run__in=runs, kind=StepKind.DECISION, data__approval__in=asked).order_by("pk")
    return {UUID(approval): pk for approval, pk in steps.values_list("data__approval", "pk")}


def _decision(step: Step, approval: Approval | None) -> Decision | None:
    """The decision that the step recorded under its own id: an approval that was asked again has more than one."""
    made = [] if approval is None else approval.decisions.all()
    return next((one for one in made if one.pk == step.key), None)


def _calls(ids: set[UUID]) -> dict[UUID, CallRow]:
    return {call.pk: CallRow(call) for call in loaded().filter(pk__in=ids)} if ids else {}


def _approvals(ids: set[UUID]) -> dict[UUID, Approval]:
    return Approval.objects.prefetch_related("decisions").in_bulk(list(ids)) if ids else {}


def _ids(steps: Iterable[Step], kind: StepKind, key: str) -> set[UUID]:
    return {one for step in steps if step.kind == kind for one in _uuids(step.data.get(key))}


def _uuids(value: Any) -> list[UUID]:
    values = value if isinstance(value, list) else [value]
    return [UUID(str(one)) for one in values if one]
