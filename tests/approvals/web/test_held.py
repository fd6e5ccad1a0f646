"""The held decision on the pages: the countdown, taking it back, and being too late."""

import html

import pytest
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from approvals.models import Approval, Decision
from approvals.states import Status
from tests.approvals.cast import make_approval, make_user, post
from tests.approvals.web.conftest import HTMX, binding, looked_at

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ten_seconds_for_high(settings):
    settings.HOLD_SECONDS = {"high": "10"}


@pytest.fixture
def held(team, reviewer):
    approval = make_approval(team, risk="high")
    post(approval, reviewer)
    approval.refresh_from_db()
    return approval


def text_of(response: HttpResponse) -> str:
    """The page's words, one space between them."""
    return " ".join(html.unescape(strip_tags(response.content.decode())).split())


def too_late(approval):
    Decision.objects.filter(approval=approval).update(release_at=timezone.now())


def test_the_answer_to_an_approval_counts_down_and_offers_to_take_it_back(browse, reviewer, team):
    approval = make_approval(team, risk="high")
    answer = browse(reviewer).post(
        reverse("approvals:decide", args=[approval.pk]),
        binding(approval, "approve", **looked_at(approval, message="Checked.")),
        headers=HTMX,
    )
    text = text_of(answer)
    assert "Approved by Robin Vale, held" in text
    assert "Held: it counts when the time is up" in text
    assert "Take it back" in text


def test_taken_back_it_can_be_decided_again(browse, reviewer, held):
    answer = browse(reviewer).post(reverse("approvals:recall", args=[held.pk]), headers=HTMX)
    assert answer.status_code == 200
    text = text_of(answer)
    assert "Your decision" in text
    assert "Asked again." in text
    assert Approval.objects.get(pk=held.pk).status == Status.PENDING


def test_taken_back_twice_or_too_late_says_so(browse, reviewer, held):
    browser = browse(reviewer)
    too_late(held)
    answer = browser.post(reverse("approvals:recall", args=[held.pk]), headers=HTMX)
    assert answer.status_code == 409
    assert "Not taken back. This decision is not held any more" in text_of(answer)


def test_without_scripts_it_leads_back_to_the_approval(browse, reviewer, held):
    answer = browse(reviewer).post(reverse("approvals:recall", args=[held.pk]), follow=True)
    assert "Taken back: it waits for a decision again." in text_of(answer)


def test_who_may_not_decide_is_not_offered_it_and_cannot(browse, held, team, stranger):
    olga = make_user(team, role="operator", name="olga")
    page = browse(olga).get(reverse("approvals:detail", args=[held.pk]))
    assert "Take it back" not in text_of(page)
    assert browse(olga).post(reverse("approvals:recall", args=[held.pk]), headers=HTMX).status_code == 403
    assert browse(stranger).post(reverse("approvals:recall", args=[held.pk]), headers=HTMX).status_code == 404
    assert Approval.objects.get(pk=held.pk).status == Status.HELD


def test_the_inbox_counts_down_ones_own_and_nobody_elses(browse, reviewer, second, held):
    assert "counts in" in text_of(browse(reviewer).get(reverse("approvals:inbox")))
    assert "counts in" not in text_of(browse(second).get(reverse("approvals:inbox")))


def test_the_page_of_another_approval_has_the_strip_and_its_own_page_has_not(browse, reviewer, team, held):
    other = make_approval(team)
    browser = browse(reviewer)
    assert "counts in" in text_of(browser.get(reverse("approvals:detail", args=[other.pk])))
    assert "counts in" not in text_of(browser.get(reverse("approvals:detail", args=[held.pk])))


def test_the_strip_asks_for_itself_until_nothing_is_held(browse, reviewer, held):
    browser = browse(reviewer)
    assert "hx-trigger" in browser.get(reverse("approvals:held")).content.decode()
    too_late(held)
    assert "hx-trigger" not in browser.get(reverse("approvals:held")).content.decode()
