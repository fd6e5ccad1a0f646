"""The parts of a run's page: its state, its story, the three sets of arguments of its calls, the timeline."""

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from agentdesk.ids import new_id
from agentdesk.styleguide.cast import ARGS, Cast
from agentdesk.styleguide.samples import Sample, Section, Stage
from approvals.models import Decision
from approvals.states import Risk, Verdict
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus
from runs.web.calls import CallRow
from runs.web.fragments import render_call, render_line, render_run, state_of
from runs.web.story import Line
from runs.web.timeline import Fold, Lane, Timeline

_WORDS = "I read the order and the photos. The outer tent is torn, so I ask for a refund of 240.00 EUR."
_DIGESTS = {"approved_digest": "sha256:" + "7c1e9af2" * 8, "executed_digest": "sha256:" + "7c1e9af2" * 8}


def sections(stage: Stage) -> list[Section]:
    group = _("Runs")
    return [
        Section(group, "run-states", _("A run's head, in every state"), _heads(stage)),
        Section(group, "story", _("Story"), [_story(stage)]),
        Section(group, "calls", _("Tool calls"), [_calls(stage)]),
        Section(group, "timeline", _("Timeline"), _timelines(stage)),
        Section(group, "run-list", _("List of runs"), _lists(stage)),
    ]


def _run(cast: Cast, status: RunStatus = RunStatus.RUNNING, **facts: Any) -> Run:
    agent = Agent(slug="support", name="Support agent")
    given: dict[str, Any] = {
        "agent": agent,
        "team": cast.team,
        "title": "Order 48102: torn tent",
        "requester_label": "Robin Vale",
        "attempt": 1,
        "agent_version": "3f1c9a7e",
        "created_at": cast.before(minutes=14),
        "started_at": cast.before(minutes=14),
        "active_seconds": 9.4,
        "status": status,
        "input": {},
    }
    return Run(**{**given, **facts})


def _heads(stage: Stage) -> list[Sample]:
    cast = stage.cast
    failed = {"kind": "KeyError", "message": "'order_id'"}
    shown = [
        _run(cast, RunStatus.QUEUED, held_at=cast.now),
        _run(cast, RunStatus.RUNNING, cancel_requested_at=cast.now, cancel_requested_by="Jo Merrow"),
        _run(cast, RunStatus.SUCCEEDED, output={"messages": [{"content": _WORDS}]}),
        _run(cast, RunStatus.FAILED, error=failed),
        _run(cast, RunStatus.FAILED, error={**failed, "poisoned": {"nodes": ["ask"]}}, dry_run=True),
        _run(cast, RunStatus.CANCELLED, cancel_requested_by="Jo Merrow"),
        _run(cast, RunStatus.STOPPED, stop_reason="limit:model_calls"),
    ]
    titles = {4: _("Failed, and its thread keeps the answer")}
    return [Sample(titles.get(at, state_of(run).word), render_run(run)) for at, run in enumerate(shown)]


def _story(stage: Stage) -> Sample:
    cast = stage.cast
    run = _run(cast)
    approval = cast.approval(risk=Risk.MEDIUM)
    changed = cast.decided(Verdict.MODIFY, by="Sam Ashby", message="The shade only.")
    decision = changed.standing
    if decision is not None:
        decision.args = {**ARGS, "amount": "212.50"}
    model: dict[str, Any] = {"model": "claude-sonnet", "input_tokens": 1840, "output_tokens": 212}
    wanted = {**model, "tool_calls": [{"name": "issue_refund", "args": ARGS}]}

    def step(number: int, of: StepKind, at: datetime, seconds: float | None = 1.2, /, *, name: str = "", **data: Any) -> Step:
        status = StepStatus.OPEN if seconds is None else StepStatus.DONE
        end = None if seconds is None else cast.before(seconds=(cast.now - at).total_seconds() - seconds)
        return Step(
            pk=number,
            run=run,
            key=new_id(),
            kind=of,
            name=name,
            status=status,
            started_at=at,
            ended_at=end,
            data=data,
            attempt=1,
        )

    def tool(number: int, status: CallStatus, **facts: Any) -> Line:
        call = _call(cast, run, status, **facts)
        return Line(
            step(number, StepKind.TOOL, cast.before(seconds=600 - 20 * number), tool="issue_refund"), call=CallRow(call)
        )

    lines = [
        Line(step(1, StepKind.NODE, cast.before(minutes=13), name="read_mail")),
        Line(step(2, StepKind.MODEL, cast.before(minutes=13), 3.1, **wanted)),
        Line(step(3, StepKind.PAUSE, cast.before(minutes=12), 480.0), approvals=[approval]),
        Line(
            step(4, StepKind.DECISION, cast.before(minutes=4), verdict="modify", by="Sam Ashby"),
            approval=changed,
            decision=decision,
        ),
        *(tool(number, status) for number, status in enumerate(CallStatus, 5)),
        Line(step(30, StepKind.MODEL, cast.before(minutes=2), 2.4, text=_WORDS, **model)),
        Line(step(31, StepKind.LIMIT, cast.before(minutes=1), limit="model_calls", value=40)),
        Line(step(32, StepKind.ERROR, cast.before(minutes=1), kind="KeyError", message="'order_id'")),
        Line(step(33, StepKind.PAUSE, cast.before(seconds=51), None), approvals=[approval]),
        Line(step(34, StepKind.MODEL, cast.before(seconds=3), None, **model)),
    ]
    html = render_to_string("runs/_story.html", {"lines": [render_line(line) for line in lines]})
    return Sample(_("Every kind of line, the last one still open"), html, is_wide=True)


