"""The page of a team's load, and the page of one's own pace."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people.models import Membership, Role
from approvals import triage
from approvals.load import load_of
from approvals.models import Approval, Decision
from approvals.pace import paces_of
from tests.approvals.cast import make_approval, make_team, make_user, post


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def robin(team):
    return make_user(team, name="robin", first_name="Robin")


@pytest.fixture
def sam(team):
    return make_user(team, name="sam", first_name="Sam")


@pytest.fixture
def browser(robin):
    client = Client()
    client.force_login(robin)
    return client


def day():
    return timezone.now() - timedelta(hours=1)


def test_it_counts_what_waits_by_risk_and_finds_the_oldest(team, robin):
    first = make_approval(team, risk="high")
    make_approval(team, risk="low")
    make_approval(team, risk="low")
    guest = make_approval(make_team("Billing"), risk="low", requirements={"teams": [str(team.pk)]})
    Approval.objects.filter(pk=guest.pk).update(reviewer_teams=[team.pk])
    load = load_of(team, since=day())
    assert load.waiting == [("high", 1), ("low", 3)]
    assert (load.total, load.oldest) == (4, first)
    assert (load.closed, load.median) == (0, None)


def test_it_shows_what_each_has_and_did(team, robin, sam):
    make_user(make_team("Other"), name="stranger")
    kept, decided = make_approval(team), make_approval(team)
    triage.claim(kept.pk, actor=Actor.of(robin, "web"), seen=0)
    post(decided, sam, "reject", message="no")
    Approval.objects.filter(pk=decided.pk).update(requested_at=timezone.now() - timedelta(seconds=90))
    load = load_of(team, since=day())
    assert [(share.person, share.claims, share.decided) for share in load.shares] == [(robin, 1, 0), (sam, 0, 1)]
    assert load.closed == 1
    assert load.median == pytest.approx(90, abs=30)
    assert [share.decided for share in load_of(team, since=timezone.now() + timedelta(hours=1)).shares] == [0, 0]


def test_the_page_leads_to_the_oldest(browser, team, robin):
    approval = make_approval(team)
    page = browser.get(f"/teams/{team.slug}/").content.decode()
    assert "1 approval waits for this team." in page
    assert f"/approvals/{approval.pk}/" in page
    assert "Robin" in page
    assert f"/teams/{team.slug}/" in browser.get("/profile/").content.decode()


def test_an_empty_team_says_so(team, db):
    operator = make_user(team, role=Role.OPERATOR, name="kim")
    client = Client()
    client.force_login(operator)
    page = client.get(f"/teams/{team.slug}/").content.decode()
    assert "Nothing waits for this team." in page
    assert "nobody decides for it" in page


def test_other_teams_are_not_there(browser, team):
    other = make_team("Other")
    assert browser.get(f"/teams/{other.slug}/").status_code == 404
    assert browser.get("/teams/none/").status_code == 404
    assert browser.post(f"/teams/{team.slug}/").status_code == 405
    assert Client().get(f"/teams/{team.slug}/")["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("address", ["/teams/{slug}/", "/profile/pace/"])
def test_the_number_of_queries_does_not_depend_on_the_rows(browser, team, robin, address):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert browser.get(address.format(slug=team.slug)).status_code == 200
        return len(captured)

    def work(many):
        for _each in range(many):
            post(make_approval(team), make_user(team), "reject", message="no")
            post(make_approval(team), robin, "reject", message="no")
            make_approval(team)

    work(1)
    few = queries()
    work(5)
    assert queries() == few <= 18


def test_the_pace_is_ones_own_beside_the_others(team, robin, sam):
    assert paces_of(robin).others.decided == 0
    two = [make_user(team), make_user(team)]
    for user, seconds in ((robin, 1.0), (robin, 20.0), (sam, 8.0)):
        post(make_approval(team), user, "reject", message="no")
        Decision.objects.filter(decided_by=user, seconds_open=None).update(seconds_open=seconds)
    paces = paces_of(robin)
    assert (paces.own.decided, paces.own.timed, paces.own.quick, paces.own.median) == (2, 2, 1, 10.5)
    assert (paces.others.decided, paces.others.median) == (1, 8.0)
    Membership.objects.filter(user=two[0]).delete()
    assert paces_of(robin).others.decided == 0, "it would be the pace of two people"
    assert paces.own.verdicts == {"approve": 0, "modify": 0, "reject": 2, "respond": 0, "ask": 0}
    Decision.objects.filter(decided_by=robin).update(decided_at=timezone.now() - timedelta(days=31))
    assert paces_of(robin).own.decided == 0


def test_the_page_of_the_pace_says_it_in_words(browser, team, robin, sam):
    for _each in range(2):
        make_user(team)
    assert "You decided nothing in the last 30 days." in browser.get("/profile/pace/").content.decode()
    for user, seconds in ((robin, 2.0), (sam, 8.0)):
        post(make_approval(team), user, "reject", message="no")
        Decision.objects.filter(decided_by=user).update(seconds_open=seconds)
    page = browser.get("/profile/pace/").content.decode()
    assert "You made 1 decision." in page
    assert "less than 2.0 s" in page
    assert "For the other reviewers of your teams it was 8.0 s." in page
    assert "100 % of your decisions came within 3 seconds." in page
