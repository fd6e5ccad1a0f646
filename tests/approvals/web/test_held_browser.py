"""Held decisions in a browser: they count down, one key takes one back, and the line above the inbox goes by itself; a grave
action can be approved once its reasons were on the screen."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from agentdesk.live.push import flush
from approvals import handover
from approvals.models import Decision, Tool
from tests.approvals.cast import make_approval, make_team, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def people(web):
    team = make_team("Support")
    return team, make_user(team, name="robin", first_name="Robin", last_name="Vale")


def ask(team, action, **facts):
    """An approval of a tool whose row says how long it is held; each test has a tool of its own."""
    approval = make_approval(team, action=action, reason="The tent arrived torn.", **facts)
    assert flush()
    return approval


def panel(page, name):
    return page.get_by_role("complementary", name=name)


def test_one_key_takes_back_what_is_held(open_as, people):
    team, robin = people
    Tool.objects.create(agent="support", team=team, name="hold_long", hold_seconds=600)
    approval = ask(team, "hold_long", risk="low")
    page = open_as(robin, f"/approvals/{approval.pk}/")
    panel(page, "Your decision").get_by_role("button", name=re.compile("Approve")).click()
    outcome = panel(page, "Outcome")
    expect(outcome).to_contain_text("Approved by Robin Vale, held")
    expect(outcome.get_by_role("button", name="Take it back")).to_be_visible()
    page.keyboard.press("z")
    expect(panel(page, "Your decision").get_by_role("button", name=re.compile("Approve"))).to_be_visible()
    expect(page.get_by_text("Robin Vale took the decision back.")).to_be_visible()


def test_the_line_above_the_inbox_counts_down_and_goes_by_itself(open_as, people):
    team, robin = people
    Tool.objects.create(agent="support", team=team, name="hold_short", hold_seconds=600)
    approval = ask(team, "hold_short", risk="low")
    page = open_as(robin, f"/approvals/{approval.pk}/")
    panel(page, "Your decision").get_by_role("button", name=re.compile("Approve")).click()
    expect(panel(page, "Outcome")).to_contain_text("held")
    page.clock.install()  # its ten minutes pass when this test says so
    page.goto("/")
    line = page.get_by_role("region", name="Held decisions of yours")
    expect(line).to_contain_text("counts in")
    expect(line.get_by_role("button", name="Take it back")).to_be_visible()
    Decision.objects.filter(approval=approval).update(release_at=timezone.now())
    page.clock.fast_forward(601_000)
    expect(line).to_be_hidden()
    handover.release_due()
    page.goto(f"/approvals/{approval.pk}/")
    expect(panel(page, "Outcome")).to_contain_text("Approved by Robin Vale")
    expect(page.get_by_role("button", name="Take it back")).to_have_count(0)


def test_a_grave_action_is_approved_once_its_reasons_were_on_the_screen(open_as, people):
    team, robin = people
    Tool.objects.create(agent="support", team=team, name="hold_none", hold_seconds=0)
    approval = ask(team, "hold_none", risk="high")
    page = open_as(robin, f"/approvals/{approval.pk}/", viewport={"width": 1440, "height": 320})  # they are below the fold
    decision = panel(page, "Your decision")
    approve = decision.get_by_role("button", name=re.compile("Approve"))
    expect(approve).to_be_disabled()
    decision.get_by_label("Reason, kept on record").first.fill("Checked.")
    page.keyboard.press("Tab")
    expect(approve).to_be_focused()  # what it waits for is read out
    expect(approve).to_have_accessible_description("Still to do: Looked at for 3 s.")
    page.keyboard.press("Enter")  # too early: it leads to the reasons instead
    expect(page.get_by_role("heading", name="Why")).to_be_in_viewport()
    expect(decision).to_be_visible()
    expect(approve).to_be_enabled(timeout=20_000)
    approve.click()
    expect(panel(page, "Outcome")).to_contain_text("Approved by Robin Vale")
