"""What is pushed of a run: the same bytes by every road, in the desk's own words, and nothing a browser would run."""

import re

import pytest

from agentdesk.live import registry
from agentdesk.people.models import User
from approvals.models import Approval
from approvals.states import Verdict
from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus
from runs.web.calls import loaded
from runs.web.fragments import render_call, render_run, render_step
from runs.web.story import in_order, lines, waited
from tests.runs.web.conftest import (
    ASKED,
    FINAL,
    START,
    make_approval,
    make_call,
    make_decision,
    make_evaluation,
    make_run,
    make_step,
)

EVIL = '<script>alert(1)</script><img src=x onerror=alert(2) hx-get="/x"> javascript:alert(3) \u202eevil'


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def pushed(kind, id):
    version, html = registry.get(kind).render(str(id), 0)
    return version, html


def test_it_renders_a_run_the_same_for_page_refetch_and_push(client, refund, cast):
    client.force_login(cast.operator)
    page = client.get(f"/runs/{refund.run.pk}/").content.decode()
    refetch = client.get(f"/runs/{refund.run.pk}/story/").content.decode()
    fragments = [render_run(Run.objects.get(pk=refund.run.pk))]
    fragments += [render_step(step) for step in Step.objects.filter(run=refund.run)]
    fragments += [render_call(call) for call in loaded().filter(run=refund.run)]
    kinds = [("run", refund.run.pk)]
    kinds += [("step", step.pk) for step in Step.objects.filter(run=refund.run)]
    kinds += [("call", call.pk) for call in loaded().filter(run=refund.run)]
    for fragment, (kind, pk) in zip(fragments, kinds, strict=True):
        assert fragment in page
        assert fragment in refetch
        assert pushed(kind, pk)[1] == fragment


def test_it_gives_every_fragment_its_root_and_version(refund):
    step, call = Step.objects.get(pk=refund.tool.pk), loaded().get(pk=refund.call.pk)
    assert render_run(refund.run).startswith(f'<div id="run" data-v="{refund.run.revision}"')
    assert render_step(step).startswith(f'<li id="step-{step.pk}"')
    assert render_call(call).startswith(f'<tr id="call-{call.pk}"')
    Step.objects.filter(pk=step.pk).update(status=StepStatus.DONE)
    assert pushed("step", step.pk)[0] == 2
    assert 'data-v="2"' in pushed("step", step.pk)[1]


def test_it_holds_nothing_of_the_viewer(refund, cast, client):
    seen = set()
    for user in (cast.reviewer, cast.operator):
        client.force_login(user)
        seen.add(client.get(f"/runs/{refund.run.pk}/story/").content)
    assert len(seen) == 1
    assert b"csrf" not in seen.pop()


def test_it_pushes_to_those_whose_team_runs_the_agent(refund, cast):
    users = User.active_with_roles({cast.reviewer.pk, cast.operator.pk, cast.stranger.pk}).values()
    for kind, pk in (("run", refund.run.pk), ("step", refund.tool.pk), ("call", refund.call.pk)):
        visible = registry.get(kind).visible_ids(users, {str(pk)})
        assert {user for user, ids in visible.items() if ids == {str(pk)}} == {cast.reviewer.pk, cast.operator.pk}
        assert visible[cast.stranger.pk] == set()


def test_it_pushes_nothing_of_what_is_gone(cast):
    run = make_run(cast)
    step = make_step(run, StepKind.NODE)
    call = make_call(run)
    for kind, pk in (("step", step.pk), ("call", call.pk), ("run", run.pk)):
        {"step": Step, "call": ToolCall, "run": Run}[kind].objects.filter(pk=pk).delete()
        assert registry.get(kind).render(str(pk), 0) is None


def test_it_tells_the_story_in_the_order_it_happened(refund):
    told = [words(render_step(line.step)) for line in in_order(lines(list(refund.run.steps.all())))]
    assert [line.split("UTC ", 1)[-1] for line in told] == [
        "Passed model · 2.0 s",
        "The model asked for Issue refund 240.00 EUR for order 47986 planner-1 · 1414 tokens · 2.0 s"
        " Written by the agent, not verified I will refund the stove.",
        "Wanted Issue voucher 50.00 . Denied by One remedy per order. It did not run; the agent was told why."
        " arguments and result",
        "12 min 08 s Waited for people. Nothing was held meanwhile: no process, no connection."
        " Issue refund 240.00 EUR for order 47986",
        "Robin Vale changed amount 240.00 212.50 and approved Issue refund 212.50 EUR for order 47986"
        " Customer keeps the gas bottle.",
        "Issue refund 212.50 EUR for order 47986 ran. What ran is what was approved. 0.9 s · arguments and result",
    ]


