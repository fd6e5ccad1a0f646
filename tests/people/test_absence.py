"""Being away: which days, who may say so, who stands in, and that an absence begins once."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people import absence
from agentdesk.people.absence import Wanted, away, is_away, present_for
from agentdesk.people.models import Absence, Membership, Role, Team, User

PAGE = "/profile/absence/"


@pytest.fixture
def sam(person):
    return person("sam", Role.REVIEWER, first_name="Sam")


@pytest.fixture
def kim(person):
    return person("kim", Role.REVIEWER, first_name="Kim")


@pytest.fixture
def browser(robin):
    client = Client()
    client.force_login(robin)
    return client


def by(user):
    return Actor.of(User.objects.get(pk=user.pk), "web")


def today(user):
    return timezone.now().astimezone(user.zone).date()


def gone(user, stand_in=None, *, first=0, last=2, actor=None):
    """Enter an absence from ``first`` to ``last``, in days from the person's today."""
    day = today(user)
    wanted = Wanted(day + timedelta(days=first), day + timedelta(days=last), stand_in)
    return absence.enter(user, wanted, actor=by(actor or user))


def refused(user, stand_in=None, **days):
    with pytest.raises(ValidationError) as caught:
        gone(user, stand_in, **days)
    return {field: texts[0] for field, texts in caught.value.message_dict.items()}


