"""50, 80 and 100 % of the time to decide."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.notices.models import Announcement, Level
from approvals import notices
from approvals.decisions import expire_due
from approvals.models import Approval
from approvals.requests import reopen
from approvals.states import Risk
from tests.cast import Cast, make_approval
from tests.notices.conftest import Receiver, run_all, subscribe

HOUR = 3600.0


def told() -> list[tuple[str, int | None]]:
    return list(Announcement.objects.order_by("at", "id").values_list("object_id", "share"))


def leave(approval: Approval, seconds: float) -> None:
    Approval.objects.filter(pk=approval.pk).update(expires_at=timezone.now() + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("left", "share"), [(HOUR, None), (HOUR * 0.51, None), (HOUR * 0.49, 50), (HOUR * 0.21, 50), (HOUR * 0.19, 80), (-1, 100)]
)
def test_it_tells_the_highest_share_that_is_over_once(cast: Cast, left: float, share: int | None):
    subscribe("https://example.com/", cast.support, events=["approval.due"])
    approval = make_approval(cast.support, requirements={"expires_after": HOUR})
    leave(approval, left)
    for _look in range(3):
        notices.tell_due()
    assert told() == ([] if share is None else [(str(approval.pk), share)])


def test_each_share_is_told_in_its_turn_and_expiry_is_the_last(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support, events=["approval.due", "approval.decided"])
    approval = make_approval(cast.support, requirements={"expires_after": HOUR}, risk="high")
    leave(approval, HOUR * 0.4)
    assert notices.tell_due() == 1
    Approval.objects.update(requirements={**approval.requirements, "expires_after": HOUR * 3})  # now a smaller part is left
    assert [notices.tell_due(), notices.tell_due()] == [1, 0]
    leave(approval, -1)
    assert expire_due() == 1
    assert notices.tell_due() == 0
    run_all()
    bodies = [json.loads(got.body) for got in receiver.got]
    said = sorted((body["type"], body["data"]["share"] or 0, body["data"]["outcome"]) for body in bodies)
    assert said == [
        ("approval.decided", 0, "expire"),
        ("approval.due", 50, None),
        ("approval.due", 80, None),
        ("approval.due", 100, None),
    ]


def test_a_question_asked_again_has_its_time_again(cast: Cast):
    subscribe("https://example.com/", cast.support, events=["approval.due"])
    approval = make_approval(cast.support, requirements={"expires_after": HOUR})
    leave(approval, HOUR * 0.45)
    assert notices.tell_due() == 1
    leave(approval, -1)
    expire_due()
    reopen(approval.pk, "Again.", Actor.desk())
    assert notices.tell_due() == 0
    leave(approval, HOUR * 0.4)
    assert notices.tell_due() == 1


def test_without_an_expiry_of_its_own_it_is_the_desks(cast: Cast, settings: Any):
    settings.APPROVAL_EXPIRES_HOURS = 10
    subscribe("https://example.com/", cast.support, events=["approval.due"])
    approval = make_approval(cast.support)
    leave(approval, HOUR * 5.1)
    assert notices.tell_due() == 0
    leave(approval, HOUR * 4.9)
    assert notices.tell_due() == 1


def test_what_never_expires_or_is_decided_or_interests_nobody_is_passed_over(cast: Cast):
    doubt = make_approval(cast.support, kind="in_doubt", allowed=["respond"])
    late = make_approval(cast.support, requirements={"expires_after": HOUR})
    leave(late, 1)
    assert notices.tell_due() == 0, "nobody wants to know"
    subscribe("https://example.com/", cast.support, events=["approval.due"])
    Approval.objects.filter(pk=late.pk).update(status="withdrawn", closed_at=timezone.now())
    assert notices.tell_due() == 0
    assert doubt.expires_at is None


def test_the_levels_are_the_risks_of_approvals():
    assert [(level.value, level.rank) for level in Risk] == [(value, Level.rank_of(value)) for value in Level.values]
    assert Level.rank_of("") == Risk.MEDIUM.rank
