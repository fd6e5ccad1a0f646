"""The page of a run in a browser: it lives, it is readable by everybody, and nothing in it runs that an agent wrote."""

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from agentdesk.digests import encode
from agentdesk.live.push import flush, push, token
from approvals.states import Verdict
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus
from tests.runs.web.conftest import (
    ASKED,
    FINAL,
    START,
    make_approval,
    make_call,
    make_cast,
    make_decision,
    make_run,
    make_step,
    told,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

EVERYTHING = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = {"runOnly": ["color-contrast", "target-size"]}  # what another width and theme can change
EVIL = (
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
    '<a href="javascript:window.hacked=3" hx-get="/x">x</a>'
)


def tell(kind, row):
    """What the worker does after a change."""
    row.refresh_from_db()
    push(kind, row.pk, row.revision, run=row.run_id)
    assert flush()


def tell_run(run, **changed):
    Run.objects.filter(pk=run.pk).update(revision=run.revision + 1, **changed)
    run.refresh_from_db()
    push("run", run.pk, run.revision)
    assert flush()


def change(kind, row, **fields):
    type(row).objects.filter(pk=row.pk).update(**fields)
    tell(kind, row)


def test_it_shows_a_run_while_it_happens(signed_in):
    cast = make_cast()
    run = make_run(cast)
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("Nothing has happened yet.")).to_be_visible()
    expect(page.get_by_text("No tool was called.")).to_be_visible()

    model = make_step(run, StepKind.MODEL, name="planner", model="planner-1")
    tell("step", model)
    lines = page.locator("#story > li:visible")
    expect(lines).to_have_count(1)
    expect(page.get_by_text("Nothing has happened yet.")).to_be_hidden()
    for number, text in enumerate(["I will ", "refund ", EVIL]):
        token(run.pk, str(model.pk), number, text)
    assert flush()
    expect(page.locator(f'[data-stream="{model.pk}"]')).to_have_text("I will refund " + EVIL)

    change(
        "step", model, status=StepStatus.DONE, ended_at=START,
        data=encode({"model": "planner-1", "text": EVIL, "tool_calls": [{"name": "issue_refund", "args": ASKED}]}),
    )  # fmt: skip
    expect(lines.first).to_contain_text("The model asked for Issue refund 240.00 EUR for order 47986")
    expect(lines.first.locator(".words")).to_have_text(EVIL)

    assert page.evaluate("window.hacked") is None
    assert page.locator("main script, main img, main [hx-get], main a[href^=javascript]").count() == 0


def test_it_shows_a_pause_a_decision_and_the_end_while_they_happen(signed_in):
    cast = make_cast()
    run = make_run(cast)
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    lines = page.locator("#story > li:visible")
    approval = make_approval(run)
    call = make_call(run, approval=approval)
    tell("call", call)
    expect(page.locator("#calls > tr")).to_have_count(1)
    expect(page.locator(f"#call-{call.pk}")).to_contain_text("Waits for people")
    tool = make_step(run, StepKind.TOOL, call=str(call.pk), tool="issue_refund", outcome="waiting")
    pause = make_step(run, StepKind.PAUSE, approvals=[str(approval.pk)])
    for step in (pause, tool):  # hints come in any order
        tell("step", step)
    tell_run(run, status=RunStatus.WAITING)
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("Asked people about")
    expect(lines.nth(1)).to_contain_text("Waits for people")
    expect(page.locator("#run .state")).to_have_text("Waiting for people")

    decision = make_decision(approval, cast.reviewer, Verdict.MODIFY, FINAL)
    decided = make_step(
        run, StepKind.DECISION, took=0, key=decision.pk, approval=str(approval.pk), verdict="modify", by="Robin Vale"
    )
    tell("step", decided)
    change("step", pause, status=StepStatus.DONE, ended_at=START)
    change(
        "call", call, status=CallStatus.SUCCEEDED, decision=decision, approved_args=FINAL, approved_digest=decision.digest,
        executed_args=FINAL, executed_digest=decision.digest, result={"shown": "rf_88213"}, started_at=START, ended_at=START,
    )  # fmt: skip
    change("step", tool, status=StepStatus.DONE, ended_at=START, data=encode({"call": str(call.pk), "outcome": "succeeded"}))
    expect(lines).to_have_count(3)
    expect(lines.nth(0)).to_contain_text("Waited for people.")
    expect(lines.nth(1)).to_contain_text("Robin Vale changed amount 240.00 212.50 and approved")
    expect(lines.nth(2)).to_contain_text("Issue refund 212.50 EUR for order 47986 ran.")
    expect(page.locator(f"#call-{call.pk}")).to_contain_text("same digest")

    cancel = page.get_by_role("button", name="Cancel this run")
    expect(cancel).to_be_visible()
    tell_run(run, status=RunStatus.SUCCEEDED, output={"messages": [{"content": EVIL}]})
    expect(page.locator("#run .state")).to_have_text("Succeeded")
    expect(page.locator("#announce")).to_have_text("Run: Succeeded")
    expect(cancel).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main script, main img, main [hx-get], main a[href^=javascript]").count() == 0


