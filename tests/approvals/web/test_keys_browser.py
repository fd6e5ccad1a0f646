"""Keys that a person changed, the list of all that can be done, where the focus goes, and what a screen reader finds."""

import re
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from agentdesk.people.models import User
from agentdesk.people.profile import change_profile
from approvals.models import Approval, Claim, Snooze
from tests.approvals.cast import make_approval, make_team, make_user, post

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
FOCUSED = "() => document.activeElement.outerHTML.slice(0, 120)"


@pytest.fixture
def people(web):
    team = make_team("Support")
    reviewer = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    return team, reviewer, make_user(team, name="sam", first_name="Sam", last_name="Ashby")


def ask(team, **facts):
    approval = make_approval(team, **{"risk": "low", **facts})
    assert flush()
    return approval


def address(approval):
    return f"/approvals/{approval.pk}/"


def is_live(page: Page) -> None:
    expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()


def opened(open_as, reviewer, path):
    page = open_as(reviewer, path)
    is_live(page)
    return page


def set_keys(reviewer, **changes):
    change_profile(reviewer, changes, actor=Actor.of(reviewer))


def palette(page: Page):
    return page.get_by_role("dialog", name="What can be done here")


def has_focus(page):
    return page.evaluate("document.activeElement !== document.body")


def test_the_keys_that_a_person_set_count_and_the_usual_ones_do_not(open_as, people):
    team, reviewer, _second = people
    approval = ask(team)
    page = opened(open_as, reviewer, "/profile/keys/")
    page.get_by_label("Reject", exact=True).fill("w")
    page.get_by_label("Modify", exact=True).fill("m o")
    page.get_by_label("To the runs").fill("")
    page.get_by_role("button", name="Save keys").click()
    expect(page.get_by_text("Your keys are saved.")).to_be_visible()

    page.goto(address(approval))
    is_live(page)
    page.keyboard.press("r")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.locator("#act-reject")).not_to_have_attribute("open", "")
    page.keyboard.press("w")
    expect(page.locator("#reject-message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#act-reject > summary")).to_be_focused()
    page.keyboard.press("m")
    page.keyboard.press("o")
    expect(page.get_by_label("Amount")).to_be_focused()
    expect(page.locator("#act-reject > summary kbd")).to_have_text("w")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys").locator("dt", has_text="w").first).to_be_visible()


def test_keys_that_are_off_stay_off_and_the_list_of_acts_does_not(open_as, people):
    team, reviewer, _second = people
    approval = ask(team)
    set_keys(reviewer, uses_keys=False)
    page = opened(open_as, reviewer, address(approval))
    for key in "armq?eu":
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#panel details[open]")).to_have_count(0)
    assert Approval.objects.get(pk=approval.pk).is_pending
    page.keyboard.press("Control+k")
    expect(palette(page)).to_be_visible()


def test_what_is_switched_beside_the_map_counts_in_the_next_browser_too(open_as, people):
    team, reviewer, _second = people
    first, second = ask(team), ask(team)
    page = opened(open_as, reviewer, address(first))
    page.keyboard.press("?")
    with page.expect_response("**/profile/keys/switches/"):
        page.get_by_label("After a decision by key, open the next approval").uncheck()
    elsewhere = opened(open_as, reviewer, address(second))
    elsewhere.keyboard.press("a")
    expect(elsewhere.get_by_role("complementary", name="Outcome")).to_be_visible()
    expect(elsewhere).to_have_url(re.compile(address(second)))
    expect(elsewhere.get_by_role("heading", name="Outcome")).to_be_focused()


def test_a_switch_that_cannot_be_saved_says_so(open_as, people):
    team, reviewer, _second = people
    page = opened(open_as, reviewer, address(ask(team)))
    page.route("**/profile/keys/switches/", lambda route: route.abort())
    page.keyboard.press("?")
    page.get_by_label("Use keys").uncheck()
    expect(page.get_by_text("This could not be saved, so it counts on this page only.")).to_be_visible()
    assert User.objects.get(pk=reviewer.pk).uses_keys


def test_no_key_decides_in_a_field_a_dialog_a_composition_or_with_a_modifier_or_held_down(open_as, people):
    team, reviewer, _second = people
    approval = ask(team)
    page = opened(open_as, reviewer, address(approval))
    held = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', bubbles: true, %s: true}))"
    for what in ("repeat", "isComposing", "ctrlKey", "altKey", "metaKey"):
        page.evaluate(held % what)
    page.keyboard.press("?")
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    page.get_by_label("Your comment").press("a")
    page.keyboard.press("Control+k")
    expect(palette(page)).to_be_hidden()
    page.wait_for_timeout(300)
    assert Approval.objects.get(pk=approval.pk).is_pending
    expect(page.get_by_label("Your comment")).to_have_value("a")


