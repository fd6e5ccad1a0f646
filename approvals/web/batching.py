"""Which approvals may be looked at together, and how their arguments compare with each other and with earlier ones."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from agentdesk.digests import decode
from agentdesk.figures import figure
from approvals.models import Approval, Decision
from approvals.policy.conditions import number_or_none
from approvals.states import Kind, Risk, Verdict
from approvals.web import display

MOST = 25  # approvals in one batch
HISTORY = 50  # approved ones that values are compared with
ENOUGH = 5  # of them, before anything is called unusual


@dataclass(frozen=True, slots=True)
class Cell:
    """One argument of one approval. ``differs``: the most common value of the group is another one.
    ``unusual``: what sets it apart from what was approved before, in words; empty: nothing."""

    text: str
    differs: bool = False
    unusual: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One approval of the batch."""

    approval: Approval
    sentence: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The arguments of a batch side by side. ``compared_with``: so many approved before; 0 where they were too few."""

    labels: list[str]
    lines: list[Line]
    compared_with: int


def may_batch(approval: Approval) -> bool:
    """Whether one look at many may approve it: a tool call of low risk that one reviewer approves without a word."""
    wants = approval.requirements
    return (
        approval.is_pending
        and approval.risk == Risk.LOW
        and approval.kind == Kind.TOOL_CALL
        and Verdict.APPROVE in approval.allowed
        and approval.need == 1
        and not wants.get("message_required")
        and not wants.get("second_factor")
    )


def kind_of(approval: Approval) -> str:
    """What approvals of one batch have in common: agent, tool, its schema, and what the policy requires."""
    facts = [approval.agent, approval.action, approval.schema_version, str(approval.team_id), approval.requirements]
    return json.dumps(facts, sort_keys=True, default=str)


def why_not_together(approvals: Sequence[Approval]) -> list[tuple[Approval, str]]:
    """Those that cannot be in one batch with the first that can, each with the reason."""
    leading = next((kind_of(approval) for approval in approvals if may_batch(approval)), None)
    refused = []
    for approval in approvals:
        if not approval.is_pending:
            refused.append((approval, _("It does not wait any more.")))
        elif approval.risk != Risk.LOW:
            refused.append((approval, _("Its risk is not low.")))
        elif not may_batch(approval):
            refused.append((approval, _("It needs more than one key: open it by itself.")))
        elif kind_of(approval) != leading:
            refused.append((approval, _("It is of another tool, agent, team or policy than the others.")))
    return refused


def matrix(approvals: Sequence[Approval]) -> Matrix:
    """The arguments of approvals of one kind, side by side. One query."""
    args = [_mapping(decode(approval.args)) for approval in approvals]
    names = display.reading_order(
        {name: value for each in reversed(args) for name, value in each.items()},
        approvals[0].args_schema if approvals else None,
    )
    past = _approved_before(approvals[0]) if approvals else []
    columns = [_column([each.get(name) for each in args], [each[name] for each in past if name in each]) for name in names]
    lines = [
        Line(approval, display.sentence(approval), [column[at] for column in columns]) for at, approval in enumerate(approvals)
    ]
    labels = {argument.name: argument.label for approval in approvals for argument in display.arguments(approval)}
    return Matrix([labels.get(name, name) for name in names], lines, len(past) if len(past) >= ENOUGH else 0)


def _approved_before(approval: Approval) -> list[Mapping[str, Any]]:
    """The arguments of the last calls of this tool that people approved, for this agent and team."""
    decisions = Decision.objects.filter(
        approval__agent=approval.agent, approval__action=approval.action, approval__team=approval.team_id,
        verdict=Verdict.APPROVE, voided_at=None,
    )  # fmt: skip
    return [_mapping(decode(args)) for args in decisions.order_by("-decided_at").values_list("args", flat=True)[:HISTORY]]


def _mapping(args: Any) -> Mapping[str, Any]:
    return args if isinstance(args, Mapping) else {"value": args}


def _column(values: Sequence[Any], past: Sequence[Any]) -> list[Cell]:
    texts = [display.as_text(value) for value in values]
    common, times = Counter(texts).most_common(1)[0]
    usual = common if times > 1 else None
    return [
        Cell(text, usual is not None and text != usual, _unusual(value, text, past))
        for value, text in zip(values, texts, strict=True)
    ]


def _unusual(value: Any, text: str, past: Sequence[Any]) -> str:
    """What sets a value apart from earlier ones: a number beyond all of them, or a value where there were only a few. Where
    every call had its own, as with the number of an order, a new one says nothing."""
    if len(past) < ENOUGH:
        return ""
    number = number_or_none(value)
    numbers = [found for each in past if (found := number_or_none(each)) is not None]
    if number is not None and len(numbers) == len(past):
        if number > max(numbers) and not _is_identifier(past):
            return _("more than any approved before: at most %(most)s") % {"most": figure(max(numbers))}
        if number < min(numbers) and not _is_identifier(past):
            return _("less than any approved before: at least %(least)s") % {"least": figure(min(numbers))}
        return ""
    known = {display.as_text(each) for each in past}
    if text not in known and len(known) <= len(past) // 2:
        return _("not among the values approved before")
    return ""


def _is_identifier(past: Sequence[Any]) -> bool:
    """Whole numbers that never repeat are names, not amounts."""
    return len({str(each) for each in past}) == len(past) and all(str(each).isdigit() for each in past)
