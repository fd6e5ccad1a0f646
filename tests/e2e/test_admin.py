"""The admin's story: docs/how-to/permissions.md, followed line by line."""

import re
from collections.abc import Generator
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from approvals.models import Approval, Rule
from approvals.policy.versions import publish
from tests.desk import Desk
from tests.e2e.conftest import SOON, WIDE, fact, refunds_of, start
from tests.e2e.guide import Guide

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def desk_of_the_admin(fresh_desk: Desk) -> Generator[Desk]:
    """The rules do not stay: the desk is others' after this."""
    known = set(Rule.objects.values_list("pk", flat=True))
    yield fresh_desk
    Rule.objects.exclude(pk__in=known).delete()
    publish(None, "the admin's story has been told")


def open_administration(page: Page, guide: Guide) -> None:
    page.get_by_label("Menu of Ada Quill").click()
    page.get_by_role("link", name=guide.next("Administration")).click()


def write_rule(page: Page, guide: Guide, argument: str) -> str:
    """From the list of rules to a form that is filled in, but for the verdict; return the rule's name."""
    page.get_by_role("link", name=guide.next("Rules"), exact=True).first.click()
    page.get_by_role("link", name=guide.next("Add rule")).click()
    typed = {}
    for name in ("Name", "Agent", "Tool"):
        label, typed[name] = guide.field(name)
        page.get_by_label(f"{label}:").fill(typed[name])
    assert guide.next("Conditions") in page.get_by_role("main").inner_text()
    page.get_by_label("Argument of condition 1").fill(guide.next(argument))
    page.get_by_label("Comparison of condition 1").select_option(guide.next())
    page.get_by_label("Value of condition 1").fill(guide.next())
    return typed["Name"]


def start_run(page: Page, guide: Guide) -> None:
    for name in ("Runs", "Start a run"):
        page.get_by_role("link", name=guide.next(name), exact=True).first.click()
    page.get_by_role("main").get_by_role("link", name=guide.next("Support agent")).click()
    page.get_by_label(guide.next("What should the agent do")).fill(guide.next())
    page.get_by_role("button", name=guide.next("Start Support agent")).click()


def test_somebody_new_follows_the_how_to_and_lets_small_refunds_pass(desk_of_the_admin, new_page):
    guide, page = Guide("permissions.md"), new_page(base_url=desk_of_the_admin.url, viewport=WIDE)
    before = start("T-1009")  # 28.00 USD: asked before there is a rule, and keeps its verdict

    page.goto("/")
    for name in ("Login", "Password"):
        label, typed = guide.field(name)
        page.get_by_label(label).fill(typed)
    page.get_by_role("button", name=guide.next("Sign in")).click()
    expect(page.get_by_role("link", name=re.compile("Issue refund 28.00 USD"))).to_be_visible(timeout=SOON)
    open_administration(page, guide)
    small = write_rule(page, guide, "amount")
    page.get_by_label(guide.next("Allow without asking")).check()

    page.get_by_role("button", name=guide.next("Preview")).click()
    would = page.get_by_role("region", name=guide.next("What this rule would have done"))
    expect(would).to_contain_text(guide.next("would run without asking"))
    expect(would.get_by_role("row").filter(has_text="28.00")).to_be_visible()
    assert not Rule.objects.filter(name=small).exists()
    page.get_by_role("button", name=guide.next("Save"), exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    page.get_by_role("link", name=guide.next("Try the rules on a call")).click()
    label, tool = guide.field("Tool")
    page.get_by_label(f"{label}:").select_option(tool)
    label, arguments = guide.field("Arguments")
    page.get_by_label(f"{label}:").fill(arguments)
    page.get_by_role("button", name=guide.next("Try"), exact=True).click()
    expect(page.get_by_role("heading", name=guide.next("It would run without asking."))).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=small)).to_contain_text(guide.next("amount <= 50: yes"))

    large = write_rule(page, guide, "amount")
    page.get_by_label(guide.next("Ask people")).check()
    label, typed = guide.field("Count")
    page.get_by_label(f"{label}:").fill(typed)
    page.get_by_role("button", name=guide.next("Save"), exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    page.get_by_role("link", name=guide.next("View site")).click()
    start_run(page, guide)
    expect(fact(page, guide.next("State"))).to_have_text(guide.next("Waiting for people"), timeout=SOON)
    assert refunds_of("48119") == [Decimal("45.90")]
    calls = page.get_by_role("table", name=re.compile("^" + guide.next("Tool calls")))
    expect(calls.get_by_text(guide.next(small))).to_be_visible()
    start_run(page, guide)
    expect(fact(page, guide.next("State"))).to_have_text(guide.next("Waiting for people"), timeout=SOON)
    asked, where = guide.next(), guide.next("Approvals")
    aside = page.get_by_role("complementary")
    expect(aside.get_by_role("heading", name=where)).to_be_visible()
    aside.get_by_role("link", name=asked).click()
    card = page.get_by_role("article")
    expect(card.get_by_role("heading", name=guide.next("Rule that asked"))).to_be_visible()
    expect(card.get_by_text(guide.next(large))).to_be_visible()
    expect(card.get_by_role("row").filter(has_text="200")).to_contain_text("240.00")
    expect(card.get_by_text(guide.next("2 approvals are needed."))).to_be_visible()
    assert refunds_of("48102") == []

    open_administration(page, guide)
    page.get_by_role("link", name=guide.next("Policy versions"), exact=True).first.click()
    versions = page.get_by_role("row").filter(has_text="sha256:")
    expect(versions.nth(0)).to_contain_text(large)
    expect(versions.nth(1)).to_contain_text(small)
    versions.nth(2).get_by_role("link").first.click()
    expect(page.get_by_role("row").filter(has_text=guide.next("taken out"))).to_have_count(2)
    label, typed = guide.field("Reason")
    page.get_by_label(label, exact=True).fill(typed)
    page.get_by_role("button", name=guide.next("Roll back to this version")).click()
    expect(page.get_by_text("The rules are those of version")).to_be_visible()
    page.get_by_role("link", name=guide.next("Rules"), exact=True).first.click()
    off = guide.next("Off")
    for name in (small, large):
        expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(off)
    assert guide.is_done()
    assert Approval.objects.get(source_ref=before).is_pending