def test_control_enter_sends_what_one_types_and_nothing_grave(open_as, people):
    team, reviewer, _second = people
    low, high, critical = (ask(team, risk=risk, reason="Torn.") for risk in ("low", "high", "critical"))
    page = opened(open_as, reviewer, address(critical))
    page.locator("#approve-confirm").press("Control+Enter")
    expect(page.locator("#panel button", has_text="Approve refund").first).to_be_focused()

    page.goto(address(high))
    is_live(page)
    approve = page.get_by_role("button", name=re.compile("Approve refund"))
    reason = page.get_by_label("Reason, kept on record").first
    reason.fill("Checked.")
    expect(approve).not_to_have_attribute("aria-disabled", "true", timeout=20_000)
    reason.press("Control+Enter")
    expect(approve).to_be_focused()
    page.wait_for_timeout(300)
    assert all(Approval.objects.get(pk=each.pk).is_pending for each in (high, critical))

    set_keys(reviewer, opens_next=False)
    page.goto(address(low))
    is_live(page)
    page.keyboard.press("r")
    page.keyboard.type("No.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Rejected by Robin Vale")
    expect(page.get_by_role("heading", name="Outcome")).to_be_focused()


def test_keys_lead_to_the_reasons_and_to_the_changes(open_as, people):
    team, reviewer, _second = people
    page = opened(open_as, reviewer, address(ask(team, reason="The tent arrived torn.")))
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Why")).to_be_focused()
    page.keyboard.press("d")
    expect(page.get_by_role("heading", name="Your changes")).to_be_focused()


def test_what_can_be_done_is_found_by_typing_and_done_by_enter(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, reason="The tent arrived torn.")
    page = opened(open_as, reviewer, address(approval))
    page.get_by_role("link", name="Runs").first.focus()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Find an act or a page")
    expect(field).to_be_focused()
    expect(palette(page).get_by_role("option", name="Modify refund m")).to_be_visible()
    page.keyboard.type("refund rej")
    chosen = palette(page).get_by_role("option", selected=True)
    expect(chosen).to_have_text(re.compile("^Reject refund ?r$"))
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id"))
    expect(page.locator("#announce")).to_have_text("1 found")
    page.keyboard.press("Enter")
    expect(palette(page)).to_be_hidden()
    expect(page.locator("#reject-message")).to_be_focused()
    page.keyboard.press("Escape")

    page.keyboard.press("Control+k")
    page.keyboard.type("no such thing")
    expect(palette(page).get_by_text("Nothing here is called that.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#act-reject > summary")).to_be_focused()

    page.keyboard.press("Control+k")
    page.keyboard.type("audit")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/audit/"))


def test_the_arrows_walk_through_what_can_be_done(open_as, people):
    team, reviewer, _second = people
    page = opened(open_as, reviewer, address(ask(team)))
    page.keyboard.press("Control+k")
    options = palette(page).get_by_role("option")
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    found = Axe().run(page, options=AXE).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_who_points_finds_the_list_in_the_menu_and_what_is_grave_only_gets_the_focus(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, risk="high", reason="Torn.")
    page = opened(open_as, reviewer, address(approval))
    page.get_by_text("RV", exact=True).click()
    page.get_by_role("button", name="Find an act").click()
    palette(page).get_by_role("option", name=re.compile("^Approve refund")).click()
    expect(page.get_by_role("button", name=re.compile("^Approve refund"))).to_be_focused()
    assert Approval.objects.get(pk=approval.pk).is_pending


def test_the_focus_stays_where_one_worked_on_the_page_of_an_approval(open_as, people):
    team, reviewer, second = people
    approval = ask(team)
    page = opened(open_as, reviewer, address(approval))
    triage = page.get_by_role("region", name="Who looks after it")
    press = page.keyboard.press

    page.get_by_role("button", name="Claim").focus()
    press("Enter")
    expect(page.get_by_text("Claimed by you until")).to_be_visible()
    assert Claim.objects.filter(approval=approval).exists()
    expect(triage.locator(":focus")).to_have_count(1)
    expect(page.locator("#announce")).to_contain_text("laim")

    press("s")
    expect(page.locator("#triage-snooze button").first).to_be_focused()
    press("Enter")
    expect(page.get_by_role("button", name="Show it again")).to_be_focused()
    assert Snooze.objects.filter(approval=approval).exists()
    press("z")
    expect(page.get_by_text("Put off by you until")).to_have_count(0)
    assert has_focus(page), page.evaluate(FOCUSED)

    press("h")
    expect(page.get_by_label("To whom")).to_be_focused()
    press("Escape")
    expect(page.locator("#triage-assign > summary")).to_be_focused()

    page.get_by_label("Your comment").fill("Seen.")
    press("Control+Enter")
    expect(page.get_by_role("log")).to_contain_text("Seen.")
    expect(page.get_by_role("log").locator(":focus")).to_contain_text("Seen.")

    press("Escape")
    press("r")
    page.keyboard.type("No.")
    post(approval, second, "approve")
    assert flush()
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(page.locator("#announce")).to_have_attribute("aria-live", "assertive")
    expect(page.locator("#reject-message")).to_be_focused()
    press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="Somebody else was first.")).to_be_focused()


