"""The preview beside a decision: asked for by a button, shown when a worker has said it, without a trace in the form."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from agentdesk.live.push import flush
from approvals import previews
from approvals.models import Preview, Tool
from tests.approvals.cast import make_approval, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import HTMX


def can_say(team):
    Tool.objects.get_or_create(agent="support", name="issue_refund", defaults={"team": team, "dry_run": True})


def ask(client, approval, *, htmx=True):
    return client.post(reverse("approvals:ask_preview", args=[approval.pk]), headers=HTMX if htmx else {})


def part(client, approval):
    return client.get(reverse("approvals:preview_of", args=[approval.pk])).text


def test_it_is_offered_where_the_tool_can_say_and_to_who_decides(browse, reviewer, stranger, team, approval):
    page = reverse("approvals:panel", args=[approval.pk])
    assert "Show what it would do" not in browse(reviewer).get(page).text
    can_say(team)
    assert "Show what it would do" in browse(reviewer).get(page).text
    reader = browse(make_user(team, role="operator"))
    assert "Show what it would do" not in part(reader, approval)
    assert ask(reader, approval).status_code == 403
    assert ask(browse(stranger), approval).status_code == 404
    assert browse(stranger).get(reverse("approvals:preview_of", args=[approval.pk])).status_code == 404
    assert not Preview.objects.exists()


def test_it_goes_from_asked_to_said(browse, reviewer, team, approval):
    can_say(team)
    client = browse(reviewer)
    assert "A worker is asking the tool" in ask(client, approval).text
    would = {"refund": "240.00", "note": "<b>now</b>", "api_key": "sk-live-0123456789abcdefghijkl"}
    previews.done(approval.pk, previews.of(approval).revision, would=would)
    said = part(client, approval)
    assert "Said by the tool itself, without doing it." in said
    assert "&lt;b&gt;now&lt;/b&gt;" in said
    assert "sk-live-0123456789" not in said
    assert "Ask the tool again" in said


def test_what_went_wrong_is_said_and_a_lost_one_can_be_asked_for_again(browse, reviewer, team, approval):
    can_say(team)
    client = browse(reviewer)
    ask(client, approval)
    Preview.objects.update(asked_at=timezone.now() - previews.LOST)
    assert "No worker answered. Ask again." in part(client, approval)
    assert "A worker is asking the tool" in ask(client, approval).text
    error = {"kind": "no_account", "message": "There is no such <account>.", "hint": "Ask for it."}
    previews.done(approval.pk, previews.of(approval).revision, error=error)
    assert "There is no such &lt;account&gt;. Ask for it." in part(client, approval)


def test_it_works_without_javascript_and_ends_with_the_decision(browse, reviewer, team, approval):
    can_say(team)
    client = browse(reviewer)
    assert ask(client, approval, htmx=False)["Location"] == reverse("approvals:detail", args=[approval.pk])
    decide(approval, reviewer)
    refused = ask(client, approval)
    assert (refused.status_code, "Nobody can say beforehand" in refused.text) == (409, True)


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_comes_live_and_leaves_what_is_typed_alone(open_as, width, scheme):
    team = make_team("Support")
    robin = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    can_say(team)
    approval = make_approval(team)
    assert flush()
    look = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = open_as(robin, f"/approvals/{approval.pk}/", **look)
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    decision = page.get_by_role("complementary", name="Your decision")
    decision.locator("summary", has_text="Reject refund").click()
    decision.get_by_label("Reason: the agent reads it").fill("Let me see first")
    decision.get_by_role("button", name="Show what it would do").press("Enter")
    expect(decision.get_by_text("A worker is asking the tool")).to_be_visible()
    previews.done(approval.pk, previews.of(approval).revision, would={"refund": "240.00 EUR", "order": "A-1"})
    assert flush()
    expect(decision.get_by_role("region", name="What the tool says")).to_contain_text("240.00 EUR")
    expect(decision.get_by_label("Reason: the agent reads it")).to_have_value("Let me see first")
    expect(decision.get_by_text("This approval changed since you began")).to_be_hidden()
    page.evaluate("scrollTo(0, 0)")
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]}).response["violations"]
    assert [(each["id"], node["html"]) for each in found for node in each["nodes"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=f"/tmp/shots/preview-{width}.png", full_page=True)
