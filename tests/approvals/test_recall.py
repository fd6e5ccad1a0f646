"""Taking a decision back while it is held."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from approvals.decisions import recall
from approvals.errors import NotAllowed, NotFound, Released
from approvals.models import Approval, Decision
from approvals.states import Status
from tests.approvals.cast import entries, make_approval, make_team, make_user, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def reviewer(team):
    return make_user(team, name="reviewer")


@pytest.fixture
def held(team, reviewer):
    """An approval whose decision waits for its release."""
    approval = make_approval(team)
    post(approval, reviewer)
    Approval.objects.filter(pk=approval.pk).update(status=Status.HELD)
    Decision.objects.filter(approval=approval).update(release_at=timezone.now() + timedelta(seconds=30))
    approval.refresh_from_db()
    return approval


def test_it_asks_again_and_keeps_the_old_decision_as_void(held, reviewer):
    approval = recall(held.pk, actor=Actor.of(reviewer))
    assert (approval.status, approval.version) == (Status.PENDING, 2)
    assert Decision.objects.get(approval=held).voided_at is not None
    assert "approval.recalled" in {entry.action for entry in entries(held)}


def test_it_recalls_once(held, reviewer):
    recall(held.pk, actor=Actor.of(reviewer))
    with pytest.raises(Released):
        recall(held.pk, actor=Actor.of(reviewer))


def test_it_is_too_late_once_released(held, reviewer):
    Decision.objects.filter(approval=held).update(release_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Released):
        recall(held.pk, actor=Actor.of(reviewer))


def test_only_those_who_may_decide_take_it_back(held, team):
    with pytest.raises(NotFound):
        recall(held.pk, actor=Actor.of(make_user(make_team("others"), name="stranger")))
    with pytest.raises(NotAllowed):
        recall(held.pk, actor=Actor.of(make_user(team, name="olga", role="operator")))
    with pytest.raises(NotAllowed):
        recall(held.pk, actor=Actor.desk())
