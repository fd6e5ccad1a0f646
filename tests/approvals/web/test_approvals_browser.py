"""The inbox and the decision page in a browser: they live, a push eats no typing, and keys do what buttons do."""

import re
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from django.db.models import F
from playwright.sync_api import expect

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.live.push import flush, push
from agentdesk.live.sender import sender
from agentdesk.people.profile import change_profile
from approvals.models import Approval, Decision
from tests.approvals.cast import make_approval, make_team, make_user, post
from tests.approvals.web.conftest import approve as approving
from tests.approvals.web.conftest import look_again

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
EVIL = (
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
    '<a href="javascript:window.hacked=3" hx-get="/x">x</a>'
)
LIVE = {"name": "data-state", "value": "live"}


@pytest.fixture
def people(web):
    team = make_team("Support")
    reviewer = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    return team, reviewer, make_user(team, name="sam", first_name="Sam", last_name="Ashby")


def ask(team, **facts):
    approval = make_approval(team, **facts)
    assert flush()
    return approval


def decide(approval, user, verdict="approve", **facts):
    post(approval, user, verdict, **facts)
    assert flush()


def page_of(approval):
    return f"/approvals/{approval.pk}/"


def row_of(page, approval):
    return page.locator(f"#row-{approval.pk}")


def is_live(page):
    expect(page.locator("#wire")).to_have_attribute(**LIVE)


def test_it_fills_the_inbox_without_reloading(open_as, people):
    team, reviewer, second = people
    first = ask(team, risk="low")
    page = open_as(reviewer, "/")
    is_live(page)
    page.mouse.move(1400, 10)

    urgent = ask(team, risk="critical")
    expect(row_of(page, urgent)).to_be_visible()
    expect(page.locator("[data-row]").first).to_have_id(f"row-{urgent.pk}")
    expect(page.locator("#inbox-count")).to_have_text("2")
    expect(page).to_have_title("(2) Inbox · AgentDesk")

    row_of(page, first).hover()
    later = ask(team, risk="critical")
    expect(page.locator("[data-fresh]")).to_contain_text("1 new")
    expect(row_of(page, later)).to_have_count(0)
    page.locator("[data-fresh]").click()
    expect(row_of(page, later)).to_be_visible()
    expect(page.locator("[data-fresh]")).to_be_hidden()

    page.mouse.move(1400, 10)
    decide(first, second)
    expect(row_of(page, first)).to_contain_text("Approved by Sam Ashby")
    expect(row_of(page, first)).to_have_count(0, timeout=20_000)


def test_a_decided_row_lingers_though_a_list_without_it_comes(open_as, people):
    team, reviewer, second = people
    first, other = ask(team, risk="low"), ask(team, risk="low")
    page = open_as(reviewer, "/")
    is_live(page)
    page.mouse.move(1400, 10)
    now = datetime.now(UTC)
    page.clock.set_fixed_time(now)  # no second of its lingering passes, however long the machine takes
    decide(first, second)
    expect(row_of(page, first)).to_contain_text("Approved by Sam Ashby")
    look_again(page)
    expect(row_of(page, first)).to_contain_text("Approved by Sam Ashby")
    expect(row_of(page, other)).to_be_visible()
    page.wait_for_function("(id) => document.getElementById(id).goneAt", arg=f"row-{first.pk}")  # it lingers from then on
    page.clock.set_fixed_time(now + timedelta(seconds=6))
    expect(row_of(page, first)).to_have_count(0, timeout=20_000)


def test_a_decided_row_comes_back_struck_where_a_list_without_it_came_first(open_as, people, monkeypatch):
    team, reviewer, second = people
    first = ask(team, risk="low")
    page = open_as(reviewer, "/")
    is_live(page)
    page.mouse.move(1400, 10)
    late = []
    with monkeypatch.context() as patch:
        patch.setattr(sender().events, "offer", late.append)
        decide(first, second)
    look_again(page)
    expect(row_of(page, first)).to_have_count(0)
    for event in late:
        sender().events.offer(event)
    assert flush()
    expect(row_of(page, first)).to_contain_text("Approved by Sam Ashby")
    expect(row_of(page, first)).to_have_count(0, timeout=20_000)


def test_it_keeps_a_row_that_was_pushed_while_an_older_list_was_on_its_way(open_as, people):
    team, reviewer, second = people
    decided = ask(team, risk="low")
    page = open_as(reviewer, "/")
    is_live(page)
    page.mouse.move(1400, 10)
    made, lists = [], []

    def slow(route):
        answer = route.fetch()
        made.append(ask(team, risk="critical"))
        decide(decided, second)
        time.sleep(1)  # both are pushed before the older list comes
        route.fulfill(response=answer)

    page.route("**/rows/**", slow, times=1)
    page.on("requestfinished", lambda request: lists.append(request.url) if made and "/rows/" in request.url else None)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    for _ in range(200):
        if len(lists) > 1:
            break
        page.wait_for_timeout(100)
    assert len(lists) > 1, "the older list has come by now, and another one after it"
    expect(row_of(page, made[0])).to_be_visible()
    expect(page.get_by_role("link", name="Critical")).to_contain_text("1")
    expect(page.locator("[data-row]:not([data-gone])")).to_have_count(1)