def test_a_decision_by_key_leads_to_the_heading_of_the_next_one(open_as, people):
    team, reviewer, _second = people
    first, second = ask(team), ask(team)
    page = opened(open_as, reviewer, address(first))
    page.keyboard.press("a")
    expect(page).to_have_url(re.compile(address(second)))
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("#told")).to_contain_text("Approved by Robin Vale")


def test_the_focus_goes_to_what_a_search_found_and_to_its_mistake(open_as, people):
    team, reviewer, _second = people
    ask(team)
    page = opened(open_as, reviewer, "/")
    page.keyboard.press("/")
    page.keyboard.type("risk:low")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=risk"))
    expect(page.get_by_role("heading", level=1, name="Inbox")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type("risk:none")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("none"))
    expect(page.get_by_label("Filter")).to_be_focused()


def test_who_reviews_together_by_keys_comes_to_the_result(open_as, people):
    team, reviewer, _second = people
    ask(team), ask(team)
    page = opened(open_as, reviewer, "/")
    expect(page.locator("[data-row].current")).to_have_count(1)
    for key in "xjxb":
        page.keyboard.press(key)
    approve = page.get_by_role("button", name="Approve the ticked ones")
    expect(page.get_by_role("heading", level=1, name="Review together")).to_be_focused()
    approve.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 of 2 approved.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("n")
    expect(page).to_have_title(re.compile("Inbox"))


def test_a_screen_reader_finds_the_inbox_in_order(open_as, people):
    team, reviewer, _second = people
    ask(team)
    page = opened(open_as, reviewer, "/")
    expect(page.locator("body")).to_match_aria_snapshot("""
        - link "Skip to the content"
        - banner:
          - link "AgentDesk"
          - navigation "Pages":
            - link "Inbox 1"
            - link "Runs"
            - link "Agents"
            - link "Audit"
          - status: Live
          - group
        - navigation "Views":
          - heading "Waiting" [level=2]
          - heading "In advance" [level=2]
        - main:
          - heading "Inbox" [level=1]
          - search:
            - searchbox "Filter"
          - table "Approvals that wait, by risk and then time left":
            - rowgroup:
              - row /Low/
              - row /Select Issue refund 240.00 for order A-1/:
                - cell /Select/:
                  - checkbox "Select Issue refund 240.00 for order A-1"
                - cell "Low"
                - cell /Issue refund/:
                  - link "Issue refund 240.00 for order A-1"
        - complementary "Preview":
          - article:
            - heading "Issue refund 240.00 for order A-1" [level=1]
          - link /Open to decide/
    """)


def test_a_screen_reader_finds_the_decision_in_order(open_as, people):
    team, reviewer, _second = people
    page = opened(open_as, reviewer, address(ask(team, risk="medium", reason="Torn.", subject="A letter")))
    expect(page.locator("body")).to_match_aria_snapshot("""
        - link "Skip to the content"
        - banner
        - navigation "Queue":
          - heading "Waiting" [level=2]
        - main:
          - region "Who looks after it":
            - button "Claim"
          - navigation "Place in the queue"
          - article:
            - heading "Issue refund 240.00 for order A-1" [level=1]
            - region "What will happen":
              - heading "What will happen" [level=2]
              - table "Arguments of issue_refund with their source"
            - region "Why":
              - heading "Why" [level=2]
            - heading "Rule that asked" [level=2]
            - heading "Exact data" [level=2]
          - region "Comments":
            - heading "Comments" [level=2]
            - log "Comments"
            - textbox "Your comment"
            - button "Comment"
        - complementary "Your decision":
          - heading "Your decision" [level=2]
          - group: Approve refund 240.00
    """)
    levels = [
        int(tag[1]) for tag in page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map(h => h.tagName)")
    ]
    assert levels[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_page_of_keys_and_the_map_can_be_read_and_used_by_everybody(open_as, people, width, scheme):
    _team, reviewer, _second = people
    page = open_as(reviewer, "/profile/keys/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    is_live(page)
    for step in ("page", "wrong", "map"):
        if step == "wrong":
            page.get_by_label("Reject", exact=True).fill("m")
            page.get_by_role("button", name="Save keys").click()
            expect(page.get_by_label("Modify", exact=True)).to_be_focused()
            expect(page.get_by_label("Reject", exact=True)).to_have_value("m")
        if step == "map":
            page.keyboard.press("Escape")
            page.keyboard.press("?")
            expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")  # a field half out of view is no target
        found = Axe().run(page, options=AXE).response["violations"]
        assert [(step, each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
