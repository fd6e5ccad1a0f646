"""The page of a run's checkpoints in a browser: forking, new input, going on after a limit, readable by everybody."""

import os
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from runs.models import Run
from runs.states import RunStatus
from tests.cast import make_checkpoint
from tests.runs.web.conftest import make_cast, make_run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def test_it_forks_a_run_and_gives_it_new_input(signed_in):
    cast = make_cast()
    run = make_run(cast, status=RunStatus.WAITING)
    for name in ("c1", "c2", "c3"):
        make_checkpoint(run.thread_id, name)
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    page.get_by_role("link", name="Checkpoints, forks, new input").click()
    expect(page.get_by_role("row")).to_have_count(4)
    problems = []
    for width, scheme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options=RULES).response["violations"]
        problems += [(width, one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            problems.append((width, "wider than the screen", []))
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/checkpoints-{width}.png", full_page=True)
    assert problems == []

    page.get_by_role("row").filter(has_text="c2").get_by_role("button", name="Fork from here").click()
    expect(page.get_by_text("Dry run").first).to_be_visible()
    fork = Run.objects.get(parent=run)
    assert (fork.dry_run, fork.parent_checkpoint) == (True, "c2")
    page.get_by_label("Facts").get_by_role("link", name=str(run)).click()
    page.get_by_role("link", name="Checkpoints, forks, new input").click()
    expect(page.get_by_role("heading", name="Forked from this run")).to_be_visible()

    page.get_by_label("What should the agent do").fill("Rather a voucher.")
    page.get_by_role("button", name="Give it to the run").click()
    expect(page.get_by_text("The run was given new input.")).to_be_visible()
    run.refresh_from_db()
    assert run.next_input == {"messages": [{"role": "user", "content": "Rather a voucher."}]}


def test_it_continues_a_run_with_more_of_its_limit(signed_in):
    cast = make_cast()
    run = make_run(cast, status=RunStatus.STOPPED, stop_reason="limit:model_calls", error={"kind": "limit", "message": "Full."})
    page = signed_in(cast.operator, f"/runs/{run.pk}/")
    expect(page.get_by_text("It reached its limit: model calls.")).to_be_visible()
    page.get_by_label("More model calls for this run").fill("12")
    page.get_by_role("button", name="Continue from the last checkpoint").click()
    expect(page.locator("#run")).to_contain_text(re.compile("Queued"))
    run.refresh_from_db()
    assert run.limits["granted"] == {"model_calls": 12}