def _call(cast: Cast, run: Run, status: CallStatus, **facts: Any) -> ToolCall:
    ran = status in (CallStatus.SUCCEEDED, CallStatus.EXECUTING, CallStatus.FAILED, CallStatus.UNDONE)
    given: dict[str, Any] = {
        "run": run,
        "tool": "issue_refund",
        "digest": _DIGESTS["approved_digest"],
        "asked_args": ARGS,
        "status": status,
        "verdict": "ask",
        "proposed_at": cast.before(minutes=13),
        "started_at": cast.before(minutes=3) if ran else None,
        "tries": 1,
        "approval": cast.approval(),
    }
    if ran:
        given |= {"approved_args": ARGS, "executed_args": ARGS, **_DIGESTS}
    return ToolCall(**{**given, **facts})


def _calls(stage: Stage) -> Sample:
    cast, run = stage.cast, _run(stage.cast)
    less = {**ARGS, "amount": "212.50"}
    ended = {"ended_at": cast.before(minutes=2, seconds=58)}

    def decided(verdict: Verdict) -> Decision | None:
        return cast.decided(verdict).standing

    failed = {"kind": "ProviderError", "message": "Card closed. Nothing was paid."}
    calls = [
        _call(cast, run, CallStatus.WAITING),
        _call(cast, run, CallStatus.EXECUTING, decision=decided(Verdict.APPROVE)),
        _call(
            cast,
            run,
            CallStatus.SUCCEEDED,
            decision=decided(Verdict.MODIFY),
            approved_args=less,
            executed_args=less,
            result={"shown": "Refunded 212.50 EUR, receipt rf_88213."},
            **ended,
        ),
        _call(cast, run, CallStatus.FAILED, decision=decided(Verdict.APPROVE), error=failed, tries=2, **ended),
        _call(cast, run, CallStatus.REJECTED, decision=decided(Verdict.REJECT)),
        _call(cast, run, CallStatus.DENIED, verdict="deny", approval=None),
        _call(cast, run, CallStatus.IN_DOUBT, decision=decided(Verdict.APPROVE), doubt=cast.approval()),
    ]
    table = {"calls": [render_call(call) for call in calls]}
    return stage.sample(_("Asked, approved, executed"), "runs/run.html#calls", is_wide=True, **table)


def _timelines(stage: Stage) -> list[Sample]:
    lanes = [
        Lane(_("Model"), "agent", "live", 0, 31, 3.1, False),
        Lane("Read mail", "record", "", 31, 9, 0.9, False),
        Lane(_("Waits for people"), "person", "wait", 40, 12, 728, False),
        Lane("Issue refund", "record", "", 52, 14, 1.4, False),
        Lane(_("Model"), "agent", "live", 66, 34, 3.4, True),
    ]
    drawn = Timeline(lanes, [Fold(40, 12, 728)], 8.8, 4)
    run = _run(stage.cast)
    return [
        stage.sample(_("Work to scale, a wait folded"), "runs/_timeline.html", is_wide=True, run=run, timeline=drawn),
        stage.sample(_("Nothing yet"), "runs/_timeline.html", run=run, timeline=None),
    ]


def _lists(stage: Stage) -> list[Sample]:
    rows = [
        {"run": run, "state": state_of(run), "waiting": 2 if status == RunStatus.WAITING else 0}
        for status in RunStatus
        for run in [_run(stage.cast, status, dry_run=status == RunStatus.CANCELLED)]
    ]
    return [
        stage.sample(_("In every state"), "runs/_rows.html", is_wide=True, listing={"rows": rows, "older": "#"}),
        stage.sample(_("None"), "runs/_rows.html", listing={"rows": []}),
        stage.sample(_("None fits"), "runs/_rows.html", listing={"rows": []}, wanted={"status": "failed"}),
    ]