def test_a_list_that_is_fetched_moves_no_row_under_the_pointer(open_as, people):
    team, reviewer, _second = people
    first = ask(team, risk="low")
    page = open_as(reviewer, "/")
    is_live(page)
    row_of(page, first).hover()
    later = ask(team, risk="critical")
    expect(page.locator("[data-fresh]")).to_contain_text("1 new")
    look_again(page)
    expect(row_of(page, later)).to_have_count(0)
    expect(page.locator("[data-fresh]")).to_contain_text("1 new")
    page.locator("[data-fresh]").click()
    expect(row_of(page, later)).to_be_visible()
    expect(page.locator("[data-fresh]")).to_be_hidden()


def test_it_shows_nothing_of_another_team(open_as, people):
    team, _reviewer, _second = people
    finance = make_team("Finance")
    page = open_as(make_user(finance, name="eve"), "/")
    is_live(page)
    page.mouse.move(1400, 10)
    expect(page.get_by_text("Nothing waits for your teams.")).to_be_visible()
    foreign, own = ask(team), ask(finance)
    expect(row_of(page, own)).to_be_visible()  # what was pushed before it would have come
    expect(row_of(page, foreign)).to_have_count(0)


def test_it_modifies_with_the_difference_in_view(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, risk="medium")
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    page.keyboard.press("m")
    expect(page.locator("[name=args-amount]")).to_be_focused()
    page.locator("[name=args-amount]").fill("212.50")
    expect(page.locator("[data-changes]")).to_have_text("Amount 240.00 212.50")
    page.get_by_role("button", name="Approve with 1 change").click()
    expect(page.locator("#panel")).to_contain_text("Modified by Robin Vale")
    expect(page.get_by_role("heading", name="Outcome")).to_be_focused()
    expect(page.locator("#approval h1")).to_have_text("Issue refund 212.50 for order A-1")
    assert Decision.objects.get(approval=approval).verdict == "modify"


