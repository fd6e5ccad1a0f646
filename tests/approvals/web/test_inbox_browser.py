"""The inbox in a browser, by the names that people read: twenty by keys, claims, what is put off, many together."""

import os
import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from approvals import triage
from approvals.models import Approval, Claim, Decision
from tests.approvals.cast import make_approval, make_team, make_user, post
from tests.approvals.web.conftest import look_again
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SHOTS = CHECKOUT / "test-results/inbox"


@pytest.fixture
def people(web):
    team = make_team("Support")
    reviewer = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    return team, reviewer, make_user(team, name="sam", first_name="Sam", last_name="Ashby")


def ask(team, order="A-1", amount="24.00", **facts):
    approval = make_approval(team, **{"risk": "low", "args": {"order_id": order, "amount": amount}, **facts})
    assert flush()
    return approval


def row(page: Page, order: str):
    return page.get_by_role("main").get_by_role("row", name=re.compile(rf"order {re.escape(order)}\b"))


def is_live(page: Page) -> None:
    """The page hears the desk, and its keys work: scripts run in order, that of the keys before the one that says "Live"."""
    expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()


def test_twenty_of_low_risk_are_decided_by_keys_within_a_minute(open_as, people):
    team, reviewer, _second = people
    approvals = [ask(team, f"K-{number}") for number in range(20)]
    page = open_as(reviewer, "/")
    is_live(page)
    began = time.monotonic()
    page.keyboard.press("j")
    expect(page.locator("[data-row] a:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    opened = []
    for left in range(20, 0, -1):
        heading = page.get_by_role("heading", level=1)
        expect(page.get_by_role("complementary", name="Your decision")).to_be_visible()
        opened.append(heading.inner_text())
        expect(page.get_by_role("link", name=re.compile("^Inbox")).first).to_contain_text(str(left))
        is_live(page)
        page.keyboard.press("a")
        if left > 1:
            expect(heading).not_to_have_text(opened[-1])
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")
    taken = time.monotonic() - began
    assert len(set(opened)) == 20
    assert Decision.objects.filter(approval__in=approvals, verdict="approve", seconds_open__isnull=False).count() == 20
    assert taken <= 60, f"{taken:.1f} s"


def test_script_and_style_are_light_on_the_first_visit(open_as, people):
    team, reviewer, _second = people
    for address in ("/", f"/approvals/{ask(team, 'W-1').pk}/"):
        page = open_as(reviewer, address)
        page.wait_for_load_state("load")
        loaded = page.evaluate(
            """() => performance.getEntriesByType("resource")
              .filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname))
              .map(({ transferSize, decodedBodySize }) => [transferSize, decodedBodySize])"""
        )
        assert len(loaded) >= 12
        assert sum(whole for _sent, whole in loaded) > 80 * 1024, "what is sent as it is would be too much"
        assert 0 < sum(sent for sent, _whole in loaded) <= 80 * 1024


def test_whoever_wants_to_stays_after_a_decision_by_key(open_as, people):
    team, reviewer, _second = people
    first, _other = ask(team, "S-1"), ask(team, "S-2")
    page = open_as(reviewer, f"/approvals/{first.pk}/")
    page.keyboard.press("?")
    page.get_by_label("After a decision by key, open the next approval").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")
    expect(page.get_by_role("heading", name="Outcome")).to_be_focused()  # after that nothing leads on
    assert page.evaluate("sessionStorage.getItem('desk.told')") is None
    assert page.url.endswith(f"/approvals/{first.pk}/")


def test_a_claim_is_seen_by_the_others_and_keeps_nobody_from_deciding(open_as, people):
    team, reviewer, second = people
    ask(team, "C-1", risk="high")
    mine, other = open_as(reviewer, "/"), open_as(second, "/")
    for page in (mine, other):
        is_live(page)
        expect(page.get_by_role("button", name="Claim")).to_be_visible()
    mine.keyboard.press("A")
    expect(mine.get_by_role("complementary", name="Preview")).to_contain_text("Claimed by you until")
    expect(row(other, "C-1")).to_contain_text("claimed by Robin Vale until")
    expect(mine.get_by_role("link", name="Mine 1")).to_be_visible()
    expect(other.get_by_role("complementary", name="Preview")).to_contain_text("Robin Vale has claimed this until")
    expect(other.get_by_role("complementary", name="Preview")).to_contain_text("You can still decide it.")
    other.get_by_role("button", name="Take over").click()
    expect(row(mine, "C-1")).to_contain_text("claimed by Sam Ashby until")
    expect(other.get_by_role("button", name="Undo")).to_be_visible()
    other.keyboard.press("z")
    expect(row(mine, "C-1")).to_contain_text("assigned to Robin Vale")


def test_the_rail_counts_what_waits_also_beside_another_tab(open_as, people):
    team, reviewer, _second = people
    own, _other = ask(team, "R-1", risk="high"), ask(team, "R-2", risk="high")
    triage.claim(own.pk, actor=Actor.of(reviewer, "web"), seen=0)
    page = open_as(reviewer, "/?tab=mine")
    is_live(page)
    high = page.get_by_role("navigation", name="Views").get_by_role("link", name="High")
    expect(high).to_contain_text("2")
    look_again(page)
    expect(row(page, "R-1")).to_be_visible()
    assert high.locator(".n").inner_text() == "2", "one of them is the reader's own"


def test_what_is_put_off_leaves_ones_own_list_only_and_comes_back(open_as, people):
    team, reviewer, second = people
    ask(team, "P-1", risk="high")
    ask(team, "P-2", risk="high")
    page, other = open_as(reviewer, "/"), open_as(second, "/")
    is_live(page)
    expect(page.get_by_role("complementary", name="Preview").get_by_role("heading", level=1)).to_contain_text("P-1")
    page.keyboard.press("s")
    page.get_by_role("button", name="For 1 hour").click()
    expect(row(page, "P-1")).to_have_count(0)
    expect(page.get_by_role("link", name="Snoozed 1")).to_be_visible()
    expect(page.get_by_role("complementary", name="Preview").get_by_role("heading", level=1)).to_contain_text("P-2")
    ask(team, "P-3", risk="high")
    expect(row(other, "P-3")).to_be_visible()  # what came before it has come too
    expect(row(other, "P-1")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("z")
    expect(row(page, "P-1")).to_be_visible()
    expect(page.get_by_role("link", name="Snoozed 0")).to_be_visible()


def test_many_alike_are_looked_at_together_by_keys(open_as, people):
    team, reviewer, _second = people
    approvals = [ask(team, f"B-{number}", amount="24.00" if number < 3 else "90.00") for number in range(4)]
    page = open_as(reviewer, "/")
    is_live(page)
    expect(page.get_by_role("complementary", name="Preview").get_by_role("heading", level=1)).to_contain_text("B-0")
    page.keyboard.press("x")
    expect(row(page, "B-0").get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_role("button", name="Review the selected together")).to_be_hidden()
    for _number in range(3):
        page.keyboard.press("j")
    expect(row(page, "B-3")).to_have_class(re.compile("current"))
    page.keyboard.press("X")
    expect(page.get_by_role("button", name="Review the selected together 4")).to_be_visible()
    page.keyboard.press("b")
    expect(page.get_by_role("heading", level=1)).to_have_text("Review together")
    expect(page.get_by_role("cell", name=re.compile("90.00 differs from the others"))).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("B-3")).uncheck()
    page.get_by_role("button", name="Approve the ticked ones").click()
    expect(page.get_by_text("3 of 3 approved.")).to_be_visible()
    assert Decision.objects.filter(approval__in=approvals).count() == 3
    assert Approval.objects.get(pk=approvals[3].pk).is_pending


def test_a_search_is_made_of_labels_and_kept(open_as, people):
    team, reviewer, _second = people
    ask(team, "F-1", amount="10.00")
    ask(team, "F-2", amount="300.00", risk="high")
    page = open_as(reviewer, "/")
    is_live(page)
    page.keyboard.press("/")
    expect(page.get_by_label("Filter")).to_be_focused()
    page.keyboard.type("arg.amount>200 risk:high")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=arg\.amount%3E200\+risk%3Ahigh"))
    expect(row(page, "F-2")).to_be_visible()
    expect(row(page, "F-1")).to_have_count(0)
    page.get_by_text("Keep this search").click()
    page.get_by_label("Name of this search").fill("Large ones")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("navigation", name="Views").get_by_role("link", name="Large ones")).to_be_visible()
    page.get_by_role("link", name="Remove arg.amount>200").click()
    expect(page.get_by_label("Filter")).to_have_value("risk:high")
    page.get_by_label("Filter").fill("colour:red")
    page.get_by_label("Filter").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="There is no filter “colour”.")).to_be_visible()


