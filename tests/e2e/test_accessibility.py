"""Every page of the stories, wide and narrow, light and dark: nothing serious for axe, and nothing wider than its screen."""

import os
import re
from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.desk import Desk
from tests.e2e.conftest import SOON, act, inbox_link, panel, read_why, start
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SHOTS = CHECKOUT / "test-results/looks"
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark"))
SHOWN = ("T-1001", "T-1004", "T-1005", "T-1009", "T-1015", "T-1018", "T-1032")


class Eye:
    """Looks at the page as it stands in every look; collects what is wrong. With SCREENSHOTS set, keeps what it saw."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.keeps = bool(os.environ.get("SCREENSHOTS"))

    def look(self, page: Page, name: str) -> None:
        # On request all four; else two, which have both widths and both schemes.
        for width, scheme in LOOKS if self.keeps else LOOKS[::3]:
            page.set_viewport_size({"width": width, "height": 900 if width > 1000 else 844})
            page.emulate_media(color_scheme=scheme)
            page.evaluate(
                "scrollTo(0, 0); document.querySelector('main')?.scrollTo(0, 0)"
            )  # a link half out of view is no target
            self._judge(page, f"{name} {width} {scheme}")
            if self.keeps:
                page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=width < 1000)
        page.set_viewport_size({"width": 1440, "height": 900})
        page.emulate_media(color_scheme="light")
        # Axe leaves style attributes behind; carried over by a swap, they would be taken for the page's own.
        page.evaluate("document.querySelectorAll('[style]').forEach((element) => element.removeAttribute('style'))")

    def _judge(self, page: Page, where: str) -> None:
        for found in Axe().run(page, options=OPTIONS).response["violations"]:
            if found["impact"] in ("serious", "critical"):
                self.problems += [f"{where}: {found['id']}: {node['html'][:200]}" for node in found["nodes"]]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth") and "admin" not in where:
            self.problems.append(f"{where}: wider than its screen")


def open_decision(page: Page, sentence: str) -> str:
    page.goto("/")
    page.mouse.move(1, 1)
    link = inbox_link(page, re.compile(sentence))
    expect(link.first).to_be_visible(timeout=SOON)
    link.first.click()
    expect(panel(page)).to_be_visible()
    return page.url


def test_everybody_can_read_and_use_every_page(fresh_desk: Desk, new_page: Callable[..., Page], open_as: Callable[..., Page]):
    eye = Eye()
    runs = {ticket: start(ticket) for ticket in SHOWN}
    outside = new_page(base_url=fresh_desk.url)
    outside.goto("/accounts/login/")
    eye.look(outside, "login")

    reviewer, second = open_as(fresh_desk, "reviewer"), open_as(fresh_desk, "second")
    expect(inbox_link(reviewer, re.compile("Issue refund 1,860.00 EUR"))).to_be_visible(timeout=SOON)
    expect(inbox_link(reviewer, re.compile("Issue refund 185.00 GBP"))).to_be_visible(timeout=SOON)
    eye.look(reviewer, "inbox")

    open_decision(reviewer, "Issue refund 240.00 EUR")
    modify = act(reviewer, "Modify refund")
    modify.get_by_label("Amount").fill("212.50")
    if eye.keeps:
        reviewer.screenshot(path=CHECKOUT / "docs/screenshot.png")
    eye.look(reviewer, "decision")
    read_why(reviewer)
    modify.get_by_label("Reason, kept on record").fill("The shade only.")
    modify.get_by_label("Amount").fill("much")
    modify.get_by_role("button", name="Approve with 1 change").click()
    expect(panel(reviewer).get_by_text("Not sent: something is missing or wrong.")).to_be_visible()
    eye.look(reviewer, "decision-422")

    modify.get_by_label("Amount").fill("212.50")
    open_decision(second, "Issue refund 240.00 EUR")
    reject = act(second, "Reject refund")
    reject.get_by_label("Reason: the agent reads it").fill("The carrier pays.")
    reject.get_by_role("button", name=re.compile("^Reject")).click()
    expect(panel(second, "Outcome")).to_be_visible()
    modify.get_by_role("button", name="Approve with 1 change").click()
    expect(reviewer.get_by_text("Somebody else was first.")).to_be_visible()
    eye.look(reviewer, "decision-409")

    open_decision(reviewer, "Issue refund 28.00 USD")
    read_why(reviewer)
    modify = act(reviewer, "Modify refund")
    modify.get_by_label("Amount").fill("14.00")
    modify.get_by_label("Reason, kept on record").fill("One of the mugs had arrived whole.")
    modify.get_by_role("button", name="Approve with 1 change").click()
    expect(reviewer.get_by_text("What ran is what was approved.", exact=True)).to_be_visible(timeout=SOON)
    eye.look(reviewer, "decided")
    reviewer.goto("/?status=done")
    eye.look(reviewer, "inbox-decided")

    admin = open_as(fresh_desk, "admin")
    pages = {
        "runs": "/runs/",
        "run": f"/runs/{runs['T-1009']}/",
        "start": "/runs/start/?agent=support",
        "agents": "/agents/",
        "audit": "/audit/",
        "profile": "/profile/",
        "admin-rule": "/admin/approvals/rule/add/",
    }
    for name, address in pages.items():
        admin.goto(address)
        expect(admin.get_by_role("heading", level=1).first).to_be_visible()
        eye.look(admin, name)
    assert eye.problems == [], "\n".join(eye.problems)
