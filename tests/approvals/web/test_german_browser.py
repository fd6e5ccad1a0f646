"""German in a browser: what scripts write is in the page's language, and so is what appears by itself."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from agentdesk.live.push import flush
from tests.approvals.cast import make_approval, make_team, make_user
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SHOTS = CHECKOUT / "test-results/german"


@pytest.fixture
def team(web):
    return make_team("Kasse")


def test_times_tick_and_rows_arrive_in_german_beside_english_ones(open_as, team):
    args = {"order_id": "A-1", "amount": "1860.00", "currency": "EUR"}
    first = make_approval(team, args=args, args_schema=None)
    german = open_as(make_user(team, name="greta", language="de"), "/", locale="en-GB")
    english = open_as(make_user(team, name="emil"), "/", locale="en-GB")
    browser = open_as(make_user(team, name="bert"), "/", locale="de-DE")
    expect(german.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()
    left = r"\d+ T \d+ Std\."
    for page in (german, browser):
        expect(page.locator(f"#row-{first.pk}")).to_contain_text("1.860,00 EUR")
        expect(page.locator(f"#row-{first.pk} .left")).to_contain_text(re.compile(left))
    expect(english.locator(f"#row-{first.pk} .left")).to_contain_text(re.compile(r"\d+ d \d+ h"))
    for page in (german, english, browser):
        expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()
    second = make_approval(team, args={**args, "order_id": "A-2"}, args_schema=None)
    assert flush()
    expect(german.locator(f"#row-{second.pk}")).to_contain_text("1.860,00 EUR")
    expect(browser.locator(f"#row-{second.pk} .left")).to_contain_text(re.compile(left))
    expect(english.locator(f"#row-{second.pk}")).to_contain_text("1,860.00 EUR")
    SHOTS.mkdir(parents=True, exist_ok=True)
    german.screenshot(path=SHOTS / "inbox.png")


def test_the_language_is_chosen_where_one_signs_in(web, new_page):
    page = new_page(base_url=web.url, locale="en-GB", viewport={"width": 390, "height": 844})
    page.goto("/accounts/login/?next=/runs/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=/runs/$"))
    assert page.locator("html").get_attribute("lang") == "de"
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "login.png")
