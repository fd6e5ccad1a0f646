"""The admin's story, as docs/admin.md tells it."""

import re
from collections.abc import Generator
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from approvals.models import Approval, Rule
from approvals.policy.versions import publish
from runs.models import Run
from tests.desk import Desk
from tests.e2e.conftest import SOON, WIDE, fact, inbox_link, refunds_of, sign_in, start, ticket_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAME = "Refunds up to 50 need nobody"


@pytest.fixture
def desk_of_the_admin(fresh_desk: Desk) -> Generator[Desk]:
    """The rule does not stay: the desk is others' after this."""
    yield fresh_desk
    Rule.objects.filter(name=NAME).delete()
    publish(None, "the admin's story has been told")


def test_an_admin_lets_small_refunds_pass_and_bigger_ones_still_ask(desk_of_the_admin, new_page):
    page = sign_in(new_page(base_url=desk_of_the_admin.url, viewport=WIDE), desk_of_the_admin, "admin")
    before = start("T-1009")  # 28.00 USD: asked before there is a rule, and keeps its verdict
    expect(inbox_link(page, re.compile("Issue refund 28.00 USD"))).to_be_visible(timeout=SOON)

    page.get_by_label("Menu of Ada Quill").click()
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="Rules", exact=True).first.click()
    page.get_by_role("link", name="Add rule").click()
    page.get_by_label("Name:").fill(NAME)
    page.get_by_label("Agent:").fill("support")
    page.get_by_label("Tool:").fill("issue_refund")
    page.get_by_label("Argument of condition 1").fill("amount")
    page.get_by_label("Comparison of condition 1").select_option("is at most (<=)")
    page.get_by_label("Value of condition 1").fill("50")
    page.get_by_label("Allow without asking").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    page.goto("/runs/")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_role("main").get_by_role("link", name="Support agent").click()
    page.get_by_label("What should the agent do").fill(ticket_text("T-1003"))
    page.get_by_role("button", name="Start Support agent").click()
    expect(fact(page, "State")).to_have_text("Waiting for people", timeout=SOON)
    small = Run.objects.latest("created_at")
    assert refunds_of("48119") == [Decimal("45.90")]
    assert set(Approval.objects.filter(source_ref=str(small.pk)).values_list("action", flat=True)) == {"send_email"}
    expect(page.get_by_text("Allowed by rule").or_(page.get_by_text(NAME)).first).to_be_visible()

    start("T-1001")
    page.goto("/")
    page.mouse.move(1, 1)
    expect(inbox_link(page, re.compile("Issue refund 240.00 EUR for order 48102"))).to_be_visible(timeout=SOON)
    assert refunds_of("48102") == []
    assert Approval.objects.get(source_ref=before).is_pending
    expect(page.get_by_role("main").get_by_role("link", name=re.compile("45.90"))).to_have_count(0)
