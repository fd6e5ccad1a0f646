"""The reviewer's story, as docs/reviewer.md tells it."""

import json
import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from agentdesk.people.models import User
from approvals.models import Approval, Decision
from runs.models import Run
from tests.e2e.conftest import (
    SOON,
    WIDE,
    act,
    approve_mail,
    fact,
    inbox_link,
    is_live,
    mails_to,
    panel,
    read_why,
    refunds_of,
    run_input,
    sign_in,
    start,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUND = "Issue refund 240.00 EUR for order 48102"
MARA = "mara.lindqvist@example.com"


def test_a_reviewer_changes_the_amount_and_the_run_goes_on_with_exactly_that(fresh_desk, new_page):
    page = sign_in(new_page(base_url=fresh_desk.url, viewport=WIDE), fresh_desk, "reviewer")
    expect(page.get_by_text("Nothing waits for your teams.")).to_be_visible()
    is_live(page)

    ticket = json.dumps(run_input("T-1001"))
    run = json.loads(fresh_desk.manage("runs", "start", "support", "--input", ticket, "--as", "operator", "--json"))
    expect(inbox_link(page, REFUND)).to_be_visible(timeout=SOON)
    expect(page).to_have_title(re.compile(r"^\(1\) Inbox"))
    page.get_by_label("Filter").fill("tool:issue_refund")
    page.get_by_label("Filter").press("Enter")
    inbox_link(page, REFUND).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(REFUND)
    card = page.get_by_role("article")
    for heading in ("What will happen", "Why", "Rule that asked", "Run", "Exact data"):
        expect(card.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    for fold in ("Where the deciding values stand", "What the agent says for it", "What the run is about"):
        card.locator("summary", has_text=fold).click()
    expect(card.locator("mark").first).to_be_visible()
    expect(card.get_by_text("Written by the agent, not verified").first).to_be_visible()
    expect(card.get_by_role("region", name="What the run is about")).to_contain_text("arrived with a cracked shade")
    expect(card.get_by_text("No rule spoke about this action")).to_be_visible()
    expect(card.get_by_text("Get order 48102").first).to_be_visible()

    modify = act(page, "Modify refund")
    modify.get_by_label("Amount").fill("212.50")
    expect(modify.get_by_text("Your changes")).to_be_visible()
    expect(modify.get_by_text("Under the rules this needs nobody else.")).to_be_visible()
    expect(modify.get_by_role("listitem").filter(has_text="Amount")).to_have_text(re.compile("240.00.*212.50"))
    modify.get_by_label("Reason, kept on record").fill("The lamp's cable is fine: the shade only.")
    modify.get_by_role("button", name="Approve with 1 change").click()

    expect(panel(page, "Outcome")).to_contain_text("Modified by Robin Vale")
    expect(card.get_by_role("heading", name="What came of it")).to_be_visible()
    expect(card.get_by_text("What ran is what was approved.", exact=True)).to_be_visible(timeout=SOON)
    expect(card.get_by_text("Done", exact=True)).to_be_visible()
    expect(card.get_by_role("region", name="What the tool returned")).to_contain_text("212.50")
    assert refunds_of("48102") == [Decimal("212.50")]

    approve_mail(page, MARA)
    page.get_by_role("article").get_by_role("link", name="Lamp arrived broken").first.click()
    expect(fact(page, "State")).to_have_text("Succeeded", timeout=SOON)
    (mail,) = mails_to(fresh_desk, MARA)
    assert "We have refunded 212.50 EUR for order 48102." in mail.get_content()
    assert Run.objects.get(pk=run["id"]).status == "succeeded"


def test_a_rejected_agent_reads_the_reason_and_asks_for_something_else(desk, open_as):
    run_id = start("T-1002")
    page = open_as(desk, "reviewer")
    refund = "Issue refund 225.00 EUR for order 48066"
    expect(inbox_link(page, refund)).to_be_visible(timeout=SOON)
    inbox_link(page, refund).click()
    reject = act(page, "Reject refund")
    reject.get_by_label("Reason: the agent reads it").fill("The parcel has not come back yet.\nPlease wait.")
    reject.get_by_role("button", name="Reject refund 225.00 EUR").click()
    expect(panel(page, "Outcome")).to_contain_text("Rejected by Robin Vale")

    approve_mail(page, "tomas.okafor@example.org")
    (mail,) = mails_to(desk, "tomas.okafor@example.org")
    assert "The parcel has not come back yet.\nPlease wait." in mail.get_content()
    decision = Decision.objects.get(approval__source_ref=run_id, verdict="reject")
    assert decision.message == "The parcel has not come back yet.\nPlease wait.", "browsers send CRLF"
    assert refunds_of("48066") == []
    asked = Approval.objects.filter(source_ref=run_id).order_by("requested_at").values_list("action", flat=True)
    assert list(asked) == ["issue_refund", "send_email"], "the same refund is not asked for again"


def test_an_answer_stands_in_for_what_the_tool_would_have_returned(desk, open_as):
    run_id = start("T-1011")
    page = open_as(desk, "reviewer")
    refund = re.compile("Issue refund .* PLN for order 48093")
    expect(inbox_link(page, refund)).to_be_visible(timeout=SOON)
    inbox_link(page, refund).click()
    respond = act(page, "Respond")
    expect(respond).to_contain_text("The tool does not run. The agent gets your answer as its result.")
    respond.get_by_label("Your answer").fill("A new grinder is on its way instead.")
    respond.get_by_role("button", name="Send the answer").click()
    expect(panel(page, "Outcome")).to_contain_text("A new grinder is on its way instead.")

    approve_mail(page, "olek.nowak@example.net")
    (mail,) = mails_to(desk, "olek.nowak@example.net")
    assert "A new grinder is on its way instead." in mail.get_content()
    assert refunds_of("48093") == []
    page.goto(f"/runs/{run_id}/")
    expect(page.get_by_text("the answer of a person stood in for the tool. It did not run.")).to_be_visible()


def test_the_slower_reviewer_is_told_and_keeps_what_they_typed(desk, open_as):
    start("T-1012")
    quick, slow = open_as(desk, "reviewer"), open_as(desk, "second")
    refund = re.compile("Issue refund .* CHF for order 48115")
    for page in (quick, slow):
        expect(inbox_link(page, refund)).to_be_visible(timeout=SOON)
        inbox_link(page, refund).click()
        is_live(page)
    read_why(slow)
    modify = act(slow, "Modify refund")
    modify.get_by_label("Amount").fill("80.00")
    modify.get_by_label("Reason, kept on record").fill("half is too much")
    reject = act(quick, "Reject refund")
    reject.get_by_label("Reason: the agent reads it").fill("The stain was on the photo.")
    reject.get_by_role("button", name="Reject refund").click()
    expect(panel(quick, "Outcome")).to_contain_text("Rejected by Robin Vale")

    expect(slow.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(modify.get_by_label("Amount")).to_have_value("80.00")
    modify.get_by_role("button", name="Approve with 1 change").click()
    told = panel(slow, "Outcome")
    expect(told).to_contain_text(re.compile(r"Somebody else was first\. Rejected by Robin Vale at \d\d:\d\d:\d\d UTC"))
    expect(told.get_by_label("Amount")).to_have_value("80.00")
    assert refunds_of("48115") == []


@pytest.fixture
def stays(desk):
    """A reviewer whose decisions by key stay on their page, so that the outcome is seen."""
    reviewer = User.objects.filter(username="reviewer")
    reviewer.update(opens_next=False)
    yield
    reviewer.update(opens_next=True)


@pytest.mark.usefixtures("stays")
def test_the_reviewers_story_goes_by_keys_alone(desk, open_as):
    start("T-1014")  # no other test works on it: the search finds one row
    page = open_as(desk, "reviewer")
    refund = re.compile("Issue refund 27.50 EUR for order 48160")
    expect(inbox_link(page, refund)).to_be_visible(timeout=SOON)
    is_live(page)
    press = page.keyboard.press
    press("/")
    page.keyboard.type("48160")
    press("Enter")
    expect(page).to_have_url(re.compile("q=48160"))
    is_live(page)
    expect(page.locator("#rows")).to_have_attribute("data-filtered", "")
    expect(inbox_link(page, refund)).to_be_visible()
    press("j")
    expect(inbox_link(page, refund)).to_be_focused()
    press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(refund)
    is_live(page)  # its keys work

    press("e")
    expect(page.get_by_role("article").get_by_role("region", name="What the run is about")).to_be_visible()
    press("m")
    amount = panel(page).get_by_label("Amount")
    for _step in range(8):
        if amount.evaluate("node => node === document.activeElement"):
            break
        press("Tab")
    expect(amount).to_be_focused()
    press("Control+A")
    page.keyboard.type("13.75")
    reason = panel(page).get_by_role("group").filter(has_text="Modify refund").get_by_label("Reason, kept on record")
    for _step in range(8):
        if reason.evaluate("node => node === document.activeElement"):
            break
        press("Tab")
    expect(reason).to_be_focused()
    page.keyboard.type("The left glove was there.")
    approve = page.get_by_role("button", name="Approve with 1 change")
    for _step in range(8):
        if approve.evaluate("node => node === document.activeElement"):
            break
        press("Tab")
    expect(approve).to_be_focused()
    expect(approve).to_be_enabled()  # high risk: once the reasons were on the screen for a moment
    press("Enter")
    expect(panel(page, "Outcome")).to_contain_text("Modified by Robin Vale")
    expect(page.get_by_text("What ran is what was approved.", exact=True)).to_be_visible(timeout=SOON)
    assert refunds_of("48160") == [Decimal("13.75")]
    press("u")
    expect(page).to_have_title(re.compile("Inbox"))
