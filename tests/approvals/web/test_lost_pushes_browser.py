"""Pushes that are lost on the way from the broker: what open pages show is right all the same, a few seconds later."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from approvals import triage
from approvals.comments import comment
from tests.approvals.cast import make_approval, make_team, make_user, post
from tests.approvals.web.conftest import web_desk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SOME, ALL = 5.0, 30.0  # seconds in which a list has to be right when a fifth of the pushes is lost, or all of them
SHOWN = """() => {
  const rows = document.querySelectorAll("[data-row]:not([data-gone])");
  return [...rows].map((row) => `${row.id} ${row.dataset.v}`).sort().join();
}"""


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    (folder / "lose").mkdir()
    return folder


@pytest.fixture(scope="module")
def web_process(django_db_setup, django_db_blocker, tmp_path_factory, losses):
    """As elsewhere, but with a process that loses what it is told to lose."""
    with web_desk(tmp_path_factory.mktemp("web"), django_db_blocker, AGENTDESK_FAULTS=str(losses)) as desk:
        yield desk


@pytest.fixture(params=[0.2, 1.0], ids=["a fifth", "all"])
def within(request, losses):
    """Lose a share of the pushes. Gives the seconds in which pages have to be right."""
    share = losses / "lose/push.heard"
    share.write_text(str(request.param))
    yield ALL if request.param == 1.0 else SOME
    share.unlink()


@pytest.fixture
def people(web):
    team = make_team("Support")
    reviewer = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    return team, reviewer, make_user(team, name="sam", first_name="Sam", last_name="Ashby")


def is_live(page: Page) -> None:
    expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible()


def test_the_list_is_that_of_a_fresh_load(within, open_as, people):
    team, reviewer, second = people
    approvals = [make_approval(team, risk="high", args={"order_id": f"L-{n}", "amount": "1.00"}) for n in range(6)]
    page, fresh = open_as(reviewer, "/"), open_as(reviewer, "/")
    is_live(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for approval in approvals[:3]:
        post(approval, second, verdict="reject", reason="Not this one.")
    triage.claim(approvals[3].pk, actor=Actor.of(second, "web"), seen=0)
    triage.claim(approvals[4].pk, actor=Actor.of(second, "web"), seen=0)
    triage.release(approvals[4].pk, actor=Actor.of(second, "web"), seen=1)
    for n in range(6, 10):
        make_approval(team, risk="high", args={"order_id": f"L-{n}", "amount": "1.00"})
    assert flush()
    began = time.monotonic()
    fresh.reload()
    right = fresh.evaluate(SHOWN)
    assert right.count(",") == 6
    left = within - (time.monotonic() - began)
    page.wait_for_function(f"(right) => ({SHOWN})() === right", arg=right, timeout=left * 1000)
    assert time.monotonic() - began <= within
    assert [url for url in requests if "/rows/" in url] == [], "the rows came to the page: it did not load its list again"
    expect(page.get_by_role("banner").get_by_role("link", name=re.compile("^Inbox"))).to_contain_text("7")


def test_the_decision_page_shows_claim_comment_and_decision(within, open_as, people):
    team, reviewer, second = people
    approval = make_approval(team, risk="high", args={"order_id": "L-20", "amount": "1.00"})
    page = open_as(reviewer, f"/approvals/{approval.pk}/")
    is_live(page)
    comment(approval.pk, "The tent is on its way back.", actor=Actor.of(second, "web"))
    triage.claim(approval.pk, actor=Actor.of(second, "web"), seen=0)
    assert flush()
    soon = within * 1000
    expect(page.get_by_text("The tent is on its way back.")).to_be_visible(timeout=soon)
    expect(page.get_by_text("Sam Ashby has claimed this until")).to_be_visible(timeout=soon)
    approval.refresh_from_db()
    post(approval, second, verdict="reject", reason="Not this one.")
    assert flush()
    began = time.monotonic()
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Rejected by Sam Ashby", timeout=soon)
    expect(page.get_by_role("article")).to_contain_text("Rejected", timeout=soon)
    assert time.monotonic() - began <= within
