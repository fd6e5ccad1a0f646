"""The inbox's preview while its card comes, and when it does not."""

import pytest
from playwright.sync_api import expect

from tests.approvals.cast import make_approval, make_team, make_user


@pytest.fixture
def page_of_one(web, open_as):
    team = make_team()
    make_approval(team)
    page = open_as(make_user(team), "/profile/")
    return page


def test_lines_stand_in_for_the_card_until_it_comes(page_of_one):
    page = page_of_one
    waiting = []
    page.route("**/preview/", lambda route: waiting.append(route))
    page.goto("/approvals/")
    expect(page.locator("#preview-card .skeleton")).to_be_visible()
    expect(page.locator("#preview-card .empty")).to_be_hidden()
    while not waiting:
        page.wait_for_timeout(20)
    waiting[0].continue_()
    expect(page.locator("#preview-card #approval")).to_be_visible()
    expect(page.locator("#preview-card .skeleton")).to_have_count(0)


@pytest.mark.parametrize("answer", [{"status": 500, "body": "<p>broken</p>"}, None], ids=["an error", "no answer"])
def test_a_card_that_does_not_come_is_told_and_can_be_asked_for_again(page_of_one, answer):
    page = page_of_one
    page.route("**/preview/", lambda route: route.fulfill(**answer) if answer else route.abort())
    page.goto("/approvals/")
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.get_by_text("This did not load.")).to_be_visible()
    expect(preview.get_by_role("link", name="Open to decide")).to_be_hidden()
    page.unroute("**/preview/")
    preview.get_by_role("button", name="Try again").click()
    expect(preview.locator("#approval")).to_be_visible()
    expect(preview.get_by_text("This did not load.")).to_have_count(0)
