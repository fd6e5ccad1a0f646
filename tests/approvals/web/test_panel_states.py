"""The decision page in each of its states: what it says, what can still be done, and what is kept of what was typed."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.record import Actor
from approvals import decisions, requests, sources
from approvals.models import Approval
from tests.approvals.cast import make_approval, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import looked_at, post

TYPED = {"args-amount": "200.00", "args-order_id": "A-1", "message": "half of it"}


@pytest.fixture(autouse=True)
def at_once(settings):
    settings.HOLD_SECONDS = {}


@pytest.fixture
def client_of(browse, reviewer):
    return browse(reviewer)


def page_of(client, approval, name="detail"):
    return client.get(reverse(f"approvals:{name}", args=[approval.pk])).text


def expire(approval, second):
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    decisions.expire_due()


def withdraw(approval, second):
    requests.withdraw(approval.pk, Actor.desk(), "The run was cancelled.")


def supersede(approval, second):
    requests.supersede(approval.pk, Actor.desk())


@pytest.mark.parametrize(
    ("close", "status", "says"),
    [
        (decide, 409, ("Approved by Sam Ashby", "Somebody else was first.")),
        (expire, 410, ("Expired", "The time is up.")),
        (withdraw, 409, ("Withdrawn", "The run was cancelled.")),
        (supersede, 409, ("Superseded", "The agent asks something else at this place now.")),
    ],
)
def test_what_is_closed_says_how_has_no_form_and_keeps_what_was_typed(client_of, approval, second, close, status, says):
    close(approval, second)
    answer = post(client_of, approval, "modify", **TYPED)
    assert answer.status_code in (status, 409)
    for text in (*says, "Your text is kept", "half of it", "200.00", 'role="alert"'):
        assert text in answer.text, text
    panel = page_of(client_of, approval, "panel")
    assert says[0] in panel
    for gone in ("<form", "actbar", "Before you approve", "act-approve"):
        assert gone not in panel, gone
    assert 'id="h-decide"' in panel
    assert "Outcome" in panel


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"status": "executing"}, ("Running now",)),
        ({"status": "succeeded", "result": "refunded", "digest": "d", "approved_digest": "d"}, ("Done", "refunded")),
        ({"status": "failed", "error": {"message": "The bank refused the card."}}, ("Failed", "The bank refused the card.")),
        ({"status": "in_doubt"}, ("In doubt",)),
        ({"status": "denied"}, ("Denied, did not run",)),
    ],
)
def test_what_came_of_it_stands_on_the_card(client_of, team, second, monkeypatch, call, says):
    class Asker(sources.Source):
        def outcome(self, ref):
            told = {"result": None, "error": None, "args": {}, "digest": "", "approved_digest": ""} | call
            return {"run": {"id": str(approval.pk), "status": "running", "title": "T"}, "calls": {str(approval.pk): told}}

        def panels(self, ref):
            return []

        def preview_answer(self, approval, decision):
            return None

    monkeypatch.setitem(sources._sources, "tests", Asker())
    approval = make_approval(team, source="tests", source_ref="R-1")
    decide(approval, second)
    card = page_of(client_of, approval, "card")
    for text in ("What came of it", *says):
        assert text in card, text


def test_a_call_in_doubt_asks_what_happened_and_is_no_approval(client_of, team):
    doubt = make_approval(
        team, kind="in_doubt", allowed=["respond"], risk="critical",
        answer_schema={"enum": ["happened", "did_not_happen", "retry"]},
    )  # fmt: skip
    panel = page_of(client_of, doubt, "panel")
    assert "Look where the call would have left its trace" in panel
    assert 'href="#respond"' in panel
    for foreign in ("Before you approve", "different people", "Approve"):
        assert foreign not in panel, foreign


@pytest.mark.parametrize(
    ("risk", "links"),
    [
        ("low", ["Reject", "Modify", "Approve"]), ("medium", ["Reject", "Modify", "Approve"]),
        ("high", ["Reject", "Modify", "Approve: what is to do"]), ("critical", ["Reject", "Modify", "Approve: what is to do"]),
    ],
)  # fmt: skip
def test_the_bar_on_phones_leads_to_the_forms_and_decides_nothing(client_of, team, risk, links):
    panel = page_of(client_of, make_approval(team, risk=risk), "panel")
    bar = panel.partition('<nav class="actbar"')[2].partition("</nav>")[0]
    assert [part.partition("<")[0] for part in bar.split('">')[2:]] == links
    assert "<button" not in bar
    for target in ("reject", "modify", "approve"):
        assert f'href="#{target}"' in bar
        assert f'id="{target}"' in panel


def test_who_may_not_decide_is_told_why_and_gets_no_acts(browse, team, approval):
    panel = page_of(browse(make_user(team, role="operator", name="kim")), approval, "panel")
    assert "Only reviewers of Support decide this." in panel
    assert 'href="#h-decide"' in panel
    assert 'data-opens="' not in panel


def test_buttons_wait_while_a_post_is_under_way_and_a_second_press_changes_nothing(client_of, team):
    high = make_approval(team, risk="high")
    panel = page_of(client_of, high, "panel")
    posts = panel.count('hx-post="' + reverse("approvals:decide", args=[high.pk]) + '"')
    assert posts == panel.count('hx-disable="find .btn.solid"') == 4
    sent = looked_at(high, message="Checked.")
    assert [post(client_of, high, **sent).status_code for _press in range(2)] == [200, 200]
    assert high.decisions.count() == 1
