"""People at their browsers, before a whole desk: real workers, the support agent, its shop and its mail."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from playwright.sync_api import Locator, Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from agentdesk.people.demo import PASSWORD
from agentdesk.people.models import User
from runs import lifecycle
from tests.desk import Desk
from tests.services import CHECKOUT

SOON = 40_000  # milliseconds until a worker on a busy machine has done something
WIDE = {"width": 1440, "height": 900}
TICKETS: dict[str, dict[str, str]] = {
    ticket["id"]: ticket for ticket in json.loads((CHECKOUT / "examples/support/support/tickets.json").read_text())
}

type OpenAs = Callable[..., Page]


def ticket_text(ticket_id: str) -> str:
    """The ticket as the agent reads it."""
    ticket = TICKETS[ticket_id]
    head = f"Ticket: {ticket['id']}\nFrom: {ticket['sender']}\nDate: {ticket['received_on']}\nSubject: {ticket['subject']}"
    return f"{head}\n\n{ticket['body']}"


def run_input(ticket_id: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": ticket_text(ticket_id)}]}


def start(ticket_id: str, **options: Any) -> str:
    """Let the support agent work on a ticket; return the run's id."""
    operator = User.objects.get(username="operator")
    run = lifecycle.start("support", run_input(ticket_id), actor=Actor.of(operator, "cli"), **options)
    assert flush()
    return str(run.pk)


def refunds_of(order_id: str) -> list[Decimal]:
    """What the shop has paid back for an order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT amount FROM support.refunds WHERE order_id = %s ORDER BY created_at", [order_id])
        return [row[0] for row in cursor.fetchall()]


def mails_to(desk: Desk, address: str) -> list[EmailMessage]:
    """What the agent has sent to an address."""
    found = []
    for path in sorted((desk.folder / "mail").glob("*")):
        for text in path.read_bytes().split(b"-" * 79 + b"\n"):
            if text.strip():
                found.append(message_from_bytes(text, _class=EmailMessage, policy=policy.default))
    return [mail for mail in found if mail["To"] == address]


def sign_in(page: Page, desk: Desk, username: str) -> Page:
    """Sign in as the how-tos say."""
    page.goto(desk.url)
    page.get_by_label("Login").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Inbox").first).to_be_visible()
    page.mouse.move(1, 1)  # new rows would wait while the pointer rests on the list
    return page


@pytest.fixture
def open_as(new_page: OpenAs) -> OpenAs:
    """Return a function that opens an address of a desk for a user who is signed in already."""

    def open_page(desk: Desk, username: str, address: str = "/", **options: Any) -> Page:
        client = Client()
        client.force_login(User.objects.get(username=username), backend="django.contrib.auth.backends.ModelBackend")
        page = new_page(**{"base_url": desk.url, "viewport": WIDE, **options})
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": desk.url}])
        page.goto(address)
        return page

    return open_page


def is_live(page: Page) -> None:
    expect(page.get_by_role("banner").get_by_text("Live", exact=True)).to_be_visible(timeout=SOON)


def fact(page: Page, name: str) -> Locator:
    """What a run's page says of the run under this name; its calls have states of their own."""
    named = page.get_by_role("main").locator("dl > div").filter(has=page.get_by_text(name, exact=True))
    return named.get_by_role("definition")


def inbox_link(page: Page, sentence: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("main").get_by_role("link", name=sentence)


def panel(page: Page, name: str = "Your decision") -> Locator:
    """The side of the decision page: "Your decision", later "Outcome"."""
    return page.get_by_role("complementary", name=name)


def act(page: Page, summary: str | re.Pattern[str]) -> Locator:
    """Open one way to decide, return its part of the page."""
    opener = page.locator("summary", has_text=summary)
    part = panel(page).get_by_role("group").filter(has=opener)
    part.locator(opener).click()
    return part


def approve(page: Page) -> None:
    """Approve what is of medium risk: open what will happen, and confirm it there."""
    act(page, re.compile("^Approve")).get_by_role("button", name=re.compile("^Approve")).last.click()


def read_why(page: Page) -> None:
    """Open what is folded under "Why", as whoever approves at high risk does first."""
    for fold in page.get_by_role("article").get_by_role("region", name="Why").locator("summary").all():
        fold.click()


def approve_mail(page: Page, address: str) -> None:
    """The e-mail that ends a ticket waits too: open it from the inbox and approve it."""
    page.goto("/")
    page.mouse.move(1, 1)
    link = inbox_link(page, re.compile(f"Send email to {re.escape(address)}"))
    expect(link).to_be_visible(timeout=SOON)
    link.click()
    approve(page)
    expect(panel(page, "Outcome")).to_contain_text("Approved by")
    expect(page.get_by_text("What ran is what was approved.", exact=True)).to_be_visible(timeout=SOON)
