"""Standing approvals in the browser: made from a decision, listed, revoked, and not by others."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals import standing
from approvals.models import StandingApproval
from tests.approvals.cast import make_approval, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.test_standing import ask

FORM = {
    "bound-order_id": "exactly", "bound-amount": "at_most", "most-amount": "240.00", "days": "7", "most_uses": "5",
    "reason": "Tents",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_held(settings):
    settings.HOLD_SECONDS = {}


@pytest.fixture
def low(team):
    return make_approval(team, risk="low")


def page_of(approval):
    return reverse("approvals:make_standing", args=[approval.pk])


def test_it_is_made_from_a_decision_and_listed_with_its_uses(browse, team, reviewer, low):
    client = browse(reviewer)
    panel = reverse("approvals:panel", args=[low.pk])
    assert "Approve the next ones in advance" not in client.get(panel).text
    decide(low, reviewer)
    assert "Approve the next ones in advance" in client.get(panel).text
    page = client.get(page_of(low)).text
    assert page.count("exactly this") == 2
    answer = client.post(page_of(low), FORM, follow=True)
    assert answer.redirect_chain == [(reverse("approvals:standing"), 302)]
    given = StandingApproval.objects.get()
    assert (given.owner, given.args, given.conditions) == (
        reviewer, {"order_id": "A-1"}, [{"path": "amount", "op": "<=", "value": "240.00"}]
    )  # fmt: skip
    for text in ("Tents", "order_id is A-1", "amount is at most 240.00", "0 of 5 times", "Robin Vale"):
        assert text in answer.text
    used = ask(team, args={"order_id": "A-1", "amount": "12.00"})
    assert standing.use(used) is not None
    shown = client.get(reverse("approvals:standing")).text
    assert "1 of 5 times" in shown
    assert reverse("approvals:detail", args=[used.pk]) in shown
    assert "by a standing approval" in client.get(reverse("approvals:panel", args=[used.pk])).text


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"reason": ""}, "This field is required."), ({"days": "31"}, "less than or equal to 30"),
        ({"most-amount": ""}, "Say how much."), ({"most-amount": "1.00"}, "The call that was approved had more."),
        ({"bound-order_id": "any", "bound-amount": "any"}, "Bound at least one argument"),
        ({"bound-order_id": "nonsense"}, "Select a valid choice"),
        ({"most-amount": "many"}, "Enter a number."),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_fields_and_nothing_is_lost(browse, reviewer, low, typed, told):
    decide(low, reviewer)
    answer = browse(reviewer).post(page_of(low), {**FORM, **typed})
    assert answer.status_code == 422
    assert told in answer.text
    if typed.get("reason") is None:
        assert 'value="Tents"' in answer.text
    assert not StandingApproval.objects.exists()


def test_others_neither_see_nor_make_nor_revoke_it(browse, team, reviewer, second, stranger, low):
    decide(low, reviewer)
    assert browse(stranger).get(page_of(low)).status_code == 404
    operator = browse(make_user(team, role="operator"))
    assert "Only reviewers of" in operator.get(page_of(low)).text
    assert operator.post(page_of(low), FORM).status_code == 403
    assert browse(reviewer).post(page_of(low), FORM).status_code == 302
    given = StandingApproval.objects.get()
    revoke = reverse("approvals:revoke_standing", args=[given.pk])
    assert browse(stranger).post(revoke).status_code == 404
    assert "Tents" not in browse(stranger).get(reverse("approvals:standing")).text
    assert "Its owner, reviewers and admins" in operator.post(revoke, follow=True).text
    assert browse(second).get(revoke).status_code == 405
    assert "people decide about each call again" in browse(second).post(revoke, follow=True).text
    assert "It was revoked already." in browse(reviewer).post(revoke, follow=True).text
    assert "Revoked by Sam Ashby" in browse(reviewer).get(reverse("approvals:standing")).text


def test_what_cannot_be_approved_in_advance_says_why(browse, team, reviewer):
    waiting, grave = make_approval(team, risk="low"), make_approval(team, risk="high")
    decide(grave, reviewer)
    client = browse(reviewer)
    assert "Only what was approved" in client.get(page_of(waiting)).text
    assert "decided one by one" in client.get(page_of(grave)).text
    assert "in advance" not in client.get(reverse("approvals:panel", args=[grave.pk])).text


def test_hostile_text_is_inert_and_secrets_stay_masked(browse, team, reviewer):
    args = {"note": "<script>x</script>", "token": "s3cret", "password": 471147, "amount": "1"}
    evil = make_approval(team, risk="low", args=args, args_schema=None)
    decide(evil, reviewer)
    page = browse(reviewer).get(page_of(evil)).text
    assert "<script>x" not in page
    assert "s3cret" not in page
    assert "471147" not in page
    StandingApproval.objects.create(
        team=team, agent="support", action="issue_refund", owner=reviewer, made_by_label="x", reason="x", most_uses=1,
        expires_at=timezone.now() + timedelta(days=1), conditions=[{"path": "to.token", "op": "=", "value": "s3cret"}],
    )  # fmt: skip
    assert "s3cret" not in browse(reviewer).get(reverse("approvals:standing")).text


def test_the_page_takes_as_many_queries_for_many_as_for_few(browse, team, reviewer, django_assert_max_num_queries):
    for _number in range(30):
        StandingApproval.objects.create(
            team=team, agent="support", action="issue_refund", owner=reviewer, made_by_label="x", reason="x", most_uses=1,
            expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
    client = browse(reviewer)
    client.get(reverse("approvals:standing"))
    with django_assert_max_num_queries(16):
        assert client.get(reverse("approvals:standing")).text.count("0 of 1 times") == 30
    assert "0 of 1 times" not in browse(make_user(make_team("Finance"))).get(reverse("approvals:standing")).text
