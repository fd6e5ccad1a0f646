"""The inbox's parts: rows, tabs, the filter, the first run, empty lists, and the matrix of a batch."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk.ids import new_id
from agentdesk.styleguide.samples import Sample, Section, Stage
from approvals.models import Approval
from approvals.states import Risk, Status, Verdict
from approvals.web.batching import Cell, Line, Matrix
from approvals.web.filters import Filter
from approvals.web.fragments import render_row
from approvals.web.queue import Group

_PLAIN: dict[str, Any] = {"action": "send_email", "effect": "write", "args_schema": None}
_SHOWN = ["edda@example.com", "48406", "delay_notice v3", "Thu 26 Nov"]


def sections(stage: Stage) -> list[Section]:
    group = _("Listing")
    return [
        Section(group, "rows", _("Rows of the inbox"), [_rows(stage)]),
        Section(group, "finding", _("Tabs, filter, first run"), _finding(stage)),
        Section(group, "empty", _("Empty, loading, failed, old"), _empty(stage)),
        Section(group, "batch", _("Batch matrix"), _batch(stage)),
    ]


def _rows(stage: Stage) -> Sample:
    cast = stage.cast
    mail = {"to": "edda@example.com", "subject": "Your parcel is late", "order": "48406"}
    groups: dict[Risk, list[Approval]] = {
        Risk.CRITICAL: [cast.approval(risk=Risk.CRITICAL, requirements={"count": 2}, votes=[cast.vote(cast.sam)])],
        Risk.HIGH: [
            cast.claimed(
                cast.approval(risk=Risk.HIGH, expires_at=cast.after(minutes=7)), cast.sam, until=cast.after(minutes=9)
            ),
            cast.approval(risk=Risk.HIGH, escalated_at=cast.now, reminded_at=cast.now, reopened_because="x"),
        ],
        Risk.MEDIUM: [
            cast.claimed(cast.approval(risk=Risk.MEDIUM), cast.robin),
            cast.decided(Verdict.APPROVE, Status.HELD, "Robin Vale"),
            cast.decided(Verdict.REJECT),
        ],
        Risk.LOW: [
            cast.approval(**_PLAIN, args=mail),
            cast.approval(**_PLAIN, args={**mail, "to": "bram@example.com"}, expires_at=None),
            cast.approval(status=Status.EXPIRED, closed_at=cast.now),
            cast.approval(status=Status.WITHDRAWN, closed_at=cast.now),
        ],
    }
    listed = []
    for risk, approvals in groups.items():
        for one in approvals:
            one.risk = risk
        rows = SafeString("\n".join(render_row(one) for one in approvals))
        listed.append(Group(risk.value, str(risk.label), risk, rows, str(len(approvals)), False))
    current = listed[-1].rows.replace('class=""', 'class="current"', 1).replace("data-pick", "data-pick checked", 1)
    listed[-1] = replace(listed[-1], rows=SafeString(current))
    context = {"groups": listed, "tab": "team", "me": _nobody()}
    return stage.sample(_("In every state; one current and selected"), "approvals/_rows.html", is_wide=True, **context)


def _finding(stage: Stage) -> list[Sample]:
    counts = [("mine", _("Mine"), 4), ("team", _("Team"), 23), ("snoozed", _("Snoozed"), 2), ("done", _("Done"), "1,000+")]
    tabs = [{"value": value, "label": label, "url": "#", "count": count} for value, label, count in counts]
    queries = {_("Filter"): "risk:high arg.amount>200", _("Filter with a mistake"): "waiting>soon", _("No filter"): ""}
    return [
        stage.sample(_("Tabs"), "approvals/_tabs.html", tabs=tabs, here="team"),
        *(
            stage.sample(title, "styleguide/filter.html", query=Filter.parse(text), tab="team")
            for title, text in queries.items()
        ),
        stage.sample(_("First run"), "approvals/_first_run.html"),
    ]


def _empty(stage: Stage) -> list[Sample]:
    states: list[tuple[str, dict[str, Any]]] = [
        (_("Nothing waits"), {"tab": "team"}),
        (_("Nothing is yours"), {"tab": "mine"}),
        (_("Nothing put off"), {"tab": "snoozed"}),
        (_("Nothing decided"), {"done": True}),
        (_("Nothing fits"), {"filtered": True}),
        (_("The search has a mistake"), {"filtered": True, "mistakes": ["x"]}),
        (_("In no team"), {"in_no_team": True}),
    ]
    lists = [stage.sample(title, "approvals/_rows.html", groups=[], me=_nobody(), **facts) for title, facts in states]
    return [
        *lists,
        stage.sample(_("Loading"), "styleguide/loading.html"),
        stage.sample(_("Did not load"), "styleguide/failed.html"),
        stage.sample(_("Old"), "styleguide/old.html"),
    ]


def _batch(stage: Stage) -> list[Sample]:
    texts = [_SHOWN, ["bram@example.com", "48411", *_SHOWN[2:]], ["noor@example.com", "48420", _SHOWN[2], "Wed 2 Dec"]]
    mail = {**_PLAIN, "args": {"to": "edda@example.com"}}
    lines = [Line(stage.cast.approval(**mail), f"Send email to {row[0]}", [_cell(text) for text in row]) for row in texts]
    matrix = Matrix(["To", "Order", "Template", "New day"], lines, 41)
    results = [("edda", _("Approved"), True), ("noor", _("Sam Ashby was first."), False)]
    told = [
        {"sentence": f"Send email to {name}@example.com", "approval_id": new_id(), "text": text, "is_done": done}
        for name, text, done in results
    ]
    return [
        stage.sample(
            _("Side by side"), "approvals/batch.html#matrix", is_wide=True, matrix=matrix, items=[(line, "x") for line in lines]
        ),
        stage.sample(_("What came of each"), "approvals/batch.html#results", results=told, done=1, unshown=1),
    ]


def _cell(text: str) -> Cell:
    is_other = text == "Wed 2 Dec"
    return Cell(text, is_other, _("not among the values approved before") if is_other else "")


def _nobody() -> UUID:
    return new_id()