def test_it_puts_a_wrong_value_back_at_its_field(open_as, people):
    team, reviewer, _second = people
    page = open_as(reviewer, page_of(ask(team)))
    page.locator("#act-modify > summary").click()
    page.locator("[name=args-amount]").fill("a lot")
    page.get_by_role("button", name="Approve with 1 change").click()
    expect(page.locator("[name=args-amount]")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[name=args-amount]")).to_be_focused()
    expect(page.locator("[name=args-amount]")).to_have_value("a lot")
    expect(page.locator("#panel [role=alert]").filter(visible=True)).to_contain_text("Not sent")


def test_it_gives_keys_only_the_friction_that_the_risk_wants(open_as, people):
    team, reviewer, _second = people
    low, medium, high = (ask(team, risk=risk) for risk in ("low", "medium", "high"))
    page = open_as(reviewer, page_of(high))
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert Approval.objects.get(pk=high.pk).is_pending

    page.goto(page_of(medium))
    page.keyboard.press("a")
    confirm = page.locator("#act-approve form").get_by_role("button", name="Approve refund 240.00")
    expect(confirm).to_be_focused()
    expect(page.get_by_role("group", name="What will happen")).to_contain_text("Issue refund 240.00 for order A-1")
    assert Approval.objects.get(pk=medium.pk).is_pending
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("Approved by Robin Vale")

    page.goto(page_of(low))
    page.keyboard.press("r")
    page.keyboard.type("a reason with a, m and r")
    assert Approval.objects.get(pk=low.pk).is_pending
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    with page.expect_response("**/profile/keys/switches/"):
        page.get_by_label("Use keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    page.reload()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert Approval.objects.get(pk=low.pk).is_pending
    change_profile(reviewer, {"uses_keys": True}, actor=Actor.of(reviewer))
    page.reload()
    page.keyboard.press("a")
    expect(page.locator("#told")).to_contain_text("Approved by Robin Vale")


def test_it_walks_the_inbox_by_keys(open_as, people):
    team, reviewer, _second = people
    first, second = ask(team, risk="high"), ask(team, risk="low", action="cancel_order", args_schema=None)
    page = open_as(reviewer, "/")
    is_live(page)
    expect(page.locator("#preview-card h1")).to_have_text("Issue refund 240.00 for order A-1")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row_of(page, second)).to_have_class(re.compile("current"))
    expect(page.locator("#preview-card h1")).to_contain_text("Cancel order")
    page.keyboard.press("k")
    expect(row_of(page, first).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(page_of(first)))


def test_it_eats_no_typing_when_somebody_else_decides(open_as, people):
    team, reviewer, second = people
    approval = ask(team)
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    page.keyboard.press("m")
    page.locator("[name=args-amount]").fill("200.00")
    page.locator("#modify-message").fill("half")
    decide(approval, second)
    expect(page.locator("#approval")).to_contain_text("Approved by Sam Ashby")
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(page.locator("[name=args-amount]")).to_have_value("200.00")
    page.get_by_role("button", name="Approve with 1 change").click()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("Somebody else was first.")
    expect(panel.get_by_label("Message")).to_have_value("half")
    expect(panel.get_by_label("Amount")).to_have_value("200.00")


def test_a_refused_text_is_not_eaten_by_what_comes_after_it(open_as, people):
    """What came back with an error stands in the form as if it were the form's own; it is somebody's typing all the same."""
    team, reviewer, second = people
    approval = ask(team, requirements={"count": 2})
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    page.locator("#act-modify > summary").click()
    page.locator("[name=args-amount]").fill("a lot")
    page.locator("#modify-message").fill("a long reason")
    page.get_by_role("button", name="Approve with 1 change").click()
    expect(page.locator("[name=args-amount]")).to_have_attribute("aria-invalid", "true")
    decide(approval, second)  # the first of two votes: it still waits
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(page.locator("[name=args-amount]")).to_have_value("a lot")
    expect(page.locator("#modify-message")).to_have_value("a long reason")


def test_the_text_of_the_slower_reviewer_stays_when_the_decision_is_handed_over(open_as, people):
    team, reviewer, second = people
    approval = ask(team)
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    page.locator("#act-reject > summary").click()
    page.locator("#reject-message").fill("the stain was on the photo")
    decide(approval, second)
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    page.locator("#act-reject .btn.solid").click()
    expect(page.get_by_text("Your text is kept")).to_be_visible()
    Approval.objects.filter(pk=approval.pk).update(revision=F("revision") + 1)
    approval.refresh_from_db()
    push("approval", approval.pk, approval.revision)
    assert flush()
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(page.get_by_label("Message")).to_have_value("the stain was on the photo")


def test_it_takes_the_panel_along_while_nobody_types(open_as, people):
    team, reviewer, second = people
    approval = ask(team)
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    decide(approval, second, "reject", message="No.")
    expect(page.locator("#panel")).to_contain_text("Rejected by Sam Ashby")
    expect(page.locator("#panel form")).to_have_count(0)
    expect(page.locator("#announce")).to_have_text("Rejected by Sam Ashby")
    expect(page.locator("#announce")).to_have_attribute("aria-live", "assertive")  # it was another's decision


def test_it_says_offline_and_catches_up_afterwards(open_as, people, web):
    team, reviewer, second = people
    approval = ask(team)
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    web.kill("web", signal.SIGKILL)
    expect(page.locator("#wire")).to_have_text("Offline")
    expect(page.locator("#offline")).to_be_visible()
    post(approval, second)
    web.restart("web")
    expect(page.locator("#wire")).to_have_text("Live", timeout=30_000)
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#panel")).to_contain_text("Approved by Sam Ashby")


def test_what_is_grave_cannot_be_approved_while_the_connection_is_lost(open_as, people, web):
    team, reviewer, _second = people
    approval = ask(team, risk="high", reason="The tent arrived torn.")
    page = open_as(reviewer, page_of(approval))
    is_live(page)
    approve = page.get_by_role("button", name=re.compile("Approve refund"))
    page.get_by_role("heading", name="Why").scroll_into_view_if_needed()
    expect(page.get_by_text("Still to do: Reason, kept on record.")).to_be_visible(timeout=20_000)
    page.get_by_label("Reason, kept on record").first.fill("Checked.")
    expect(approve).not_to_have_attribute("aria-disabled", "true")
    web.kill("web", signal.SIGKILL)
    expect(approve).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("The connection is lost. What stands here may be old")).to_be_visible()
    approve.click(force=True)
    web.restart("web")
    expect(page.locator("#wire")).to_have_text("Live", timeout=30_000)
    expect(approve).not_to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("You can approve now.")).to_be_visible()
    assert not Decision.objects.filter(approval=approval).exists()
    expect(page.get_by_label("Reason, kept on record").first).to_have_value("Checked.")
    approve.click()
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")


def test_it_keeps_what_was_typed_when_the_session_ends(open_as, people):
    team, reviewer, _second = people
    page = open_as(reviewer, page_of(ask(team)))
    is_live(page)
    page.keyboard.press("r")
    page.locator("#reject-message").fill("a long reason")
    Session.objects.all().delete()  # nobody else is signed in meanwhile
    page.locator("#act-reject .btn.solid").click()
    expect(page.locator("#signed-out")).to_be_visible()
    expect(page.locator("#reject-message")).to_have_value("a long reason")
    expect(page.locator("#wire")).to_have_text("Signed out")


