"""Approving in advance in a browser, by the names that docs/reviewer.md gives and by keys; a team's and one's own figures."""

import os
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agentdesk.live.push import flush
from approvals.models import StandingApproval
from tests.approvals.cast import make_approval, make_team, make_user
from tests.approvals.cast import post as decide
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
HOW_TO = (CHECKOUT / "docs/reviewer.md").read_text().partition("## Approve in advance")[2].partition("\n## ")[0]


@pytest.fixture
def people(web):
    team = make_team("Support")
    return team, make_user(team, name="robin", first_name="Robin", last_name="Vale"), make_user(team, name="sam")


def check(page: Page, name: str) -> None:
    """Readable by everybody, and as wide as the screen."""
    found = Axe().run(page, options=AXE).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_somebody_new_approves_the_next_ones_by_keys_and_revokes_it(open_as, people, width, scheme):
    team, robin, _sam = people
    approval = make_approval(team, risk="low", action="issue_refund")
    assert flush()
    named = dict.fromkeys(re.findall(r"\*\*([^*]+)\*\*", HOW_TO.replace("\n", " ")))
    begin, exactly, at_most, anything, save, page_name, revoke = named
    page = open_as(robin, f"/approvals/{approval.pk}/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    page.get_by_role("complementary", name="Your decision").get_by_role("button", name=re.compile("^Approve")).click()
    page.get_by_role("complementary", name="Outcome").get_by_role("link", name=begin).focus()
    page.keyboard.press("Enter")
    order = page.get_by_label("Order", exact=True)
    expect(order.get_by_role("option")).to_have_text([anything, exactly])
    expect(page.get_by_label("Amount", exact=True).get_by_role("option")).to_have_text([anything, exactly, at_most])
    order.focus()
    page.keyboard.type(exactly)
    page.get_by_label("Why").focus()
    page.keyboard.type("Torn tents")
    check(page, f"new-{width}-{scheme}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=save)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(page_name)
    expect(page.get_by_role("article", name="Issue refund")).to_contain_text("amount is at most 240")
    check(page, f"list-{width}-{scheme}")
    page.get_by_role("button", name=re.compile(f"^{revoke}")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Revoked by Robin Vale")).to_be_visible()
    assert StandingApproval.objects.get(owner=robin).revoked_at is not None
    check(page, f"revoked-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_the_teams_and_ones_own_figures_can_be_read_by_everybody(open_as, people, width, scheme):
    team, robin, sam = people
    for number in range(2):
        make_user(team, name=f"extra{number}")
    for risk in ("critical", "low"):
        make_approval(team, risk=risk)
    for user in (robin, sam):
        decide(make_approval(team, risk="low"), user, seconds_open=2.0)
    page = open_as(robin, "/profile/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    check(page, f"profile-{width}-{scheme}")
    page.get_by_role("link", name="Support").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 approvals wait for this team.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Robin Vale"))).to_contain_text("1")
    check(page, f"team-{width}-{scheme}")
    page.goto("/profile/")
    page.get_by_role("link", name="How you decided in the last 30 days").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You made 1 decision.")).to_be_visible()
    check(page, f"pace-{width}-{scheme}")
