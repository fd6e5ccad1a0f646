"""Several senders at once, and senders that die."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from agentdesk.notices import outbox, sending
from agentdesk.notices.models import Announcement, Delivery, Lane
from tests.cast import Cast, make_approval, make_cast
from tests.notices.conftest import Receiver, subscribe


@pytest.fixture
def cast(committed: None) -> Cast:
    return make_cast()


def at_once(*acts: Any) -> list[Any]:
    def alone(act: Any) -> Any:
        try:
            return act()
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(alone, acts))


def test_two_senders_at_once_send_one(cast: Cast, receiver: Receiver):
    subscription = subscribe(receiver.url, cast.support)
    for _approval in range(5):
        make_approval(cast.support)
    assert sorted(at_once(*[outbox.spread] * 3)) == [0, 0, 5] or Delivery.objects.count() == 5
    assert Delivery.objects.count() == 5
    at_once(*[lambda: sending.deliver(str(subscription.pk))] * 3)
    sending.deliver(str(subscription.pk))
    assert len(receiver.got) == 5
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 5
    assert set(Delivery.objects.values_list("state", "tries")) == {("sent", 1)}


def test_two_claims_at_once_take_a_delivery_once(cast: Cast, receiver: Receiver):
    """Also where the lane did not keep them apart."""
    subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    outbox.spread()
    taken = at_once(*[lambda: outbox.claim(Delivery.objects.all(), 5)] * 4)
    assert sum(len(each) for each in taken) == 1


def test_what_a_dead_sender_held_is_sent_when_its_lease_is_over(cast: Cast, receiver: Receiver):
    subscription = subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    outbox.spread()
    assert outbox.enter_lane(str(subscription.pk))
    assert outbox.claim(Delivery.objects.all(), 1)  # and here it dies
    assert outbox.due_lanes() == set()
    sending.deliver(str(subscription.pk))
    assert receiver.got == []
    over = timezone.now() - timedelta(seconds=1)
    Lane.objects.update(busy_until=over)
    Delivery.objects.update(next_at=over)
    assert outbox.due_lanes() == {str(subscription.pk)}
    sending.deliver(str(subscription.pk))
    assert len(receiver.got) == 1
    assert Delivery.objects.get().state == "sent"


def test_what_is_rolled_back_is_told_to_nobody(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support)
    with transaction.atomic():
        make_approval(cast.support)
        assert Announcement.objects.count() == 1
        transaction.set_rollback(True)
    assert not Announcement.objects.exists()