@pytest.mark.parametrize(
    ("zone", "begins", "ends"),
    [
        ("UTC", datetime(2026, 3, 28, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # clocks go forward
        ("Pacific/Kiritimati", datetime(2026, 3, 27, 10, tzinfo=UTC), datetime(2026, 3, 29, 10, tzinfo=UTC)),
        ("Pacific/Pago_Pago", datetime(2026, 3, 28, 11, tzinfo=UTC), datetime(2026, 3, 30, 11, tzinfo=UTC)),
    ],
)
def test_days_are_whole_and_the_persons_own(robin, zone, begins, ends):
    User.objects.filter(pk=robin.pk).update(time_zone=zone)
    Absence.objects.create(user=robin, begins_on=date(2026, 3, 28), ends_on=date(2026, 3, 29))
    moment = timedelta(seconds=1)
    assert [is_away(robin, at) for at in (begins - moment, begins, ends - moment, ends)] == [False, True, True, False]


def test_an_autumn_day_has_its_25_hours(robin):
    User.objects.filter(pk=robin.pk).update(time_zone="America/New_York")
    Absence.objects.create(user=robin, begins_on=date(2026, 11, 1), ends_on=date(2026, 11, 1))
    day = datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert sum(is_away(robin, day + timedelta(hours=hour)) for hour in range(-3, 30)) == 25


def test_it_moves_with_a_person_who_chooses_another_zone(robin):
    Absence.objects.create(user=robin, begins_on=date(2026, 3, 28), ends_on=date(2026, 3, 28))
    late = datetime(2026, 3, 27, 20, tzinfo=UTC)
    assert not is_away(robin, late)
    User.objects.filter(pk=robin.pk).update(time_zone="Asia/Tokyo")
    assert is_away(robin, late)


def test_it_is_on_record_who_said_so(robin, sam):
    made = gone(robin, sam)
    assert is_away(robin, timezone.now())
    (entry,) = AuditEntry.objects.filter(action="absence.entered")
    assert (entry.actor_id, entry.object_id, entry.object_label) == (robin.pk, str(robin.pk), "Robin")
    assert entry.after["begins_on"] == made.begins_on.isoformat()
    assert entry.after["stand_in"]["v"] == str(sam.pk)


def test_what_is_wrong_is_told_at_its_field(robin, sam, kim, person, other_team, ada):
    assert refused(robin, first=2, last=1) == {"ends_on": "This is before the first day."}
    assert refused(robin, first=-1, last=1) == {"begins_on": "This day is over."}
    assert refused(robin, first=0, last=366) == {"ends_on": "At most 366 days."}
    assert refused(robin, robin) == {"stand_in": "Choose somebody else."}
    assert "reviews in none of the same teams" in refused(robin, person("far", Role.REVIEWER, team=other_team))["stand_in"]
    assert "reviews in none of the same teams" in refused(robin, ada)["stand_in"]
    robot = person("robot", Role.REVIEWER, kind=User.Kind.SERVICE)
    assert refused(robin, robot) == {"stand_in": "A service account never decides."}
    assert "switched off" in refused(robin, person("off", Role.REVIEWER, is_active=False))["stand_in"]
    gone(sam, first=2, last=5)
    assert refused(robin, sam, last=2) == {"stand_in": "Sam is away then too."}
    gone(robin, sam, last=1)
    assert "Another absence is from" in refused(robin, kim, first=1, last=3)["begins_on"]
    assert gone(robin, kim, first=2, last=3)
    assert Absence.objects.filter(user=robin).count() == 2


def test_the_database_keeps_the_days_in_their_order(robin):
    with pytest.raises(IntegrityError), transaction.atomic():
        Absence.objects.create(user=robin, begins_on=date(2026, 3, 28), ends_on=date(2026, 3, 27))


def test_who_may_say_so(robin, sam, ada, person, other_team):
    with pytest.raises(PermissionDenied):
        gone(robin, actor=sam)
    with pytest.raises(PermissionDenied):
        gone(robin, actor=person("mia", Role.ADMIN, team=other_team))
    assert gone(robin, sam, actor=ada).made_by == ada
    with pytest.raises(PermissionDenied):
        absence.cancel(Absence.objects.get().pk, actor=by(sam))
    robot = person("robot", Role.REVIEWER, kind=User.Kind.SERVICE)
    with pytest.raises(PermissionDenied):
        gone(robot, actor=ada)


def test_it_ends_at_once_and_once(robin):
    made = gone(robin)
    assert absence.cancel(made.pk, actor=by(robin))
    assert not is_away(robin, timezone.now())
    assert not absence.cancel(made.pk, actor=by(robin))
    assert AuditEntry.objects.filter(action="absence.cancelled").count() == 1
    assert gone(robin), "and may be entered anew"


def test_one_that_is_over_is_not_ended(robin):
    day = today(robin)
    over = Absence.objects.create(user=robin, begins_on=day - timedelta(days=3), ends_on=day - timedelta(days=1))
    assert not absence.cancel(over.pk, actor=by(robin))
    with pytest.raises(Absence.DoesNotExist):
        absence.cancel(robin.pk, actor=by(robin))


def test_it_begins_once_when_its_first_day_does(robin, sam):
    gone(robin, first=1)
    later = gone(sam, first=1)
    assert absence.begin_due() == 0
    Absence.objects.filter(user=robin).update(begins_on=today(robin))
    assert absence.begin_due() == 1
    assert absence.begin_due() == 0
    absence.cancel(later.pk, actor=by(sam))
    Absence.objects.update(begins_on=today(robin))
    assert absence.begin_due() == 0, "it was cancelled"
    (entry,) = AuditEntry.objects.filter(action="absence.began")
    assert (entry.object_id, entry.via) == (str(robin.pk), "worker")


@pytest.mark.usefixtures("committed")
def test_two_absences_at_once_do_not_overlap_and_two_sweeps_begin_one_once():
    team = Team.objects.create(slug="refunds", name="Refunds")
    robin = User.objects.create_user("robin")
    Membership.objects.create(user=robin, team=team, role=Role.REVIEWER)
    told = []

    def at_once(act):
        together = threading.Barrier(2)

        def run():
            try:
                together.wait()
                told.append(act())
            except ValidationError:
                told.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _each in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    at_once(lambda: gone(robin).user.username)
    assert sorted(told) == ["refused", "robin"]
    told.clear()
    at_once(absence.begin_due)
    assert sorted(told) == [0, 1]
    assert AuditEntry.objects.filter(action="absence.began").count() == 1


def test_who_does_the_work_is_somebody_who_is_there(robin, sam, kim):
    now = timezone.now()
    assert present_for(robin, now) == robin
    gone(robin, sam)
    assert present_for(robin, now) == sam
    gone(sam, kim)
    assert present_for(robin, now) == kim
    gone(kim)
    assert present_for(robin, now) is None
    assert set(away([robin.pk, sam.pk, kim.pk], now)) == {robin.pk, sam.pk, kim.pk}


def test_two_who_stand_in_for_each_other_lead_to_nobody(robin, sam):
    gone(robin, sam)
    Absence.objects.create(user=sam, stand_in=robin, begins_on=today(sam), ends_on=today(sam))
    assert present_for(robin, timezone.now()) is None
    assert present_for(sam, timezone.now()) is None


def test_who_is_switched_off_stands_in_for_nobody(robin, sam):
    made = gone(robin, sam)
    User.objects.filter(pk=sam.pk).update(is_active=False)
    assert present_for(robin, timezone.now()) is None
    assert "stands in" not in Absence.objects.get(pk=made.pk).words()


def test_the_page_enters_lists_and_ends_it(browser, robin, sam, person, other_team):
    person("far", Role.REVIEWER, team=other_team, first_name="Faraway")
    page = browser.get(PAGE).content.decode()
    assert "No absence is entered." in page
    assert "Faraway" not in page
    day = today(robin)
    form = {"begins_on": day.isoformat(), "ends_on": (day + timedelta(days=3)).isoformat(), "stand_in": sam.pk}
    answer = browser.post(PAGE, form, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "You are marked as away now." in answer.content.decode()
    again = browser.post(PAGE, form)
    assert again.status_code == 422
    assert "Another absence is from" in again.context["form"].errors["begins_on"][0]
    made = Absence.objects.get()
    assert (made.user, made.stand_in) == (robin, sam)
    told = browser.post(f"{PAGE}{made.pk}/end/", follow=True).content.decode()
    assert "You are not away then any more." in told
    assert "had ended already" in browser.post(f"{PAGE}{made.pk}/end/", follow=True).content.decode()
    assert PAGE in browser.get("/profile/").content.decode()


def test_the_page_is_ones_own(browser, sam, person):
    other = gone(sam)
    assert browser.post(f"{PAGE}{other.pk}/end/").status_code == 404
    assert browser.get(f"{PAGE}{other.pk}/end/").status_code == 405
    assert Absence.objects.get().cancelled_at is None
    assert Client().get(PAGE)["Location"].startswith("/accounts/login/")
    robot = Client()
    robot.force_login(person("robot", Role.OPERATOR, kind=User.Kind.SERVICE))
    assert robot.get(PAGE).status_code == 403


class TestByAnAdmin:
    @pytest.fixture
    def admin(self, ada):
        client = Client()
        client.force_login(ada)
        return client

    def form(self, user, stand_in=None, last=2):
        day = today(user)
        until = (day + timedelta(days=last)).isoformat()
        return {
            "user": user.pk, "begins_on": day.isoformat(), "ends_on": until, "stand_in": stand_in.pk if stand_in else "",
        }  # fmt: skip

    def test_a_teams_admin_enters_it_for_a_member_and_ends_it(self, admin, ada, robin, sam):
        answer = admin.post("/admin/people/absence/add/", self.form(robin, sam))
        assert answer.status_code == 302, answer.context["errors"]
        made = Absence.objects.get()
        assert (made.user, made.stand_in, made.made_by) == (robin, sam, ada)
        act = {"action": "end", "_selected_action": [str(made.pk)]}
        assert "1 ended." in admin.post("/admin/people/absence/", act, follow=True).content.decode()
        assert "0 ended." in admin.post("/admin/people/absence/", act, follow=True).content.decode()
        actions = AuditEntry.objects.filter(action__startswith="absence").values_list("action", "via", "actor_id")
        assert set(actions) == {("absence.entered", "admin", ada.pk), ("absence.cancelled", "admin", ada.pk)}

    def test_mistakes_are_told_at_their_fields(self, admin, robin, sam):
        answer = admin.post("/admin/people/absence/add/", self.form(robin, robin, last=-1))
        assert {"ends_on", "stand_in"} <= set(answer.context["adminform"].form.errors)
        assert not Absence.objects.exists()

    def test_people_of_other_teams_are_not_there(self, admin, person, other_team):
        stranger = person("stranger", Role.REVIEWER, team=other_team)
        answer = admin.post("/admin/people/absence/add/", self.form(stranger))
        assert "user" in answer.context["adminform"].form.errors
        hidden = gone(stranger)
        assert "stranger" not in admin.get("/admin/people/absence/").content.decode()
        assert admin.get(f"/admin/people/absence/{hidden.pk}/change/").status_code == 302
