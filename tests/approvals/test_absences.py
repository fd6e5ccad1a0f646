"""What becomes of the work while somebody is away: it goes to who stands in and may decide it, once, or is given up."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people import absence
from agentdesk.people.absence import Wanted
from agentdesk.people.leaving import Left, leave
from agentdesk.people.models import Absence, Membership, day_words
from approvals import tasks, triage
from approvals.errors import Invalid
from approvals.models import Claim
from tests.approvals.cast import entries, make_approval, make_team, make_user, post


@pytest.fixture
def team(db):
    return make_team("Support")


@pytest.fixture
def robin(team):
    return make_user(team, name="robin", first_name="Robin", last_name="Vale")


@pytest.fixture
def sam(team):
    return make_user(team, name="sam", first_name="Sam", last_name="Ashby")


@pytest.fixture
def kim(team):
    return make_user(team, name="kim", first_name="Kim", last_name="Osei")


def by(user):
    return Actor.of(user, "web")


def today():
    return timezone.now().date()


def gone(user, stand_in=None, *, first=0, last=3):
    wanted = Wanted(today() + timedelta(days=first), today() + timedelta(days=last), stand_in)
    return absence.enter(user, wanted, actor=by(user))


def claimed(team, user, **facts):
    approval = make_approval(team, **facts)
    triage.claim(approval.pk, actor=by(user), seen=0)
    return approval


def holder(approval):
    return Claim.objects.select_related("user").get(pk=approval.pk).user


def browse(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_what_they_look_after_goes_to_who_stands_in_once(team, robin, sam):
    mine, assigned, others = claimed(team, robin), make_approval(team), claimed(team, sam)
    triage.assign(assigned.pk, robin.pk, actor=by(sam), seen=0)
    gone(robin, sam, first=1)
    tasks.sweep()
    assert holder(mine) == robin, "not yet"
    Absence.objects.update(begins_on=today())
    tasks.sweep()
    tasks.sweep()
    for approval in (mine, assigned):
        held = Claim.objects.get(pk=approval.pk)
        assert (held.user, held.until, held.assigned_by) == (sam, None, None)
        (entry,) = entries(approval, "approval.handed_over")
        assert (entry.via, entry.actor_id) == ("worker", None)
        assert entry.before["user"]["v"] == str(robin.pk)
    assert not entries(others, "approval.handed_over")


def test_without_a_stand_in_it_is_given_up(team, robin):
    mine = claimed(team, robin)
    gone(robin)
    tasks.sweep()
    assert holder(mine) is None
    assert len(entries(mine, "approval.released")) == 1


def test_who_stands_in_gets_no_right_by_it(team, robin, sam):
    """Asked for by who stands in, of another team, and wanting a second factor that they do not have."""
    elsewhere = make_team("Billing")
    Membership.objects.create(user=robin, team=elsewhere, role="reviewer")
    shared = claimed(team, robin)
    refused = [claimed(team, robin, requester_id=sam.pk), claimed(elsewhere, robin)]
    gone(robin, sam)
    tasks.sweep()
    assert holder(shared) == sam
    assert [holder(approval) for approval in refused] == [None, None]


def test_it_goes_on_to_somebody_who_is_there(team, robin, sam, kim):
    mine = claimed(team, robin)
    gone(robin, sam)
    gone(sam, kim)
    tasks.sweep()
    assert holder(mine) == kim
    assert len(entries(mine, "approval.handed_over")) == 1


def test_two_who_stand_in_for_each_other_give_it_up(team, robin, sam):
    mine, theirs = claimed(team, robin), claimed(team, sam)
    gone(robin, sam)
    Absence.objects.create(user=sam, stand_in=robin, begins_on=today(), ends_on=today())
    tasks.sweep()
    tasks.sweep()
    assert [holder(mine), holder(theirs)] == [None, None]
    assert [len(entries(one, "approval.released", "approval.handed_over")) for one in (mine, theirs)] == [1, 1]


def test_what_is_closed_stays_as_it_is(team, robin, sam):
    mine = claimed(team, robin)
    post(mine, sam, "reject", message="no")
    gone(robin, sam)
    tasks.sweep()
    assert not entries(mine, "approval.handed_over", "approval.released")


def test_who_is_away_still_decides_and_claims(team, robin, sam):
    gone(robin, sam)
    tasks.sweep()
    mine = claimed(team, robin)
    tasks.sweep()
    assert holder(mine) == robin, "an absence hands on once, when it begins"
    assert post(mine, robin, "reject", message="no").decision is not None


@pytest.mark.usefixtures("committed")
def test_two_sweeps_at_once_hand_it_over_once():
    team = make_team()
    robin, sam = make_user(team, name="robin"), make_user(team, name="sam")
    mine = [claimed(team, robin) for _each in range(5)]
    gone(robin, sam)
    together = threading.Barrier(2)

    def sweep():
        try:
            together.wait()
            absence.begin_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _each in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {holder(approval) for approval in mine} == {sam}
    assert [len(entries(approval, "approval.handed_over")) for approval in mine] == [1] * 5


def test_nothing_is_assigned_to_who_is_away(team, robin, sam, kim):
    approval = make_approval(team)
    gone(robin, sam)
    with pytest.raises(Invalid) as refused:
        triage.assign(approval.pk, robin.pk, actor=by(kim), seen=0)
    until = day_words(today() + timedelta(days=3))
    assert refused.value.errors == {"to": [f"Robin Vale is away until {until}. Sam Ashby stands in: assign it to them."]}
    assert not Claim.objects.exists()
    assert not entries(approval, "approval.assigned")
    gone(sam)
    with pytest.raises(Invalid, match="nobody stands in"):
        triage.assign(approval.pk, robin.pk, actor=by(kim), seen=0)
    assert triage.assign(approval.pk, robin.pk, actor=by(robin), seen=0).user == robin, "their own choice"


def test_the_choice_says_who_is_away_and_the_page_why_not(team, robin, sam, kim):
    approval = make_approval(team)
    gone(robin, sam)
    client = browse(kim)
    until = day_words(today() + timedelta(days=3))
    part = client.get(f"/approvals/{approval.pk}/triage/").content.decode()
    assert f"Robin Vale (away until {until}; Sam Ashby stands in)</option>" in part
    assert ">Sam Ashby</option>" in part
    form = {"act": "assign", "to": robin.pk, "seen": 0}
    answer = client.post(f"/approvals/{approval.pk}/triage/act/", form, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "Sam Ashby stands in: assign it to them." in re.sub(r"\s+", " ", answer.content.decode())


def test_the_panel_says_who_of_them_is_away(team, robin, sam):
    approval = make_approval(team)
    gone(robin)
    client = browse(sam)
    panel = client.get(f"/approvals/{approval.pk}/panel/").content.decode()
    assert f'Sam Ashby, Robin Vale <span class="dim">(away until {day_words(today() + timedelta(days=3))})</span>' in panel
    assert "All who may decide are away." not in panel
    gone(sam)
    assert "All who may decide are away." in client.get(f"/approvals/{approval.pk}/panel/").content.decode()


def test_the_inbox_reminds_them_and_ends_it(team, robin):
    client = browse(robin)
    assert "You are marked as away" not in client.get("/approvals/").content.decode()
    made = gone(robin)
    page = client.get("/approvals/").content.decode()
    assert f"You are marked as away until {day_words(made.ends_on)}." in page
    client.post(f"/profile/absence/{made.pk}/end/")
    assert "You are marked as away" not in client.get("/approvals/").content.decode()


def test_what_a_leaver_had_goes_to_somebody_who_is_there(team, robin, sam, kim):
    mine = claimed(team, robin)
    gone(sam, kim)
    Membership.objects.filter(user=robin).delete()
    assert leave(robin, to=sam, actor=by(kim)) == Left(handed_over=1)
    assert holder(mine) == kim


class TestTheTeamPage:
    def page(self, team, user):
        return re.sub(r"\s+", " ", browse(user).get(f"/teams/{team.slug}/").content.decode())

    def words(self, days):
        return day_words(today() + timedelta(days=days))

    def test_it_says_who_is_away_and_who_will_be(self, team, robin, sam):
        gone(robin, sam, last=1)
        gone(robin, first=4, last=20)
        gone(sam, first=14, last=20)
        page = self.page(team, sam)
        assert f"away until {self.words(1)}; Sam Ashby stands in" in page
        assert f"Robin Vale from {self.words(4)} until {self.words(20)}" in page
        assert "Sam Ashby from" not in page, "that is in more than 14 days"
        assert "No reviewer is there" not in page
        assert "Enter an absence for somebody" not in page

    def test_it_warns_of_days_without_a_reviewer(self, team, robin, sam):
        gone(robin, first=2, last=6)
        gone(sam, first=5, last=9)
        gone(sam, first=3, last=3)
        page = self.page(team, sam)
        assert f"<li>{self.words(3)}</li><li>{self.words(5)} – {self.words(6)}</li>" in page
        assert "All reviewers of this team are away now" not in page
        gone(robin, first=0, last=0)
        gone(sam, first=0, last=0)
        assert "All reviewers of this team are away now" in self.page(team, sam)

    def test_an_admin_is_led_to_where_it_is_entered(self, team):
        assert "/admin/people/absence/add/" in self.page(team, make_user(team, role="admin", name="ada"))

    def test_absences_cost_no_more_queries(self, team, robin, sam, kim, django_assert_max_num_queries):
        client = browse(kim)
        with django_assert_max_num_queries(18) as few:
            client.get(f"/teams/{team.slug}/")
        for person, other in ((robin, sam), (sam, kim), (kim, None)):
            gone(person, other, last=0)
            gone(person, first=5, last=6)
        with django_assert_max_num_queries(len(few)):
            client.get(f"/teams/{team.slug}/")
