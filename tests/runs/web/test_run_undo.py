"""Undoing a call from the page of its run, and from the outcome of its approval."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from agentdesk.digests import encode
from approvals.models import Tool
from runs.models import Run, ToolCall
from runs.states import CallStatus
from tests.runs.web.conftest import make_cast, told

SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "receipt": {"type": "string"}},
    "required": ["receipt"],
}
WHY = "Robin meant the other order."


def undone_by(cast):
    """Let refunds be taken back for a year by a tool that takes the receipt and the order."""
    Tool.objects.create(agent="support", team=cast.team, name="cancel_refund", schema=encode(SCHEMA), schema_version="1")
    Tool.objects.filter(name="issue_refund").update(undo_tool="cancel_refund", undo_seconds=365 * 86_400)


def browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def address(refund):
    return reverse("runs:undo", args=[refund.run.pk, refund.call.pk])


def test_it_is_offered_beside_the_run_and_with_the_outcome_where_something_undoes_it(cast, refund):
    client = browser_of(cast.reviewer)
    pages = [reverse("runs:panel", args=[refund.run.pk]), reverse("approvals:card", args=[refund.approval.pk])]
    assert not any(address(refund) in client.get(page).text for page in pages)
    undone_by(cast)
    assert all(address(refund) in client.get(page).text for page in pages)


def test_the_page_says_what_would_be_called_and_starts_it_once(cast, refund):
    undone_by(cast)
    client = browser_of(cast.operator)
    page = client.get(address(refund)).text
    assert "Undo: Issue refund 212.50 EUR for order 47986" in page
    assert "cancel_refund" in page
    assert "rf_88213" in page
    for _time in range(2):
        answer = client.post(address(refund), {"reason": WHY})
        made = Run.objects.get(undoes=refund.call)
        assert answer["Location"] == reverse("runs:detail", args=[made.pk])
    message = made.input["messages"][0]
    assert message["content"] == WHY
    assert message["tool_calls"][0]["args"] == {"order_id": "47986", "receipt": "rf_88213"}
    assert "is being undone" in client.get(reverse("runs:panel", args=[refund.run.pk])).text
    assert "It is being undone." in client.get(address(refund)).text
    assert address(refund).split("calls")[0] in client.get(reverse("runs:panel", args=[made.pk])).text


def test_without_a_reason_nothing_starts_and_what_was_typed_stays(cast, refund):
    undone_by(cast)
    answer = browser_of(cast.operator).post(address(refund), {"reason": "x" * 2001})
    assert (answer.status_code, "Say why, in at most 2000 characters." in answer.text) == (422, True)
    assert f">{'x' * 2001}</textarea>" in answer.text
    assert not Run.objects.filter(undoes__isnull=False).exists()


def test_where_it_cannot_be_undone_the_page_says_why(cast, refund):
    client = browser_of(cast.operator)
    assert "Nothing undoes a call of this tool." in client.get(address(refund)).text
    undone_by(cast)
    ToolCall.objects.filter(pk=refund.call.pk).update(result={"shown": "no receipt", "exact": []})
    assert "cancel_refund needs receipt" in client.get(address(refund)).text
    refused = client.post(address(refund), {"reason": WHY})
    assert (refused.status_code, "cancel_refund needs receipt" in refused.text) == (409, True)
    ToolCall.objects.filter(pk=refund.call.pk).update(status=CallStatus.UNDONE)
    assert "This was undone already." in client.get(address(refund)).text


def test_others_do_not_find_it(cast, refund):
    undone_by(cast)
    stranger = browser_of(cast.stranger)
    assert stranger.get(address(refund)).status_code == 404
    assert stranger.post(address(refund), {"reason": WHY}).status_code == 404
    other = reverse("runs:undo", args=[refund.run.pk, refund.run.pk])
    assert browser_of(cast.operator).get(other).status_code == 404


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_it_is_asked_for_in_the_browser(signed_in):
    cast = make_cast()
    refund = told(cast)
    undone_by(cast)
    page = signed_in(cast.operator, f"/runs/{refund.run.pk}/")
    page.get_by_role("complementary", name="Facts").get_by_role("link", name="Undo: Issue refund 212.50 EUR").click()
    expect(page.get_by_role("heading", name="What would undo it")).to_be_visible()
    problems = []
    for width, scheme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa", "best-practice"]}).response["violations"]
        problems += [(width, one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            problems.append((width, "wider than the screen", []))
        page.screenshot(path=f"/tmp/shots/undo-{width}.png", full_page=True)
    assert problems == []
    page.get_by_label("Why").fill(WHY)
    page.get_by_role("button", name="Ask for the undo").press("Enter")
    expect(page.get_by_text("The undo is on its way.")).to_be_visible()
    page.get_by_role("complementary", name="Facts").get_by_role("link", name="Issue refund").click()
    expect(page.get_by_text("is being undone")).to_be_visible()
