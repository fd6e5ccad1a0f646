"""What a stranger writes into a ticket is shown as they wrote it, on every page, and nothing of it happens."""

import re

import pytest
from playwright.sync_api import Dialog, Page, Request, expect

from agentdesk.people.models import Team
from approvals.models import Approval
from tests.cast import make_approval
from tests.e2e.conftest import SOON, act, inbox_link, is_live, panel, start

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MADE_OF_IT = "img[onerror], [hx-get='/x'], [hx-get*=logout], [href^='javascript' i]"
SCRIPTS = "[...document.scripts].filter((script) => script.textContent.includes('owned')).length"


class Watch:
    """What a page must not do: open a dialog, ask for an address that a ticket names, change its title."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        page.on("dialog", self.dismiss)
        page.on("request", self.note)

    def dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def note(self, request: Request) -> None:
        if re.search(r"/logout/|/x$|collector", request.url):
            self.requests.append(request.url)

    def look(self, address: str) -> None:
        """Open the page, give whatever is in it the time to act, and see that it did not."""
        self.page.goto(address)
        if not address.startswith("/admin/"):
            is_live(self.page)
        self.page.evaluate("document.querySelectorAll('main details').forEach((details) => (details.open = true))")
        self.page.wait_for_timeout(300)
        assert self.page.title() != "owned", address
        assert self.page.locator(MADE_OF_IT).count() == 0, address
        assert self.page.evaluate(SCRIPTS) == 0, address
        assert (self.dialogs, self.requests) == ([], []), address


@pytest.fixture
def watch(desk, open_as) -> Watch:
    return Watch(open_as(desk, "admin"))  # its page fails the test over anything the security policy blocks


@pytest.mark.parametrize(
    ("ticket", "sender", "seen"),
    [("T-1034", "fiona.macleod@example.org", "<div hx-get="), ("T-1047", "leila.farahani@example.net", "<b hx-get=")],
)
def test_a_hostile_ticket_does_nothing_anywhere(desk, watch, open_as, ticket, sender, seen):
    reviewer = Watch(open_as(desk, "reviewer"))
    is_live(reviewer.page)
    run = start(ticket)
    row = inbox_link(reviewer.page, f"Send email to {sender}")
    expect(row).to_be_visible(timeout=SOON)
    approval = Approval.objects.filter(source_ref=run).latest("requested_at")

    reviewer.look(f"/approvals/{approval.pk}/")
    expect(reviewer.page.get_by_role("region", name="What the run is about")).to_contain_text(seen)
    for address in ("/", "/approvals/?status=done", "/runs/", f"/runs/{run}/", f"/audit/?run={run}"):
        watch.look(address)
    watch.look(f"/admin/approvals/approval/{approval.pk}/change/")
    watch.page.goto("/")

    reviewer.page.goto(f"/approvals/{approval.pk}/")
    reject = act(reviewer.page, re.compile("^Reject "))
    evil = "<script>document.title='owned'</script><img src=x onerror=\"alert(1)\">"
    reject.get_by_label("Reason: the agent reads it").fill(evil)
    reject.get_by_role("button", name=re.compile("^Reject")).click()
    expect(panel(reviewer.page, "Outcome")).to_contain_text(evil)
    reviewer.look(f"/approvals/{approval.pk}/")
    watch.look(f"/runs/{run}/")
    expect(watch.page.get_by_text(evil).first).to_be_visible()
    watch.look(f"/audit/?run={run}")


def test_hostile_arguments_do_nothing_anywhere(desk, watch):
    evil = "<script>document.title='owned'</script> <b hx-get='/x' hx-trigger='load'>b</b> <img src=x onerror=alert(1)>"
    args = {"order_id": evil, evil: evil, "link": "javascript:alert(1)", "list": [evil]}
    texts = dict.fromkeys(("description", "reason", "subject"), evil)
    team = Team.objects.get(slug="support")
    made = make_approval(team, source="api", action=evil, args=args, args_schema=None, **texts)
    for address in ("/", f"/approvals/{made.pk}/", f"/admin/approvals/approval/{made.pk}/change/", "/audit/"):
        watch.look(address)
    watch.page.goto(f"/approvals/{made.pk}/")
    expect(watch.page.get_by_text("<b hx-get='/x'").first).to_be_visible()
