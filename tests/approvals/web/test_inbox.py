"""The inbox: what it lists, for whom, in which order."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agentdesk.people.models import Membership
from approvals.models import Approval
from approvals.web import fragments, queue
from approvals.web.filters import Filter
from tests.approvals.cast import make_approval, make_rule, make_team, make_user, post

INBOX = "/approvals/"


def rows_in(response):
    return re.findall(r'<tr id="row-([0-9a-f-]{36})"', response.content.decode())


def test_it_sends_those_who_are_not_signed_in_to_the_sign_in_page(client, approval):
    for address in ("/", INBOX, "/approvals/rows/", "/approvals/count/", f"/approvals/{approval.pk}/"):
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/")


def test_it_lists_what_waits_for_the_teams_of_the_user_only(browse, reviewer, stranger, approval):
    assert rows_in(browse(reviewer).get("/")) == [str(approval.pk)]
    assert rows_in(browse(stranger).get(INBOX)) == []
    assert b"Nothing waits for your teams." in browse(stranger).get(INBOX).content


def test_it_sorts_by_risk_and_then_by_time_left(browse, reviewer, team):
    low, late, soon, critical = (make_approval(team, risk=risk) for risk in ("low", "high", "high", "critical"))
    Approval.objects.filter(pk=soon.pk).update(expires_at=timezone.now() + timedelta(minutes=5))
    Approval.objects.filter(pk=late.pk).update(expires_at=None)
    assert rows_in(browse(reviewer).get(INBOX)) == [str(each.pk) for each in (critical, soon, late, low)]


def test_it_takes_the_same_number_of_queries_for_one_row_and_for_twenty(browse, reviewer, team):
    client = browse(reviewer)

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(INBOX).status_code == 200
        return len(captured)

    make_approval(team, risk="high")
    one = queries()
    for number in range(20):
        make_approval(team, risk=("low", "medium", "high", "critical")[number % 4])
    assert queries() == one


def test_it_shows_a_page_of_each_risk_and_caps_the_counts(browse, reviewer, team, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 2)
    monkeypatch.setattr(queue, "MOST", 3)
    for _number in range(4):
        make_approval(team, risk="low")
    page = browse(reviewer).get(INBOX)
    assert len(rows_in(page)) == 2
    assert b"3+" in page.content


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("risk:high", 1),
        ("tool:cancel", 1),
        ("agent:support", 2),
        ("agent:nobody", 0),
        ("A-77", 1),
        ("risk:unheard", 0),
        ("", 2),
    ],
)
def test_it_filters(browse, reviewer, team, text, found):
    make_approval(team, risk="high", args={"order_id": "A-77", "amount": "1.00"})
    make_approval(team, risk="low", action="cancel_order", args_schema=None)
    assert len(rows_in(browse(reviewer).get(INBOX, {"q": text}))) == found


def test_it_does_not_trip_over_any_filter():
    for text in ("", ":", "risk:", "a:b:c", "%", "'", "\\", "x" * 5000, "\u202e"):
        assert len(Filter.parse(text).text) <= 200


def test_it_lists_decided_ones_newest_first_page_by_page(browse, reviewer, second, team, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 2)
    decided = [make_approval(team) for _number in range(3)]
    for number, each in enumerate(decided):
        post(each, reviewer)
        Approval.objects.filter(pk=each.pk).update(closed_at=timezone.now() + timedelta(seconds=number))
    client = browse(second)
    first = client.get(INBOX, {"status": "done"})
    assert rows_in(first) == [str(decided[2].pk), str(decided[1].pk)]
    onwards = re.search(r'href="(/approvals/\?[^"]*before=[^"]*)"', first.content.decode())[1].replace("&amp;", "&")
    assert rows_in(client.get(onwards)) == [str(decided[0].pk)]
    assert rows_in(client.get(INBOX)) == []
    assert client.get(INBOX, {"status": "done", "before": "never"}).status_code == 200


def test_it_gives_the_list_alone_for_a_page_that_fetches_again(browse, reviewer, approval):
    client = browse(reviewer)
    whole, part = client.get(INBOX), client.get(reverse("approvals:rows"))
    assert part.content.decode() in whole.content.decode()
    assert whole["Cache-Control"] == part["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"


def test_it_counts(browse, reviewer, stranger, approval):
    assert ">1</span>" in browse(reviewer).get(reverse("approvals:count")).content.decode()
    assert ">0</span>" in browse(stranger).get(reverse("approvals:count")).content.decode()


def test_it_pushes_the_very_row_of_the_page(browse, reviewer, team):
    make_rule("ask", name="Refunds <over> 200")
    waiting = make_approval(team, action="issue_refund", args={"order_id": "<b>", "amount": "240.00"})
    version, html = fragments.push_row(str(waiting.pk), 1)
    assert version == Approval.objects.get(pk=waiting.pk).revision
    assert html in browse(reviewer).get(INBOX).content.decode()
    assert "<b>" not in html


def test_it_marks_a_decided_row_as_gone(reviewer, approval):
    post(approval, reviewer)
    _version, html = fragments.push_row(str(approval.pk), 2)
    assert "data-gone" in html
    assert "Approved by Robin Vale" in html


def test_it_knows_in_one_query_who_sees_what(reviewer, second, stranger, team, approval, django_assert_num_queries):
    other = make_approval(stranger.teams.get())
    for user in (reviewer, second, stranger):
        user.team_ids()
    with django_assert_num_queries(1):
        seen = fragments.visible_ids([reviewer, second, stranger], [str(approval.pk), str(other.pk)])
    assert seen == {reviewer.pk: {str(approval.pk)}, second.pk: {str(approval.pk)}, stranger.pk: {str(other.pk)}}


def test_it_pushes_nothing_of_what_is_gone(db):
    assert fragments.push_card("01a20397-9479-7611-ae21-7af65b3898b0", 1) is None
    assert fragments.push_row("01a20397-9479-7611-ae21-7af65b3898b0", 1) is None


def test_it_renders_a_row_once_for_each_version(browse, reviewer, second, approval, monkeypatch):
    drawn = []
    draw = fragments._row
    monkeypatch.setattr(fragments, "_row", lambda each: drawn.append(each.revision) or draw(each))
    for user in (reviewer, second, reviewer):
        browse(user).get(INBOX)
    assert drawn == [approval.revision]
    post(approval, second, message="fine")
    assert "Approved by Sam Ashby" in browse(reviewer).get(INBOX, {"status": "done"}).content.decode()
    assert len(drawn) == 2


def test_it_forgets_the_oldest_rows(approval):
    kept = fragments.Rendered(most=2)
    for version in (1, 2, 3):
        kept.keep(approval.pk, version, f"row {version}")
    assert [kept.get(approval.pk, version) for version in (1, 2, 3)] == [None, "row 2", "row 3"]


def test_it_shows_each_team_its_own_and_guests_what_they_are_asked(browse, reviewer, stranger, team):
    both = make_team("Both")
    Membership.objects.create(user=reviewer, team=both, role="reviewer")
    own, other = make_approval(team), make_approval(both)
    guest = make_approval(stranger.teams.get(), requirements={"teams": [str(team.pk)], "count": 1})
    admin = make_user(name="root", is_superuser=True)
    assert set(rows_in(browse(reviewer).get(INBOX))) == {str(each.pk) for each in (own, other, guest)}
    assert set(rows_in(browse(admin).get(INBOX))) == {str(each.pk) for each in (own, other, guest)}
    assert rows_in(browse(make_user(name="nobody")).get(INBOX)) == []