def test_it_shows_the_three_sets_of_arguments_and_equal_digests(refund):
    row = words(render_call(loaded().get(pk=refund.call.pk)))
    assert "amount 240.00 currency EUR order_id 47986" in row
    assert "Modified Robin Vale amount 240.00 212.50 currency EUR order_id 47986" in row
    assert "as approved" in row
    assert "same digest" in row
    assert "rf_88213" in row


def test_it_says_when_something_else_ran_than_was_approved(refund):
    ToolCall.objects.filter(pk=refund.call.pk).update(executed_args={"amount": "9999.00"}, executed_digest="sha256:other")
    row = words(render_call(loaded().get(pk=refund.call.pk)))
    assert "not the approved digest" in row
    assert "same digest" not in row


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        (CallStatus.FAILED, "failed", "failed. Card refused"),
        (CallStatus.EXPIRED, "expired", "Nobody decided in time:"),
        (CallStatus.WITHDRAWN, "withdrawn", "was withdrawn. It did not run."),
        (CallStatus.IN_DOUBT, "in_doubt", "Nobody knows whether this happened:"),
        (CallStatus.SIMULATED, "simulated", "did not run."),
        (CallStatus.EXECUTING, "executing", "Runs Issue refund 240.00 EUR for order 47986"),
        (CallStatus.WAITING, "waiting", "Asked people about Issue refund 240.00 EUR"),
        (CallStatus.PAUSED, "paused", "paused inside."),
    ],
)
def test_it_has_a_sentence_for_every_outcome(cast, status, outcome, expected):
    run = make_run(cast)
    call = make_call(run, status=status, error={"kind": "x", "message": "Card refused"} if outcome == "failed" else None)
    took = None if outcome in ("executing", "waiting", "paused") else 1
    step = make_step(run, StepKind.TOOL, took=took, call=str(call.pk), tool="issue_refund", outcome=outcome)
    assert expected in words(render_step(step))


@pytest.mark.parametrize("status", CallStatus.values)
def test_it_shows_a_row_for_every_status_of_a_call(cast, status):
    call = make_call(make_run(cast), status=status)
    assert str(CallStatus(status).label) in words(render_call(loaded().get(pk=call.pk)))


@pytest.mark.parametrize("status", RunStatus.values)
def test_it_names_every_status_of_a_run(cast, status):
    assert str(RunStatus(status).label) in words(render_run(make_run(cast, status=status)))


def test_it_shows_an_answer_that_stood_in_for_the_tool(cast):
    run = make_run(cast)
    approval = make_approval(run)
    decision = make_decision(approval, cast.reviewer, Verdict.RESPOND, answer="Already refunded by phone.")
    call = make_call(run, approval=approval, decision=decision, status=CallStatus.SUCCEEDED)
    step = make_step(run, StepKind.TOOL, took=1, call=str(call.pk), outcome="succeeded")
    assert "the answer of a person stood in for the tool. It did not run." in words(render_step(step))
    assert "never ran: a person answered" in words(render_call(loaded().get(pk=call.pk)))


def test_it_names_the_rule_that_allowed_a_call(cast):
    run = make_run(cast)
    call = make_call(
        run, verdict="allow", status=CallStatus.SUCCEEDED, approved_args=ASKED, approved_digest="sha256:1",
        executed_args=ASKED, executed_digest="sha256:1", evaluation=make_evaluation(run, "allow", "Small refunds"),
    )  # fmt: skip
    row = words(render_call(loaded().get(pk=call.pk)))
    assert "Allowed Small refunds as asked" in row
    assert "as approved" in row


