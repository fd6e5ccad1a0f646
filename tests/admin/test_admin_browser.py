"""The admin's story in a browser: a rule written by somebody who reads labels only."""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from playwright.sync_api import Page, expect

from agentdesk.embedded.ports import LOOPBACK, free_port
from approvals.models import PolicyVersion, Rule, Tool
from tests.cast import REFUND_SCHEMA, make_cast
from tests.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SERIOUS = ("serious", "critical")
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
NAME = "Refunds up to 50 need nobody"


@pytest.fixture
def web(committed: None, tmp_path: Path) -> Generator[str]:
    """A web process over this test's database."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    desk = Desk(tmp_path, os.environ | {"AGENTDESK_URL": url, "AGENTDESK_STATE_DIR": str(tmp_path)}, ports={"web": port})
    try:
        yield desk.start_web("web")
    finally:
        desk.stop()


@pytest.fixture
def admin_page(web: str, new_page: Callable[..., Page]) -> Page:
    """The admin pages, open for the admin of one team, who signed in at the desk's own page."""
    cast = make_cast()
    Tool.objects.create(agent="support", team=cast.support, name="issue_refund", schema=REFUND_SCHEMA)
    cast.admin.set_password("demo")
    cast.admin.save()
    connection.close()
    page = new_page(base_url=web)
    page.goto("/admin/")
    page.locator("input[name=login]").fill("admin")
    page.locator("input[name=password]").fill("demo")
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/admin/")
    return page


def assert_readable_by_all(page: Page) -> None:
    found: Any = Axe().run(page, options=WCAG)
    serious = [each["id"] for each in found.response["violations"] if each["impact"] in SERIOUS]
    assert serious == [], found.generate_report()


def names_in_force() -> set[str]:
    return {snapshot["name"] for snapshot in PolicyVersion.objects.latest("pk").rules}


def test_an_admin_lets_small_refunds_pass_and_takes_it_back(admin_page: Page):
    page = admin_page
    page.get_by_role("link", name="Rules", exact=True).first.click()
    page.get_by_role("link", name="Add rule").click()
    assert_readable_by_all(page)

    page.get_by_label("Name:").fill(NAME)
    page.get_by_label("Agent:").fill("support")
    page.get_by_label("Tool:").fill("issue_refund")
    page.get_by_label("Argument of condition 1").fill("amount")
    page.get_by_label("Comparison of condition 1").select_option("is at most (<=)")
    page.get_by_label("Value of condition 1").fill("fifty")
    page.get_by_label("Allow without asking").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("takes a number or a date")).to_be_visible()
    page.get_by_label("Value of condition 1").fill("50")
    page.get_by_role("button", name="Preview").click()
    looked_at = page.get_by_role("region", name="What this rule would have done")
    expect(looked_at).to_contain_text("No call would have been treated otherwise.")
    assert_readable_by_all(page)
    assert not Rule.objects.exists()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Rule.objects.get(name=NAME).conditions == [{"path": "amount", "op": "<=", "value": 50}]
    assert names_in_force() == {NAME}

    page.get_by_role("link", name="Try the rules on a call").click()
    page.get_by_label("Tool:").select_option("support · issue_refund")
    page.get_by_label("Arguments:").fill('{"order_id": "A-1", "amount": "50.01"}')
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("heading", name="People would be asked.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=NAME)).to_contain_text("amount <= 50: no")
    assert_readable_by_all(page)

    page.get_by_role("link", name="Rules", exact=True).first.click()
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, I’m sure").click()
    expect(page.get_by_text("was deleted successfully")).to_be_visible()
    assert names_in_force() == set()
