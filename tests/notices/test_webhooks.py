"""Webhooks to a real server: bodies, signatures, and servers that fail, hang, redirect, flood."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.notices import outbox, posting
from agentdesk.notices.models import Announcement, Delivery, Event, Subscription
from agentdesk.notices.signing import new_secret
from approvals.decisions import decide
from tests.cast import Cast, make_approval
from tests.notices.conftest import Got, Receiver, make_due, run_all, subscribe

State = Delivery.State


def is_signed(got: Got, secret: str) -> bool:
    """What a receiver does, by the specification alone."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body))
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(expected, each) for each in got.headers["webhook-signature"].split(" "))


@pytest.fixture
def quick(monkeypatch: Any) -> None:
    monkeypatch.setattr(posting, "SECONDS", 0.3)


def test_an_approval_is_told_of_and_signed(cast: Cast, receiver: Receiver):
    subscription: Any = subscribe(receiver.url + "hook?a=1", cast.support)
    approval = make_approval(cast.support, risk="high", args={"order_id": "A-1", "amount": 81.5}, reason="She asked")
    run_all()
    (got,) = receiver.got
    assert got.path == "/hook?a=1"
    assert is_signed(got, subscription.text)
    assert got.headers["content-type"] == "application/json"
    body = json.loads(got.body)
    assert approval.expires_at is not None
    assert body["type"] == "approval.asked"
    assert body["data"] == {
        "object": {"kind": "approval", "id": str(approval.pk)},
        "title": "Issue refund",
        "risk": "high",
        "agent": "support",
        "team": "Support",
        "link": f"http://127.0.0.1:8000/approvals/{approval.pk}/",
        "due_at": approval.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "share": None,
        "outcome": None,
    }
    for secret in (b"A-1", b"81.5", b"She asked"):
        assert secret not in got.body, "arguments and agents' words stay in the desk"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, str(delivery.pk)) == (State.SENT, 1, got.headers["webhook-id"])
    attempt = delivery.attempts.get()
    assert (attempt.ok, attempt.code, attempt.answer[:9]) == (True, 200, "thank you")
    assert len(attempt.answer) <= 500
    assert "\x00" not in attempt.answer
    run_all()
    assert len(receiver.got) == 1, "once sent is sent"


def test_a_changed_body_or_another_secret_is_not_signed(cast: Cast, receiver: Receiver):
    subscription: Any = subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    run_all()
    (got,) = receiver.got
    assert not is_signed(Got(got.path, got.headers, got.body + b" "), subscription.text)
    assert not is_signed(got, new_secret(Subscription()))


def test_two_secrets_are_valid_while_one_takes_the_place_of_the_other(cast: Cast, receiver: Receiver, settings: Any):
    subscription: Any = subscribe(receiver.url, cast.support)
    second = new_secret(subscription)
    subscription.save()
    make_approval(cast.support)
    run_all()
    assert is_signed(receiver.got[0], subscription.text)
    assert is_signed(receiver.got[0], second)
    Subscription.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    make_approval(cast.support)
    run_all()
    assert not is_signed(receiver.got[1], subscription.text)
    assert is_signed(receiver.got[1], second)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "y" * 40
    make_approval(cast.support)
    run_all()
    assert is_signed(receiver.got[2], second), "a new SECRET_KEY of the desk breaks no receiver at once"


def test_500_then_200_comes_again_under_the_same_id(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support)
    receiver.answers = [500, 200]
    make_approval(cast.support)
    run_all()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == (State.WAITING, 1)
    assert timedelta(seconds=3) < delivery.next_at - timezone.now() < timedelta(seconds=6.1)
    run_all()
    assert len(receiver.got) == 1, "not before its time"
    make_due()
    run_all()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (State.SENT, 2)
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [each.code for each in delivery.attempts.all()] == [500, 200]


def test_after_so_many_tries_it_is_a_dead_letter_that_can_be_sent_again(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support)
    receiver.answers = [503]
    make_approval(cast.support)
    for _try in range(outbox.MOST_TRIES + 2):
        run_all()
        make_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, delivery.because) == (State.DEAD, outbox.MOST_TRIES, "HTTP 503")
    assert len(receiver.got) == outbox.MOST_TRIES
    receiver.answers = [204]
    assert outbox.replay(delivery.pk, actor=Actor.of(cast.admin))
    assert not outbox.replay(delivery.pk, actor=Actor.of(cast.admin)), "it is on its way"
    run_all()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.because) == (State.SENT, "")
    assert {got.headers["webhook-id"] for got in receiver.got} == {str(delivery.pk)}


def test_waits_grow_and_heed_what_the_receiver_asks_for(cast: Cast, receiver: Receiver):
    busy = posting.Answer(429, 1)
    waits = [outbox.wait_after(tries, busy).total_seconds() for tries in range(1, outbox.MOST_TRIES + 1)]
    assert waits[:6] == sorted(waits[:6])  # later ones are capped, and a little more or less than that
    assert 4 <= waits[0] <= 6
    assert max(waits) <= 6 * 3600 * 1.2
    assert 4 * 3600 < sum(waits[:-1]) < 16 * 3600
    subscribe(receiver.url, cast.support)
    receiver.answers = [receiver.later]
    make_approval(cast.support)
    run_all()
    assert Delivery.objects.get().next_at - timezone.now() > timedelta(minutes=14)


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_a_server_that_hangs_or_drips_is_left_alone_for_a_while(cast: Cast, receiver: Receiver, quick: None, way: str):
    subscribe(receiver.url, cast.support)
    receiver.answers = [getattr(receiver, way)]
    for _approval in range(3):
        make_approval(cast.support)
    run_all()
    assert len(receiver.got) == 1, "the others wait: nobody is kept busy by a place that does not answer"
    assert outbox.due_lanes() == set()
    attempt = Delivery.objects.get(tries=1).attempts.get()
    assert (attempt.ok, attempt.code, attempt.error) == (False, None, "No answer within 0.3 seconds.")
    assert attempt.milliseconds < 2_000