def test_the_first_approval_is_decided_by_following_the_guide(open_as, people):
    team, reviewer, _second = people
    ask(team, "G-1", reason="The tent arrived torn.")
    page = open_as(reviewer, "/")
    guide = page.get_by_role("region", name="Your first approval")
    lines = guide.get_by_role("listitem").all_inner_texts()
    assert "Open a row below" in lines[0]
    row(page, "G-1").get_by_role("link").click()
    for name in re.findall("“([^”]+)”", lines[1]):
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    (panel,) = re.findall("“([^”]+)”", lines[2])
    page.get_by_role("complementary", name=panel).get_by_role("button", name=re.compile("^Approve")).click()
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")
    page.goto("/")
    expect(guide).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_every_state_can_be_read_by_everybody(open_as, people, width, scheme):
    team, reviewer, second = people
    done = ask(team, "D-1")
    post(done, reviewer)
    batch = [ask(team, f"4840{number}", amount="90.00" if number == 4 else "24.00") for number in range(5)]
    high = ask(team, "48213", amount="1860.00", risk="critical", requirements={"count": 2})
    claimed = ask(team, "48377", amount="240.00", risk="high")
    triage.claim(claimed.pk, actor=Actor.of(second, "web"), seen=0)
    own = ask(team, "48102", amount="120.00", risk="medium")
    triage.assign(own.pk, reviewer.pk, actor=Actor.of(second, "web"), seen=0)
    together = "&".join(f"id={each.pk}" for each in [*batch, high])
    states = {
        "team": "/", "mine": "/?tab=mine", "snoozed": "/?tab=snoozed", "done": "/?tab=done",
        "search": "/?q=arg.amount>100 risk:high", "mistake": "/?q=colour:red risk:high", "none": "/?q=nothing-like-it",
        "batch": f"/approvals/batch/?{together}", "claimed": f"/approvals/{claimed.pk}/",
    }  # fmt: skip
    page = open_as(reviewer, "/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    fresh = open_as(make_user(team, name="new"), "/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    nobody = open_as(make_user(name="nobody"), "/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems = []
    shown = [(fresh, "guide", "/"), (nobody, "no-team", "/"), *((page, *state) for state in states.items())]
    for each, name, address in shown:
        each.goto(address)
        is_live(each)
        if name == "team" and width > 1000:
            expect(each.get_by_role("button", name="Claim")).to_be_visible()
            each.keyboard.press("s")
        if name in ("team", "guide"):
            for box in each.get_by_role("checkbox", name=re.compile("^Select")).all()[:3]:
                box.check()
        for found in Axe().run(each, options=AXE).response["violations"]:
            problems += [f"{name}: {found['id']}: {node['html'][:200]}" for node in found["nodes"]]
        if not each.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            problems.append(f"{name}: wider than its screen")
        if os.environ.get("SCREENSHOTS"):
            each.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=width < 1000)
    assert problems == [], "\n".join(problems)
    assert Claim.objects.get(pk=own.pk).user == reviewer
