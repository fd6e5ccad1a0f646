"""The inbox: what it lists, for whom, in which order."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people.models import Membership, Team
from approvals import triage
from approvals.models import Approval, SavedView
from approvals.web import fragments, parts, queue
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


def test_where_nothing_waits_it_says_how_the_day_went(browse, reviewer, second, team):
    assert b"Last decision" not in browse(reviewer).get(INBOX).content
    asked = [make_approval(team, risk="low") for _number in range(3)]
    Approval.objects.update(requested_at=timezone.now() - timedelta(minutes=12))
    for each in asked[:2]:
        post(each, second)
    assert b"Last decision" not in browse(reviewer).get(INBOX).content, "one waits"
    post(asked[2], second)
    text = browse(reviewer).get(INBOX).content.decode()
    assert re.search('Last decision: <time [^>]*data-relative="ago"', text)
    assert "3 decided today; half of them waited less than 12 min 0" in text
    assert "Last decision" not in browse(reviewer).get(INBOX, {"q": "risk:high"}).content.decode()


def test_its_rail_leads_to_what_is_urgent_to_the_team_and_to_ones_pace(browse, reviewer, stranger, team):
    text = browse(reviewer).get(INBOX).content.decode()
    for address in ("?q=left%3C1h", reverse("approvals:team", args=[team.slug]), reverse("approvals:pace")):
        assert address in text
    assert reverse("approvals:team", args=[team.slug]) not in browse(stranger).get(INBOX).content.decode()


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
        ("arg.amount>200", 1),
        ("arg.amount<=200", 1),
        ("arg.amount=1", 1),
        ("arg.order_id=a-77", 1),
        ("arg.order_id!=A-77", 1),
        ("arg.order_id:A- arg.amount>100", 1),
        ("tool:refund arg.amount<2", 1),
        ("waiting>1h", 0),
        ("waiting<1h", 2),
        ("left<5d risk:low", 1),
        ("team:support", 2),
        ('"issue_refund"', 1),
        ("risk:unheard", 0),
        ("", 2),
    ],
)
def test_it_filters(browse, reviewer, team, text, found):
    make_approval(team, risk="high", args={"order_id": "A-77", "amount": "1.00"})
    make_approval(team, risk="low", action="cancel_order", args_schema=None)
    Team.objects.filter(pk=team.pk).update(slug="support")
    client = browse(reviewer)
    assert len(rows_in(client.get(INBOX, {"q": text}))) == found
    for each in Approval.objects.all():
        post(each, reviewer)
    if "left" not in text:
        assert len(rows_in(client.get(INBOX, {"q": text, "tab": "done"}))) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("risk:unheard", "“risk” is one of low, medium, high, critical."),
        ("colour:red", "There is no filter “colour”."),
        ("arg.amount>much", "“arg.amount&gt;” takes a number."),
        ("waiting>soon", "Write it like waiting&gt;1h"),
        ("waiting:1h", "Write it like waiting&gt;1h"),
        ("tool:", "“tool:” lacks a value."),
        ('tool:"issue', "A quotation mark is open"),
        ("risk:low risk:high", "“risk” can be asked for once."),
        ("team:nowhere", "No team of yours is called “nowhere”. Yours are: "),
        ("x " * 13, "At most 12 terms."),
    ],
)
def test_it_says_at_the_field_what_is_wrong_and_lists_nothing(browse, reviewer, approval, text, told):
    answer = browse(reviewer).get(INBOX, {"q": text})
    assert told in answer.content.decode()
    assert 'aria-invalid="true" aria-describedby="q-help q-mistakes"' in answer.content.decode()
    assert rows_in(answer) == []
    assert "Nothing is listed: the search has a mistake." in answer.content.decode()


def test_its_terms_are_labels_that_can_be_taken_away(browse, reviewer, approval):
    answer = browse(reviewer).get(INBOX, {"q": 'risk:high tool:"issue refund"  A-1'}).content.decode()
    without = re.findall(r'class="tok" href="([^"]*)"', answer)
    assert without == [
        "?q=tool%3A%22issue%20refund%22%20A-1",
        "?q=risk%3Ahigh%20A-1",
        "?q=risk%3Ahigh%20tool%3A%22issue%20refund%22",
    ]


def test_the_same_is_found_where_few_and_where_many_have_it(browse, reviewer, team, stranger, monkeypatch):
    for number in range(4):
        make_approval(team, args={"order_id": f"A-{number}", "amount": str(100 * number)}, risk=("low", "high")[number % 2])
    make_approval(stranger.teams.get(), requirements={"teams": [str(team.pk)], "count": 1}, args={"amount": "500"})
    make_approval(stranger.teams.get(), args={"amount": "600"})
    client = browse(reviewer)
    for few in (1000, 0):
        monkeypatch.setattr(parts, "FEW", few)
        assert len(rows_in(client.get(INBOX, {"q": "arg.amount>100 tool:refund"}))) == 3


def test_the_number_of_queries_does_not_depend_on_what_is_found(browse, reviewer, team):
    client = browse(reviewer)

    def queries(text):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(INBOX, {"q": text}).status_code == 200
        return len(captured)

    make_approval(team, risk="high")
    one = queries("arg.amount>1 tool:refund")
    for number in range(12):
        make_approval(team, risk=("low", "medium", "high", "critical")[number % 4])
    assert queries("arg.amount>1 tool:refund") == one
    assert one <= 24


def test_its_tabs_list_mine_and_what_i_put_off(browse, reviewer, second, team):
    mine, theirs, later, free = (make_approval(team) for _number in range(4))
    triage.claim(mine.pk, actor=Actor.of(reviewer, "web"), seen=0)
    triage.claim(theirs.pk, actor=Actor.of(second, "web"), seen=0)
    triage.snooze(later.pk, timezone.now() + timedelta(hours=1), actor=Actor.of(reviewer, "web"))
    client = browse(reviewer)
    assert rows_in(client.get(INBOX, {"tab": "mine"})) == [str(mine.pk)]
    assert rows_in(client.get(INBOX, {"tab": "snoozed"})) == [str(later.pk)]
    assert set(rows_in(client.get(INBOX))) == {str(each.pk) for each in (mine, theirs, free)}
    tabs = client.get("/approvals/tabs/").content.decode()
    assert re.findall(r'>(\w+) <span class="n">(\d+)<', tabs) == [("Mine", "1"), ("Team", "3"), ("Snoozed", "1"), ("Done", "0")]
    assert len(rows_in(browse(second).get(INBOX))) == 4, "a snooze empties nobody else's list"
    Approval.objects.filter(pk=later.pk).update(version=2)
    assert str(later.pk) in rows_in(client.get(INBOX)), "it wakes when it changes"


def test_its_row_tells_who_has_it(browse, reviewer, second, approval):
    triage.claim(approval.pk, actor=Actor.of(second, "web"), seen=0)
    assert "claimed by Sam Ashby until" in browse(reviewer).get(INBOX).content.decode()
    assert "Sam Ashby has claimed this until" in browse(reviewer).get(f"/approvals/{approval.pk}/").content.decode()


def test_it_keeps_searches_of_ones_own(browse, reviewer, second):
    client = browse(reviewer)
    assert client.post("/approvals/searches/", {"name": "Large", "q": "arg.amount>200"}).status_code == 302
    client.post("/approvals/searches/", {"name": "Large", "q": "arg.amount>300"})
    client.post("/approvals/searches/", {"name": "Bad", "q": "colour:red"})
    kept = SavedView.objects.get()
    assert (kept.user, kept.name, kept.query) == (reviewer, "Large", "arg.amount>300")
    assert "/approvals/?q=arg.amount%3E300" in client.get(INBOX).content.decode()
    assert "Large" not in browse(second).get(INBOX).content.decode()
    assert browse(second).post(f"/approvals/searches/{kept.pk}/forget/").status_code == 404
    assert client.post(f"/approvals/searches/{kept.pk}/forget/").status_code == 302
    assert not SavedView.objects.exists()


def test_it_shows_the_way_until_the_first_decision(browse, reviewer, team, approval):
    assert "Your first approval" in browse(reviewer).get(INBOX).content.decode()
    post(approval, reviewer)
    assert "Your first approval" not in browse(reviewer).get(INBOX).content.decode()
    assert "takes the role of a reviewer" in browse(make_user(team, role="operator")).get(INBOX).content.decode()
    assert "You are in no team yet" in browse(make_user(name="nobody")).get(INBOX).content.decode()


def test_it_does_not_trip_over_any_filter():
    for text in ("", ":", "risk:", "a:b:c", "%", "'", "\\", "x" * 5000, "\u202e"):
        assert len(Filter.parse(text).text) <= 200


def test_a_search_that_is_too_long_is_not_cut_in_the_middle_of_a_number(browse, reviewer, team):
    make_approval(team)
    text = "x" * 184 + " arg.amount>20000"
    page = browse(reviewer).get(INBOX, {"q": text})
    assert "At most 200 characters." in page.content.decode()
    assert rows_in(page) == []


def test_the_rail_says_more_only_where_there_is_more(browse, reviewer, team, monkeypatch):
    monkeypatch.setattr(queue, "BESIDE", 2)
    approvals = [make_approval(team) for _number in range(2)]
    reader = queue.Reader(reviewer)
    assert queue.beside(reader, approvals[0])["total"] == 2
    make_approval(team)
    assert queue.beside(queue.Reader(reviewer), approvals[0])["total"] == "2+"


def test_rows_that_expire_in_the_same_second_say_their_order(browse, reviewer, team):
    """Pages sort by the microsecond and then the id; so do pages that put a pushed row between others."""
    at = (timezone.now() + timedelta(hours=1)).replace(microsecond=5)
    approvals = [make_approval(team) for _number in range(3)]
    for approval, microsecond in zip(approvals, (500_000, 5, 5), strict=True):
        Approval.objects.filter(pk=approval.pk).update(expires_at=at.replace(microsecond=microsecond))
    never = make_approval(team)
    Approval.objects.filter(pk=never.pk).update(expires_at=None)
    page = browse(reviewer).get(INBOX)
    orders = re.findall(r'data-order="([^"]+)"', page.content.decode())
    assert rows_in(page) == [str(approvals[number].pk) for number in (1, 2, 0)] + [str(never.pk)]
    assert orders == sorted(orders)


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