def test_it_shows_what_came_while_the_page_was_away(signed_in):
    cast = make_cast()
    run = make_run(cast)
    first = make_step(run, StepKind.LIMIT, took=0, limit="supersteps")
    call = make_call(run)
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.locator("#story > li")).to_have_count(1)
    expect(page.locator(f"#call-{call.pk}")).to_contain_text("Waiting for people")
    second = make_step(run, StepKind.ERROR, took=0, message="lost hint")
    Step.objects.filter(pk=first.pk).update(data={"limit": "tool_calls"})
    ToolCall.objects.filter(pk=call.pk).update(status=CallStatus.SUCCEEDED)
    another = make_call(run)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(f"#step-{second.pk}")).to_contain_text("lost hint")
    expect(page.locator(f"#step-{first.pk}")).to_contain_text("Tool calls")
    expect(page.locator(f"#call-{call.pk}")).to_contain_text("Succeeded")
    expect(page.locator(f"#call-{another.pk}")).to_contain_text("Waiting for people")


def test_it_keeps_what_was_pushed_while_the_list_was_on_its_way(signed_in):
    cast = make_cast()
    run = make_run(cast)
    old = make_step(run, StepKind.ERROR, took=0, message="from the start")
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    made = []

    def slow(route):
        answer = route.fetch()
        made.append(make_call(run))
        tell("call", made[0])
        change("step", old, data=encode({"message": "changed meanwhile"}))
        time.sleep(0.5)
        route.fulfill(response=answer)

    page.route("**/story/", slow, times=1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    for _ in range(100):
        if made:
            break
        page.wait_for_timeout(100)
    expect(page.locator(f"#call-{made[0].pk}")).to_be_visible()
    page.wait_for_timeout(800)  # the slow answer has come by now
    expect(page.locator(f"#call-{made[0].pk}")).to_be_visible()
    expect(page.locator(f"#step-{old.pk}")).to_contain_text("changed meanwhile")


def test_it_never_goes_back_to_an_older_line(signed_in):
    cast = make_cast()
    run = make_run(cast)
    call = make_call(run)
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    ToolCall.objects.filter(pk=call.pk).update(status=CallStatus.APPROVED)
    page.evaluate(f"document.getElementById('call-{call.pk}').dataset.v = 99")
    tell("call", call)
    late = make_step(run, StepKind.ERROR, took=0, message="after it")
    tell("step", late)
    expect(page.locator(f"#step-{late.pk}")).to_be_visible()
    expect(page.locator(f"#call-{call.pk}")).to_contain_text("Waiting for people")


def test_it_starts_a_run_and_cancels_it_by_hand(signed_in):
    cast = make_cast()
    page = signed_in(cast.operator, "/runs/")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("What should the agent do").fill("Refund order 47986.")
    page.get_by_role("button", name="Start Support agent").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refund order 47986.")
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#run")).to_contain_text("Olive Park cancelled this run.")
    expect(page.get_by_text("The run was cancelled.")).to_be_visible()


def test_it_can_be_read_by_everybody(signed_in):
    cast = make_cast()
    done = told(cast)
    Run.objects.filter(pk=done.run.pk).update(traceback="Traceback (most recent call last):\n  File x", error={"kind": "x"})
    waiting = make_run(cast, status=RunStatus.WAITING, title="Ticket T2")
    approval = make_approval(waiting)
    make_call(waiting, approval=approval)
    make_step(waiting, StepKind.MODEL)
    make_step(waiting, StepKind.PAUSE, approvals=[str(approval.pk)])
    Agent.objects.create(slug="broken", name="Broken", team=cast.team, load_error="ImportError: no module named x")
    pages = ["/runs/", f"/runs/{done.run.pk}/", f"/runs/{waiting.pk}/", "/runs/start/?agent=support&json=1", "/agents/"]
    page = signed_in(cast.operator, pages[0])
    problems = []
    looks = [(address, *look) for address in pages for look in ((1440, "light", EVERYTHING), (390, "dark", LOOKS))]
    for address, width, scheme, rules in looks:
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        found = Axe().run(page, options=rules).response["violations"]
        problems += [(address, width, scheme, one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            problems.append((address, width, scheme, "wider than the screen", []))
    assert problems == []
