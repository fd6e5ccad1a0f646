"""The common pages in a browser: live or not, signed out, the audit page, the profile; readable by all."""

import os
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from django.db import connection
from playwright.sync_api import expect

from agentdesk.audit.record import Actor, record
from agentdesk.embedded.ports import LOOPBACK, free_port
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User
from tests.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror='alert(1)'>"


@pytest.fixture
def web(committed, tmp_path):
    """A web process over this test's database."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    desk = Desk(tmp_path, os.environ | {"AGENTDESK_URL": url, "AGENTDESK_STATE_DIR": str(tmp_path)}, ports={"web": port})
    try:
        yield desk.start_web("web")
    finally:
        desk.stop()


@pytest.fixture
def team(committed):
    team = Team.objects.create(slug="refunds", name="Refunds")
    for number in range(60):
        record(
            "approval.decided", actor=Actor.desk(), object_type="approval", object_id=new_id(), team_id=team.pk,
            object_label=f"refund {number}.00 EUR", before={"status": "pending"}, after={"status": "decided"},
            content={"message": HOSTILE},
        )  # fmt: skip
    return team


@pytest.fixture
def page(web, team, new_page):
    """Signed in as an operator who is an admin too."""
    user = User.objects.create_user("kim", password="long enough 42", first_name="Kim", last_name="Osei")
    for role in (Role.OPERATOR, Role.ADMIN):
        Membership.objects.create(user=user, team=team, role=role)
    connection.close()
    page = new_page(base_url=web)
    page.goto("/audit/")
    page.locator("input[name=login]").fill("kim")
    page.locator("input[name=password]").fill("long enough 42")
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/audit/")
    return page


def assert_readable_by_all(page):
    found = Axe().run(page, options=WCAG)
    assert found.response["violations"] == [], found.generate_report()


def test_it_reads_the_record(page):
    lines = page.locator("table.log tbody tr")
    expect(lines).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(lines).to_have_count(11)
    page.locator("#filter input[name=on]").fill("refund 17")
    page.get_by_role("button", name="Apply").click()
    expect(lines).to_have_count(1)
    lines.get_by_role("link").click()
    expect(page.locator("aside.panel")).to_contain_text(HOSTILE)
    assert "owned" not in page.title()
    assert page.locator("aside.panel img").count() == 0
    assert_readable_by_all(page)


def test_it_makes_a_token_after_the_password(page):
    page.goto("/profile/")
    assert_readable_by_all(page)
    page.get_by_label("What it is for").fill("nightly")
    page.get_by_role("button", name="Make a token").click()
    page.locator("input[name=password]").fill("long enough 42")
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_label("Token", exact=True)).to_have_value(re.compile(r"ad_[\w-]{43}"))
    assert_readable_by_all(page)
    page.get_by_role("button", name="Revoke nightly").click()
    expect(page.get_by_text("The token nightly is revoked.")).to_be_visible()


def test_it_keeps_the_chosen_theme(page):
    page.goto("/profile/")
    page.locator("summary").first.click()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_url("**/profile/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_it_says_that_it_is_live_until_the_session_ends(page):
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    Session.objects.all().delete()
    connection.close()
    expect(page.locator("#wire")).to_have_attribute("data-state", "ended")


def test_it_signs_out_by_the_menu_in_all_tabs(page):
    other = page.context.new_page()
    other.goto("/profile/")
    expect(other.locator("#wire")).to_have_attribute("data-state", "live")
    page.locator("summary").first.click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")
    expect(other.locator("#wire")).to_have_attribute("data-state", "ended")
