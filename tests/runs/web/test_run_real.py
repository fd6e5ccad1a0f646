"""An operator follows a run of the support agent on a real desk: workers, pushes, a person's decision."""

import json
import time

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.people.models import User
from approvals.decisions import decide
from approvals.models import Approval
from runs.models import Run
from runs.states import ENDED
from tests.services import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def ticket(number):
    found = json.loads((CHECKOUT / "examples/support/support/tickets.json").read_text())
    one = next(ticket for ticket in found if ticket["id"] == number)
    head = f"Ticket: {one['id']}\nFrom: {one['sender']}\nDate: {one['received_on']}\nSubject: {one['subject']}"
    return f"{head}\n\n{one['body']}"


def pending(run, action):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        asked = Approval.objects.filter(source_ref=str(run.pk), action=action, status="pending").first()
        if asked is not None:
            return asked
        time.sleep(0.1)
    raise AssertionError(f"{action} was not asked; the run is {Run.objects.get(pk=run.pk).status}")


def test_it_is_followed_by_an_operator(desk, new_page):
    client = Client()
    client.force_login(User.objects.get(username="operator"))
    page = new_page(base_url=desk.url, viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": desk.url}])
    page.goto("/runs/start/?agent=support")
    page.get_by_label("What should the agent do").fill(ticket("T-1003"))
    page.get_by_role("button", name="Start Support agent").click()
    expect(page.locator("#run .state")).to_have_text("Waiting for people")

    run = Run.objects.get(pk=page.url.rstrip("/").rsplit("/", 1)[1])
    asked = pending(run, "issue_refund")
    expect(page.locator("#story")).to_contain_text("Waits for people")
    args = decode(asked.args) | {"amount": "1.00"}
    reviewer = Actor.of(User.objects.get(username="reviewer"), "web")
    decide(asked.pk, actor=reviewer, verdict="modify", digest=asked.digest, version=asked.version, args=args, message="One.")
    expect(page.locator("#story")).to_contain_text("Issue refund 1.00 EUR for order 48119 ran. What ran is what was approved.")
    mail = pending(run, "send_email")
    decide(mail.pk, actor=reviewer, verdict="reject", digest=mail.digest, version=mail.version, message="No mail.")
    expect(page.locator("#run .state")).to_have_text("Succeeded")
    expect(page.locator("#panel")).to_contain_text("run.succeeded")
    assert Run.objects.get(pk=run.pk).status in ENDED

    fresh = page.context.new_page()
    fresh.goto(page.url)
    for part in ("run", "story", "calls"):  # what was pushed is what a fresh page shows
        expect(page.locator(f"#{part}")).to_have_text(fresh.locator(f"#{part}").text_content() or "")
    told = " ".join((page.locator("#story").text_content() or "").split())
    order = ["Search customer", "Waited for people", "changed amount 45.90 1.00", "1.00 EUR for order 48119 ran", "rejected"]
    places = [told.find(words) for words in order]
    assert -1 not in places, told
    assert places == sorted(places)
    refund = page.locator("#calls tr", has_text="issue_refund")
    expect(refund).to_contain_text("45.90")
    expect(refund).to_contain_text("same digest")
    for action in ("call.executing", "approval.decided", "run.started"):
        expect(page.locator("#panel")).to_contain_text(action)
