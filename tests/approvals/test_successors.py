"""Standing approvals of somebody who leaves: offered to whom the admin chose, whose own word they become, or ended."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.leaving import Left, leave
from agentdesk.people.models import Membership, User
from approvals import standing, successors
from approvals.errors import NotAllowed, NotFound, Taken
from approvals.models import StandingApproval, Tool
from tests.approvals.cast import make_team, make_user
from tests.approvals.test_standing import ask, make

LISTING = "/approvals/standing/"


@pytest.fixture
def team(db, settings):
    settings.HOLD_SECONDS = {}
    found = make_team()
    Tool.objects.create(agent="support", team=found, name="issue_refund", schema_version="one", description="Refund.")
    return found


@pytest.fixture
def robin(team):
    return make_user(team, name="robin", first_name="Robin", last_name="Vale")


@pytest.fixture
def sam(team):
    return make_user(team, name="sam", first_name="Sam", last_name="Ashby")


@pytest.fixture
def ada(team):
    return make_user(team, role="admin", name="ada", first_name="Ada")


def by(user):
    return Actor.of(User.objects.get(pk=user.pk), "web")


def go(user, to, actor):
    """The user loses all roles."""
    Membership.objects.filter(user=user).delete()
    return leave(user, to=to, actor=by(actor))


def actions(given):
    found = AuditEntry.objects.filter(object_type="standing", object_id=str(given.pk)).order_by("id")
    return [entry.action for entry in found]


def browse(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_nothing_uses_it_until_the_successor_makes_it_their_own(team, robin, sam, ada):
    given = make(team, robin, budget=Decimal(60), budget_at="amount")
    assert standing.use(ask(team)) is not None
    assert go(robin, sam, ada) == Left(offered=1)
    given.refresh_from_db()
    assert (given.offered_to, given.offered_by_label, given.is_in_force, given.is_offered) == (sam, "Ada", False, True)
    assert standing.use(ask(team)) is None
    mine = successors.take_over(given.pk, actor=by(sam))
    assert mine is not None
    assert (mine.owner, mine.made_by_label, mine.taken_from, mine.made_from) == (sam, "Sam Ashby", given, given.made_from)
    assert (mine.most_uses, mine.budget) == (2, Decimal(36))
    assert (mine.expires_at, mine.conditions) == (given.expires_at, given.conditions)
    decision = standing.use(ask(team))
    assert decision is not None
    assert decision.decided_by == sam
    given.refresh_from_db()
    assert (given.revoked_because, given.uses) == ("Taken over by Sam Ashby.", 1)
    assert actions(given) == ["standing.made", "standing.used", "standing.offered", "standing.taken_over"]
    assert actions(mine) == ["standing.made", "standing.used"]
    offered = AuditEntry.objects.get(action="standing.offered")
    assert (offered.actor_id, offered.after["to"]["v"]) == (ada.pk, str(sam.pk))


def test_taking_it_over_twice_is_once(team, robin, sam, ada):
    given = make(team, robin)
    go(robin, sam, ada)
    assert successors.take_over(given.pk, actor=by(sam)) is not None
    assert successors.take_over(given.pk, actor=by(sam)) is None
    assert StandingApproval.objects.filter(owner=sam).count() == 1


@pytest.mark.usefixtures("committed")
def test_of_two_at_once_one_takes_it_over(settings):
    settings.HOLD_SECONDS = {}
    team = make_team()
    Tool.objects.create(agent="support", team=team, name="issue_refund", schema_version="one", description="Refund.")
    robin, sam, ada = (make_user(team, name=name) for name in ("robin", "sam", "ada"))
    given = make(team, robin)
    go(robin, sam, ada)
    together, made = threading.Barrier(2), []

    def take():
        try:
            together.wait()
            made.append(successors.take_over(given.pk, actor=by(sam)))
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _each in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(None) == 1
    assert StandingApproval.objects.filter(owner=sam).count() == 1


def test_without_a_successor_it_ends_on_record(team, robin, ada):
    given = make(team, robin)
    assert go(robin, None, ada) == Left(ended=1)
    assert leave(robin, to=None, actor=by(ada)) == Left()
    given.refresh_from_db()
    assert (given.revoked_by_label, given.is_open) == ("Ada", False)
    assert given.revoked_because == "Who approved this in advance left, and nobody took it over."
    entry = AuditEntry.objects.get(action="standing.revoked")
    assert (entry.actor_id, entry.after["because"]) == (ada.pk, given.revoked_because)


@pytest.mark.parametrize("why", ["asked for it", "is no reviewer", "the tool changed", "too grave", "is the leaver"])
def test_who_could_not_make_it_is_not_offered_it(team, robin, sam, ada, why):
    given = make(team, robin)
    to = sam
    match why:
        case "asked for it":
            given.made_from.requester = sam
            given.made_from.save()
        case "is no reviewer":
            Membership.objects.filter(user=sam).update(role="operator")
        case "the tool changed":
            Tool.objects.update(schema_version="two")
        case "too grave":
            StandingApproval.objects.update(risk="high")
        case "is the leaver":
            to = robin
    assert go(robin, to, ada) == Left(ended=1)


def test_what_an_admin_made_is_offered_too(team, robin, sam, ada):
    made = StandingApproval(
        team=team, agent="support", action="issue_refund", owner=robin, args={"currency": "EUR"}, risk="low", reason="x",
        expires_at=timezone.now() + timedelta(days=3), most_uses=4,
    )  # fmt: skip
    standing.make_by_admin(made, actor=by(ada))
    assert go(robin, sam, ada) == Left(offered=1)
    mine = successors.take_over(made.pk, actor=by(sam))
    assert mine is not None
    assert mine.made_from is None


def test_who_still_reviews_keeps_theirs(team, robin, sam, ada):
    make(team, robin)
    other = make_team("Billing")
    Membership.objects.create(user=robin, team=other, role="reviewer")
    Membership.objects.filter(user=robin, team=other).delete()
    assert leave(robin, to=sam, actor=by(ada)) == Left()


def test_leaving_one_team_hands_over_what_was_for_that_team(team, robin, sam, ada):
    Membership.objects.create(user=robin, team=make_team("Billing"), role="reviewer")
    given = make(team, robin)
    Membership.objects.filter(user=robin, team=team).delete()
    assert leave(robin, to=sam, actor=by(ada)) == Left(offered=1)
    given.refresh_from_db()
    assert given.offered_to == sam


def test_only_who_it_is_offered_to_takes_it_over(team, robin, sam, ada):
    given = make(team, robin)
    with pytest.raises(NotAllowed, match="not offered to you"):
        successors.take_over(given.pk, actor=by(sam))
    go(robin, sam, ada)
    with pytest.raises(NotAllowed, match="not offered to you"):
        successors.take_over(given.pk, actor=by(ada))
    with pytest.raises(NotFound):
        successors.take_over(given.pk, actor=by(make_user(make_team("Other"), name="eve")))
    with pytest.raises(NotAllowed):
        successors.take_over(given.pk, actor=Actor.desk())
    assert StandingApproval.objects.count() == 1


def test_what_has_changed_since_the_offer_counts(team, robin, sam, ada):
    given = make(team, robin)
    go(robin, sam, ada)
    Tool.objects.update(schema_version="two")
    with pytest.raises(NotAllowed, match="not the one that this was for"):
        successors.take_over(given.pk, actor=by(sam))
    Tool.objects.update(schema_version="one")
    assert standing.revoke(given.pk, actor=by(sam))
    with pytest.raises(Taken, match="ended meanwhile"):
        successors.take_over(given.pk, actor=by(sam))


def test_when_the_successor_leaves_too_it_goes_on_or_ends(team, robin, sam, ada):
    given, other = make(team, robin), make_user(team, name="kim")
    go(robin, sam, ada)
    assert go(sam, other, ada) == Left(offered=1)
    given.refresh_from_db()
    assert given.offered_to == other
    assert go(other, None, ada) == Left(ended=1)


def test_the_page_asks_the_successor_and_tells_the_others(team, robin, sam, ada):
    given = make(team, robin)
    go(robin, sam, ada)
    told = browse(ada).get(LISTING).text
    assert "Ada handed this over to Sam Ashby, because Robin Vale left." in told
    assert "Accept as yours" not in told
    client = browse(sam)
    asked = client.get(LISTING).text
    assert "Ada handed this over to you, because Robin Vale left." in asked
    assert "Let it end" in asked
    take = f"{LISTING}{given.pk}/take/"
    assert client.get(take).status_code == 405
    assert browse(make_user(make_team("Other"), name="eve")).post(take).status_code == 404
    done = client.post(take, follow=True).text
    assert "Taken over: calls like these are approved from now on, in your name." in done
    assert "Taken over by Sam Ashby." in done
    assert "You had taken it over already." in client.post(take, follow=True).text


def test_the_successor_lets_it_end(team, robin, sam, ada):
    given = make(team, robin)
    go(robin, sam, ada)
    client = browse(sam)
    page = client.post(f"{LISTING}{given.pk}/revoke/", follow=True).text
    assert "Revoked by Sam Ashby" in page
    assert "It has ended meanwhile." in client.post(f"{LISTING}{given.pk}/take/", follow=True).text


def test_the_admin_is_told_what_became_of_them(team, robin, sam, ada):
    make(team, robin)
    given = {"first_name": "Robin", "last_name": "Vale", "hand_over_to": sam.pk}
    page = browse(ada).post(f"/admin/people/user/{robin.pk}/change/", given, follow=True).text
    assert "Standing approvals offered to whom you chose: 1. Ended: 0." in page
