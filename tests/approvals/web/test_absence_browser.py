"""Being away in a browser, as docs/reviewer.md tells it, and taking over what somebody had approved in advance."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from agentdesk.audit.record import Actor
from agentdesk.people.leaving import leave
from agentdesk.people.models import Absence, Membership, day_words
from approvals import tasks, triage
from approvals.models import Claim, StandingApproval
from tests.approvals.cast import make_approval, make_team, make_user
from tests.approvals.test_standing import make
from tests.approvals.web.test_standing_browser import check
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GUIDE = (CHECKOUT / "docs/reviewer.md").read_text()
SCREENS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]


def named_under(heading):
    """What is bold in a part of the guide, each once, in its order."""
    part = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [*dict.fromkeys(re.findall(r"\*\*([^*]+)\*\*", re.sub(r"\s+", " ", part)))]


@pytest.fixture
def people(web):
    team = make_team("Support")
    return team, *(make_user(team, name=name.lower(), first_name=name) for name in ("Robin", "Sam", "Kim"))


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_somebody_new_can_be_away_and_come_back(open_as, people, width, scheme):
    team, robin, sam, kim = people
    approval = make_approval(team, risk="low")
    triage.claim(approval.pk, actor=Actor.of(robin, "web"), seen=0)
    profile, be_away, first, last, stand_in, save, table, assign, who_decides, marked, end = named_under("Be away")
    size = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = open_as(robin, "/approvals/", **size)
    page.get_by_label("Menu of Robin").click()
    page.get_by_role("link", name=profile, exact=True).click()
    page.get_by_role("link", name=be_away).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(be_away)
    day = timezone.now().date()
    page.get_by_label(first).fill((day + timedelta(days=3)).isoformat())
    page.get_by_label(last).fill((day + timedelta(days=2)).isoformat())
    page.get_by_role("button", name=save).click()
    expect(page.get_by_text("This is before the first day.")).to_be_visible()
    check(page, f"away-refused-{width}-{scheme}")
    page.get_by_label(first).fill(day.isoformat())
    page.get_by_label(stand_in).select_option(label="Sam")
    page.get_by_role("button", name=save).click()
    row = page.get_by_role("region", name=table).get_by_role("row", name=re.compile("Sam"))
    expect(row.get_by_role("button", name=end)).to_be_visible()
    check(page, f"away-{width}-{scheme}")

    tasks.sweep()
    assert Claim.objects.get(pk=approval.pk).user == sam
    until = day_words(day + timedelta(days=2))
    beside = open_as(kim, f"/approvals/{approval.pk}/", **size)
    panel = beside.get_by_role("complementary", name="Your decision")
    expect(panel.get_by_role("heading", name=who_decides)).to_be_visible()
    expect(panel.get_by_text(f"(away until {until}; Sam stands in)")).to_be_visible()
    beside.locator("summary", has_text=assign).click()
    beside.get_by_label("To whom").select_option(label=f"Robin (away until {until}; Sam stands in)")
    beside.get_by_role("button", name="Assign it").click()
    expect(beside.get_by_role("alert").filter(has_text="Sam stands in: assign it to them.")).to_be_visible()
    check(beside, f"away-assign-{width}-{scheme}")

    page.goto("/approvals/")
    expect(page.get_by_text(re.compile(f"^{marked} until {until}"))).to_be_visible()
    check(page, f"away-inbox-{width}-{scheme}")
    page.get_by_role("button", name=end).click()
    expect(page.get_by_text("You are not away then any more.")).to_be_visible()
    assert Absence.objects.get(user=robin).cancelled_at is not None


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_teams_page_warns_of_days_without_a_reviewer(open_as, people, width, scheme):
    team, *reviewers = people
    day = timezone.now().date()
    for number, person in enumerate(reviewers):
        other = reviewers[number - 1]
        Absence.objects.create(user=person, stand_in=other, begins_on=day, ends_on=day + timedelta(days=number))
        Absence.objects.create(user=person, begins_on=day + timedelta(days=5), ends_on=day + timedelta(days=7 + number))
    page = open_as(reviewers[0], f"/teams/{team.slug}/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    expect(page.get_by_text("All reviewers of this team are away now")).to_be_visible()
    expect(page.get_by_text("No reviewer is there on these days:")).to_be_visible()
    check(page, f"away-team-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_somebody_new_takes_over_what_was_approved_in_advance(open_as, people, width, scheme):
    team, robin, sam, kim = people
    given = make(team, robin)
    Membership.objects.filter(user=robin).delete()
    leave(robin, to=sam, actor=Actor.of(kim, "admin"))
    listing, accept, let_end = named_under("Take over what was approved in advance")
    page = open_as(sam, "/approvals/standing/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_have_text(listing)
    expect(page.get_by_text("Kim handed this over to you, because Robin left.")).to_be_visible()
    expect(page.get_by_role("button", name=let_end)).to_be_visible()
    check(page, f"offered-{width}-{scheme}")
    page.get_by_role("button", name=accept).click()
    expect(page.get_by_text("Taken over by Sam.")).to_be_visible()
    check(page, f"taken-{width}-{scheme}")
    assert StandingApproval.objects.get(taken_from=given).owner == sam
