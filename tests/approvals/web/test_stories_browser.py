"""The reviewer's stories beside the first one (tests/e2e/test_reviewer.py): several deciders, time that runs out, a phone."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from agentdesk.live.push import flush
from approvals import decisions
from approvals.models import Approval, Decision, Review
from tests.approvals.cast import make_approval, make_team, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def people(web):
    team = make_team("Support")
    reviewer = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    return team, reviewer, make_user(team, name="sam", first_name="Sam", last_name="Ashby")


def ask(team, **facts):
    approval = make_approval(team, **{"risk": "low", **facts})
    assert flush()
    return approval


def panel(page, name="Your decision"):
    return page.get_by_role("complementary", name=name)


def is_live(page):
    expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()


def test_the_second_of_two_sees_the_first_ones_edit_and_their_votes_meet_there(open_as, people):
    team, reviewer, second = people
    third = make_user(team, name="kim", first_name="Kim", last_name="Noor")
    approval = ask(team, requirements={"count": 2})
    address = f"/approvals/{approval.pk}/"
    first, other, last = (open_as(user, address) for user in (reviewer, second, third))
    for page in (first, other, last):
        is_live(page)
        expect(panel(page)).to_contain_text("0 of 2 approvals")

    panel(first).get_by_role("button", name=re.compile("^Approve refund 240.00")).click()
    expect(panel(other)).to_contain_text("1 of 2 approvals")
    expect(panel(other).get_by_role("listitem").filter(has_text="Robin Vale")).to_be_visible()

    panel(other).get_by_text("Modify refund").click()
    panel(other).get_by_label(re.compile("^Amount")).fill("200.00")
    panel(other).get_by_role("button", name="Approve with 1 change").click()
    earlier = panel(last).get_by_role("listitem").filter(has_text="Robin Vale")
    expect(earlier).to_contain_text("for an earlier version, no longer counts")
    expect(panel(last)).to_contain_text("1 of 2 approvals")
    expect(last.get_by_role("main").get_by_text("200.00").first).to_be_visible()
    assert Approval.objects.get(pk=approval.pk).is_pending

    panel(last).get_by_role("button", name=re.compile("^Approve refund 200.00")).click()
    for page in (first, other, last):
        expect(panel(page, "Outcome")).to_contain_text("Sam Ashby")
    decision = Decision.objects.get(approval=approval)
    assert decision.args == {"order_id": "A-1", "amount": "200.00"}
    assert Review.objects.filter(approval=approval).count() == 3


def test_time_runs_out_under_the_reviewers_hands_and_their_text_stays(open_as, people):
    team, reviewer, _second = people
    approval = ask(team)
    page = open_as(reviewer, f"/approvals/{approval.pk}/")
    is_live(page)
    panel(page).locator("summary", has_text="Reject refund").click()
    reason = panel(page).get_by_label(re.compile("^Reason: the agent reads it"))
    reason.fill("The tent was not returned.")
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert decisions.expire_due() == 1
    assert flush()
    expect(page.get_by_text("This approval changed since you began.")).to_be_visible()
    expect(reason).to_have_value("The tent was not returned.")
    panel(page).get_by_role("button", name=re.compile("^Reject refund")).click()
    after = panel(page, "Outcome")
    expect(after).to_contain_text("Expired")
    expect(after.get_by_label("Message")).to_have_value("The tent was not returned.")
    assert Decision.objects.get(approval=approval).verdict == "expire"


def test_on_a_phone_the_arguments_come_first_and_the_decision_is_one_tap_away(open_as, people):
    team, reviewer, _second = people
    approval = ask(team, reason="The tent arrived torn. " * 60)
    page = open_as(reviewer, "/", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    is_live(page)
    page.get_by_role("main").get_by_role("link", name=re.compile("^Issue refund 240.00 for order A-1")).tap()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("Issue refund 240.00")
    arguments = page.get_by_role("table", name=re.compile("^Arguments of"))
    why = page.get_by_role("heading", name="Why", exact=True)
    tops = [part.bounding_box()["y"] for part in (heading, arguments, why)]
    assert tops == sorted(tops)
    assert arguments.bounding_box()["y"] < 844, "the arguments are on the first screen"
    actions = page.get_by_role("navigation", name="Actions")
    expect(actions).to_be_in_viewport()
    for link in actions.get_by_role("link").all():
        assert link.bounding_box()["height"] >= 44
    before = heading.bounding_box()
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(20, 300, steps=6)
    page.mouse.up()
    assert Approval.objects.get(pk=approval.pk).is_pending, "no swipe decides"
    assert heading.bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
