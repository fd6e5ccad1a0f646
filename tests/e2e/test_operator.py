"""The operator's story, as docs/operator.md tells it."""

import re
from collections.abc import Generator

import pytest
from playwright.sync_api import expect

from tests.desk import Desk
from tests.e2e.conftest import SOON, WIDE, act, approve, fact, inbox_link, is_live, panel, read_why, sign_in, ticket_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEEP_WORDS = """
new MutationObserver((changes) => {
  for (const change of changes) {
    const stream = change.target.closest?.("[data-stream]") ?? change.target.parentElement?.closest("[data-stream]");
    if (stream?.textContent) (window.streamed ??= []).push(stream.textContent);
  }
}).observe(document, { childList: true, subtree: true, characterData: true });
"""


@pytest.fixture
def slow_words(desk: Desk) -> Generator[Desk]:
    """The desk, its agent's model slow enough to be seen writing."""
    usual = desk.environment["SUPPORT_TOKEN_DELAY"]
    desk.environment["SUPPORT_TOKEN_DELAY"] = "0.1"
    desk.restart("runs")
    yield desk
    desk.environment["SUPPORT_TOKEN_DELAY"] = usual
    desk.restart("runs")


def test_an_operator_follows_a_run_from_start_to_end(slow_words, new_page, open_as):
    page = sign_in(new_page(base_url=slow_words.url, viewport=WIDE), slow_words, "operator")
    page.add_init_script(KEEP_WORDS)
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="Start a run").click()
    page.get_by_role("main").get_by_role("link", name="Support agent").click()
    page.get_by_label("What should the agent do").fill(ticket_text("T-1025"))
    page.get_by_role("button", name="Start Support agent").click()
    address = page.url
    steps = page.locator("#story > li:visible")
    expect(fact(page, "State")).to_have_text("Waiting for people", timeout=SOON)
    is_live(page)

    written = page.evaluate("window.streamed ?? []")
    assert len(set(written)) > 5, f"the words did not come bit by bit: {written}"
    before = steps.all_inner_texts()
    assert any("Issue refund 44.00 EUR for order 48207" in text for text in before)

    reviewer = open_as(slow_words, "reviewer")
    inbox_link(reviewer, re.compile("Issue refund 44.00 EUR for order 48207")).click()
    read_why(reviewer)
    modify = act(reviewer, "Modify refund")
    modify.get_by_label("Amount").fill("40.00")
    modify.get_by_label("Reason, kept on record").fill("The bell was used.")
    modify.get_by_role("button", name="Approve with 1 change").click()
    expect(panel(reviewer, "Outcome")).to_contain_text("Modified by Robin Vale")

    expect(steps.filter(has_text="Robin Vale changed")).to_contain_text(re.compile("44.00.*40.00"), timeout=SOON)
    expect(steps.filter(has_text="Issue refund 40.00 EUR for order 48207").first).to_be_visible(timeout=SOON)
    call = page.get_by_role("row").filter(has_text="issue_refund")
    expect(call).to_contain_text("44.00")
    expect(call).to_contain_text("40.00")
    expect(call).to_contain_text("same digest", timeout=SOON)

    mail = re.compile("Send email to anton.reinholt@example.com")
    reviewer.goto("/")
    reviewer.mouse.move(1, 1)
    expect(inbox_link(reviewer, mail)).to_be_visible(timeout=SOON)
    inbox_link(reviewer, mail).click()
    approve(reviewer)
    expect(fact(page, "State")).to_have_text("Succeeded", timeout=SOON)
    expect(page.get_by_role("heading", name="Result")).to_be_visible()

    live = [text.split("\n", 1)[-1] for text in steps.all_inner_texts()]
    page.reload()
    assert page.url == address
    expect(steps.first).to_be_visible()
    assert [text.split("\n", 1)[-1] for text in steps.all_inner_texts()] == live, "what came live is what the record says"

    page.get_by_role("link", name="All entries of this run").click()
    entries = page.get_by_role("table")
    for act_name in ("Run started", "Approval requested", "Approval decided", "Run succeeded"):
        expect(entries.get_by_text(act_name, exact=False).first).to_be_visible()
    expect(entries).to_contain_text("Robin Vale")
    expect(entries).to_contain_text("Kim Osei")
