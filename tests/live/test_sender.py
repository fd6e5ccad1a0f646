"""The background sender: never in the caller's way, and honest about what is lost."""

import threading
import time
from uuid import uuid4

import psutil
import pytest
import redis
from django.db import transaction
from kombu.exceptions import OperationalError

from agentdesk.celery import app
from agentdesk.embedded.ports import free_port
from agentdesk.live import push as push_module
from agentdesk.live import sender as sender_module
from agentdesk.live.push import flush, hint, push, token
from agentdesk.live.sender import Hint, Lane, sender


class Recorded:
    """Stands in the lanes' place and keeps what is offered."""

    def __init__(self):
        self.offered = []
        self.hints = self.events = self

    def offer(self, item):
        self.offered.append(item)


@pytest.fixture
def recorded(monkeypatch):
    stand_in = Recorded()
    monkeypatch.setattr(push_module, "sender", lambda: stand_in)
    return stand_in.offered


def test_it_never_blocks_and_drops_what_does_not_fit():
    gate, sent = threading.Event(), []

    def send(batch):
        gate.wait(10)
        sent.extend(batch)

    lane = Lane("things", send, limit=3, batch=1)
    began = time.monotonic()
    results = [lane.offer(number) for number in range(10)]
    assert time.monotonic() - began < 0.5
    gate.set()
    assert lane.flush(5)
    assert results.count(False) == lane.counts.dropped >= 6
    assert sent == [number for number, taken in enumerate(results) if taken]


def test_it_says_that_things_are_lost_once_a_minute(caplog):
    def send(batch):
        raise OSError("nobody there")

    lane = Lane("things", send, batch=1)
    for number in range(5):
        lane.offer(number)
    assert lane.flush(5)
    assert lane.counts.failed == 5
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "nobody there" in caplog.text


def test_it_goes_on_after_a_failure():
    sent = []

    def send(batch):
        if batch == ["bad"]:
            raise ValueError
        sent.extend(batch)

    lane = Lane("things", send, batch=1)
    for item in ("bad", "good"):
        lane.offer(item)
    assert lane.flush(5)
    assert sent == ["good"]


def test_it_knows_that_it_fails_until_something_leaves_again():
    broken = threading.Event()

    def send(batch):
        if broken.is_set():
            raise redis.ConnectionError("gone")

    lane = Lane("tests", send)
    known = []
    for is_broken in (False, True, False):
        broken.set() if is_broken else broken.clear()
        lane.offer("item")
        assert lane.flush(5)
        known.append(lane.is_failing)
    assert known == [False, True, False]


def test_a_page_says_that_delivery_is_delayed(db, client, monkeypatch):
    told = "Delivery is delayed"
    assert told not in client.get("/accounts/login/").content.decode()
    monkeypatch.setattr(sender().hints, "is_failing", True)
    assert told in client.get("/accounts/login/").content.decode()


def test_it_drops_what_waited_too_long(monkeypatch):
    monkeypatch.setattr(sender_module, "MAX_AGE", 0.05)
    gate, sent = threading.Event(), []

    def send(batch):
        gate.wait(10)
        sent.extend(batch)

    lane = Lane("things", send, batch=1)
    lane.offer("first")
    while lane._in_hand == 0:
        time.sleep(0.01)
    lane.offer("old")
    time.sleep(0.1)
    gate.set()
    assert lane.flush(5)
    assert sent == ["first"]
    assert lane.counts.dropped == 1


def test_it_flushes_within_its_time():
    gate = threading.Event()
    lane = Lane("things", lambda batch: gate.wait(10))
    lane.offer("slow")
    began = time.monotonic()
    assert not lane.flush(0.1)
    assert time.monotonic() - began < 1
    gate.set()
    assert lane.flush(5)


def test_it_tells_after_the_commit_and_not_after_a_rollback(committed, recorded):
    with transaction.atomic():
        push("approval", "a", 2)
        assert recorded == []
    assert recorded == [{"kind": "approval", "id": "a", "version": 2}]
    with transaction.atomic():
        hint("runs.tasks.advance", "r")
        transaction.set_rollback(True)
    assert len(recorded) == 1


def test_it_tells_at_once_where_there_is_no_transaction(recorded, django_db_blocker):
    with django_db_blocker.block():  # not even a connection is opened
        push("step", 7, 1, run="r")
        hint("runs.tasks.advance", "r")
        token("r", "s", 3, "piece")
    assert recorded == [
        {"kind": "step", "id": "7", "version": 1, "run": "r"},
        Hint("runs.tasks.advance", ("r",)),
        {"kind": "token", "run": "r", "step": "s", "seq": 3, "text": "piece"},
    ]


class Queues:
    """What is put into the broker's queues, also where a running desk takes it out again at once."""

    def __init__(self, client):
        self.client, self.monitor = client, client.monitor()
        self.monitor.__enter__()
        self.marks = 0

    def put(self, text):
        """The names of the queues into which messages with this text were put since the last call, in order."""
        self.marks += 1
        mark = f"mark-{self.marks}-{uuid4()}"
        self.client.echo(mark)
        found = []
        while mark not in (command := self.monitor.next_command()["command"]):
            words = command.split(" ", 2)
            if words[0].upper() == "LPUSH" and text in command:
                found.append(words[1])
        return found


@pytest.fixture
def queues(settings):
    settings.AGENTS = settings.AGENTS[:1]  # with several, the queue of a run is asked of the database
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        found = Queues(client)
        yield found
        found.monitor.__exit__(None, None, None)


def test_it_puts_tasks_into_the_queues_of_this_desk(queues, settings):
    run = str(uuid4())
    hint("runs.tasks.advance", run)
    assert flush(10)
    assert queues.put(run) == [settings.QUEUE_RUNS]
    hint("tests.nobody.does.this")
    assert flush(10)
    assert queues.put("tests.nobody.does.this") == [settings.QUEUE_DESK]


def test_who_lost_the_broker_asks_for_it_every_second_and_never_gives_up():
    waited = []
    with app.connection_for_read(url=f"redis://127.0.0.1:{free_port()}/0") as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda error, seconds: waited.append(seconds), 2)
    assert waited[:2] == [1, 1]
    assert app.conf.broker_connection_max_retries is None


def test_it_survives_the_loss_of_its_connections(queues, settings):
    hint("tests.nobody.does.this")
    assert flush(10)
    failed = sender().hints.counts.failed
    own = {f"{each.laddr.ip}:{each.laddr.port}" for each in psutil.Process().net_connections("tcp")}
    for each in queues.client.client_list():
        if each["addr"] in own and each["cmd"] not in ("monitor", "client|list"):
            queues.client.client_kill_filter(_id=each["id"])
    hint("tests.nobody.does.this")
    assert flush(10)
    assert sender().hints.counts.failed == failed
    assert queues.put("tests.nobody.does.this") == [settings.QUEUE_DESK] * 2


def test_it_starts_anew_in_a_forked_process():
    before = sender()
    sender_module._forget()
    try:
        assert sender() is not before
    finally:
        sender_module._sender = before