def test_it_keeps_every_word_from_outside_as_text(cast):
    run = make_run(cast, title=EVIL, error={"kind": EVIL, "message": EVIL}, output={"messages": [{"content": EVIL}]})
    args = {EVIL: EVIL, "amount": EVIL}
    approval = make_approval(run, args, action=EVIL)
    decision = make_decision(approval, cast.reviewer, Verdict.MODIFY, {**args, "amount": "1"}, message=EVIL)
    call = make_call(
        run, args, tool=EVIL, approval=approval, decision=decision, approved_args={"x": EVIL}, executed_args={"y": EVIL},
        result={"shown": EVIL}, error={"kind": EVIL, "message": EVIL},
    )  # fmt: skip
    made = [
        make_step(run, StepKind.MODEL, took=1, text=EVIL, model=EVIL, tool_calls=[{"name": EVIL, "args": args}]),
        make_step(run, StepKind.NODE, took=1, name=EVIL, error=EVIL),
        make_step(run, StepKind.TOOL, took=1, call=str(call.pk), tool=EVIL, outcome="failed"),
        make_step(run, StepKind.TOOL, took=1, tool=EVIL, outcome=EVIL),
        make_step(run, StepKind.PAUSE, approvals=[str(approval.pk)]),
        make_step(run, StepKind.DECISION, took=0, key=decision.pk, approval=str(approval.pk), verdict="modify", by=EVIL),
        make_step(run, StepKind.LIMIT, took=0, limit=EVIL, value=EVIL),
        make_step(run, StepKind.ERROR, took=0, kind_=EVIL, message=EVIL),
    ]
    html = render_run(run) + render_call(loaded().get(pk=call.pk)) + "".join(render_step(step) for step in made)
    assert "<script" not in html
    assert "<img" not in html
    assert 'hx-get="' not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_it_streams_into_the_open_model_step_only(cast):
    run = make_run(cast)
    writing = make_step(run, StepKind.MODEL, name="planner", model="planner-1")
    done = make_step(run, StepKind.MODEL, took=3, text="Done.", model="planner-1")
    assert f'data-stream="{writing.pk}"' in render_step(writing)
    assert "data-stream" not in render_step(done)


def test_it_counts_waiting_apart_from_work(cast):
    run = make_run(cast, status=RunStatus.WAITING, active_seconds=30.4)
    make_step(run, StepKind.PAUSE, at=10, took=100, approvals=[])
    make_step(run, StepKind.PAUSE, at=60, took=100, approvals=[])
    make_step(run, StepKind.PAUSE, at=200, approvals=[])
    html = render_run(run)
    assert "30 s" in words(html)
    assert "and 2 min 30 s before" in words(html)
    assert 'data-relative="since"' in html


def test_it_counts_overlapping_pauses_once():
    at = [START.replace(minute=minute) for minute in range(10)]
    assert waited([(at[0], at[2]), (at[1], at[3]), (at[5], at[6])]) == (240.0, None)
    assert waited([(at[0], at[2]), (at[4], None)]) == (120.0, at[4])
    assert waited([]) == (0.0, None)


def test_it_tells_of_a_wait_for_several_approvals_once(cast):
    run = make_run(cast)
    asked = [str(make_approval(run).pk) for _ in range(2)]
    assert " hidden" not in render_step(make_step(run, StepKind.PAUSE, took=5, approvals=asked)).split(">")[0]
    assert " hidden" in render_step(make_step(run, StepKind.PAUSE, took=0)).split(">")[0]
    assert " hidden" not in render_step(make_step(run, StepKind.PAUSE)).split(">")[0]


def test_it_says_why_a_run_was_stopped(cast):
    run = make_run(cast, status=RunStatus.STOPPED, stop_reason="limit:model_calls")
    assert "It reached its limit: model calls." in words(render_run(run))


def test_it_tells_a_dead_worker_apart_from_a_call_that_waits(cast):
    run = make_run(cast)
    lost = make_step(run, StepKind.MODEL, took=1, status=StepStatus.LOST)
    call = make_call(run)
    asked = make_step(run, StepKind.TOOL, took=1, status=StepStatus.LOST, call=str(call.pk), outcome="waiting")
    assert "Cut short here" in words(render_step(lost))
    assert "Cut short here" not in words(render_step(asked))


def test_it_takes_the_decision_that_a_step_recorded(cast):
    run = make_run(cast)
    approval = make_approval(run)
    first = make_decision(approval, cast.reviewer, Verdict.MODIFY, {**ASKED, "amount": "1.00"}, at=10, voided_at=START)
    second = make_decision(approval, cast.operator, Verdict.MODIFY, FINAL, at=20)
    for decision, amount in ((first, "1.00"), (second, "212.50")):
        step = make_step(
            run, StepKind.DECISION, took=0, key=decision.pk, approval=str(approval.pk), verdict="modify",
            by=decision.decided_by_label,
        )  # fmt: skip
        assert f"changed amount 240.00 {amount} and approved" in words(render_step(step))


def test_it_renders_without_a_request(refund, django_assert_num_queries):
    with django_assert_num_queries(2):
        registry.get("run").render(str(refund.run.pk), 0)


def test_it_names_what_was_asked_whatever_the_approval_says_now(refund):
    before = render_step(Step.objects.get(pk=refund.pause.pk))
    Approval.objects.filter(pk=refund.approval.pk).update(args={"amount": "1.00"}, version=2)
    assert render_step(Step.objects.get(pk=refund.pause.pk)) == before
    assert "Issue refund 240.00 EUR for order 47986" in words(before)