def test_a_redirect_is_not_followed(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support)
    receiver.answers = [receiver.redirect]
    make_approval(cast.support)
    run_all()
    assert [got.path for got in receiver.got] == ["/"]
    assert Delivery.objects.get().attempts.get().code == 302
    assert Delivery.objects.get().state == State.WAITING


def test_a_flood_is_not_read(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support)
    receiver.answers = [receiver.flood]
    make_approval(cast.support)
    run_all()
    attempt = Delivery.objects.get().attempts.get()
    assert (attempt.ok, attempt.answer) == (True, "x" * 500)


def test_nobody_there_is_tried_again_and_a_private_address_is_not(cast: Cast, receiver: Receiver, settings: Any):
    gone = subscribe("http://127.0.0.1:1/", cast.support)
    private = subscribe("https://localhost:1/", cast.support)
    make_approval(cast.support)
    run_all()
    assert Delivery.objects.get(subscription=gone).state == State.WAITING
    refused = Delivery.objects.get(subscription=private)
    assert refused.state == State.DEAD
    assert "not a public address" in refused.because


def test_it_goes_to_the_teams_that_it_concerns_and_that_want_it(cast: Cast, receiver: Receiver):
    made = {
        "team": subscribe(receiver.url, cast.support),
        "desk": subscribe(receiver.url, None),
        "guests": subscribe(receiver.url, cast.warehouse),
        "grave": subscribe(receiver.url, cast.support, minimum_risk="high"),
        "decided": subscribe(receiver.url, cast.support, events=["approval.decided"]),
        "off": subscribe(receiver.url, cast.support, active=False),
    }
    make_approval(cast.support, risk="medium")
    outbox.spread()
    told = set(Delivery.objects.values_list("subscription", flat=True))
    assert told == {made["team"].pk, made["desk"].pk}
    group = [{"teams": [str(cast.warehouse.pk)], "count": 1}]
    make_approval(cast.support, risk="critical", requirements={"groups": group})
    outbox.spread()
    assert Delivery.objects.filter(subscription__in=[made["guests"].pk, made["grave"].pk]).count() == 2


def test_nothing_is_written_where_nobody_wants_to_know(cast: Cast):
    subscribe("https://example.com/", cast.support, events=["run.failed"])
    make_approval(cast.support)
    assert not Announcement.objects.exists()


def test_a_decision_is_told_of_once_with_its_outcome(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support, events=["approval.decided"])
    approval = make_approval(cast.support)
    post: Any = {"verdict": "reject", "digest": approval.digest, "version": 1, "message": "No"}
    for _time in range(2):
        decide(approval.pk, actor=Actor.of(cast.reviewer), **post)
        run_all()
    (got,) = receiver.got
    assert json.loads(got.body)["data"]["outcome"] == "reject"


def test_slack_gets_text_and_a_button_that_only_opens(cast: Cast, receiver: Receiver):
    subscribe(receiver.url, cast.support, kind=Subscription.Kind.SLACK)
    approval = make_approval(cast.support, risk="critical", action="<!channel> *pay* & run\u202e", args_schema=None)
    run_all()
    (got,) = receiver.got
    assert "webhook-signature" not in got.headers
    body = json.loads(got.body)
    assert "&lt;!channel&gt;" in body["text"]
    assert "<" not in body["text"]
    section, around, actions = body["blocks"]
    assert section["text"]["type"] == "plain_text"
    assert section["text"]["text"].startswith("Critical risk: ")
    assert "‹U+202E›" in section["text"]["text"]
    assert "Support" in around["elements"][0]["text"]
    (button,) = actions["elements"]
    assert button["url"] == f"http://127.0.0.1:8000/approvals/{approval.pk}/"
    assert set(button) == {"type", "text", "url"}, "nothing that Slack would post back"


def test_what_is_switched_off_hears_no_more(cast: Cast, receiver: Receiver):
    subscription = subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    outbox.spread()
    Subscription.objects.update(active=False)
    run_all()
    assert receiver.got == []
    assert Delivery.objects.get(subscription=subscription).state == State.DROPPED


def test_a_test_is_delivered_as_anything_else(cast: Cast, receiver: Receiver):
    subscription: Any = subscribe(receiver.url, cast.support, events=[])
    delivery = outbox.send_test(subscription)
    run_all()
    assert json.loads(receiver.got[0].body)["type"] == Event.TEST
    assert is_signed(receiver.got[0], subscription.text)
    delivery.refresh_from_db()
    assert delivery.state == State.SENT


def test_old_deliveries_are_forgotten_with_their_log(cast: Cast, receiver: Receiver, settings: Any):
    subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    run_all()
    make_approval(cast.support)
    outbox.spread()
    assert outbox.prune() == 0
    Announcement.objects.update(spread_at=timezone.now() - timedelta(days=settings.NOTICES_KEEP_DAYS, hours=1))
    assert outbox.prune() == 1
    assert Delivery.objects.get().state == State.WAITING, "what still waits is kept"