def test_it_keeps_hostile_text_inert(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, reason=EVIL, subject=EVIL, args={"order_id": EVIL, "amount": "1.00", "note": EVIL}, args_schema=None)
    for address in ("/", page_of(approval)):
        page = open_as(reviewer, address)
        is_live(page)
        again = ask(team, reason=EVIL, args={"order_id": EVIL}, args_schema=None)
        if address == "/":
            expect(row_of(page, again)).to_be_visible()
        assert page.evaluate("window.hacked") is None
        assert page.locator("#approval [hx-get], #rows [hx-get], #approval img, #rows img, [href^='javascript']").count() == 0
        assert Approval.objects.get(pk=again.pk).is_pending


def test_it_decides_without_javascript(open_as, people):
    team, reviewer, _second = people
    approve, modify, reject = (ask(team) for _number in range(3))
    page = open_as(reviewer, page_of(approve), java_script_enabled=False)
    approving(page)
    expect(page.locator("#panel")).to_contain_text("Approved by Robin Vale")
    page.goto(page_of(modify))
    page.locator("#act-modify > summary").click()
    page.locator("[name=args-amount]").fill("1.00")
    page.locator("#modify .btn.solid").click()
    expect(page.locator("#panel")).to_contain_text("Modified by Robin Vale")
    page.goto(page_of(reject))
    page.locator("#act-reject > summary").click()
    page.locator("#reject-message").fill("No.")
    page.locator("#act-reject .btn.solid").click()
    expect(page.locator("#panel")).to_contain_text("Rejected by Robin Vale")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_can_be_read_and_used_by_everybody(open_as, people, width, scheme):
    team, reviewer, second = people
    medium, critical = (ask(team, risk=risk, reason="Because.", subject="A letter") for risk in ("medium", "critical"))
    doubt = ask(team, kind="in_doubt", allowed=["respond"], answer_schema={"enum": ["happened", "did_not_happen", "retry"]})
    decided = ask(team)
    decide(decided, second)
    page = open_as(reviewer, "/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address in ("/", "/?status=done", *map(page_of, (medium, critical, doubt, decided))):
        page.goto(address)
        is_live(page)
        if page.locator("#act-modify").count():
            page.locator("#act-modify > summary").click()
        found = Axe().run(page, options=AXE).response["violations"]
        assert [(address, each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} scrolls sideways at {width}"


def test_what_is_grave_can_be_approved_once_all_on_its_list_is_done(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, risk="high", reason="The tent arrived torn.")
    photos = "".join(f'<details id="e-{n}" data-evidence><summary>Photo {n}</summary>A tent.</details>' for n in (1, 2))

    page = open_as(reviewer, "/")
    page.add_init_script(
        """new MutationObserver(() => {
          if (!document.getElementById("e-1")) document.querySelector("#approval")?.insertAdjacentHTML("beforeend", `PHOTOS`);
        }).observe(document, { childList: true, subtree: true });""".replace("PHOTOS", photos)
    )
    page.goto(page_of(approval))
    is_live(page)
    panel = page.get_by_role("complementary", name="Your decision")
    before = panel.get_by_role("region", name="Before you approve")
    approve = panel.get_by_role("button", name=re.compile("Approve refund"))
    expect(before.get_by_role("listitem").filter(has_text="Evidence opened")).to_contain_text("0 of 2")
    expect(before.get_by_role("checkbox")).to_have_count(0)
    expect(before.get_by_role("status")).to_have_text(
        "Still to do: Evidence opened, Reason, kept on record, Looked at for 3 s."
    )
    expect(approve).to_have_attribute("aria-disabled", "true")
    before.get_by_label("Reason, kept on record").fill("Checked.")
    approve.click(force=True)
    expect(page.locator("#e-1 summary")).to_be_focused()  # it leads to what is missing
    page.locator("#e-1 summary").click()
    page.locator("#e-2 summary").click()
    page.locator("#e-1 summary").click()  # closed again: it was open
    expect(before.get_by_role("listitem").filter(has_text="Evidence opened")).to_contain_text("2 of 2")
    expect(before.get_by_role("listitem").filter(has_text="Looked at")).to_contain_text("to do")
    expect(before.get_by_text("3 of 3 done")).to_be_visible(timeout=20_000)
    expect(before.get_by_role("status")).to_have_text("You can approve now.")
    approve.click()
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")
    entry = AuditEntry.objects.get(action="approval.decided", object_id=str(approval.pk))
    assert entry.content.body["opened"] == ["e-1", "e-2"]
