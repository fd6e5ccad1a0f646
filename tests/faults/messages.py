"""Celery's messages on the wire, for a test that orders, doubles and shuffles them itself."""

import base64
import json
import random
import threading
import time
import uuid
from collections import Counter

import redis


def message(task: str, args: list[str], queue: str) -> str:
    """A task message of Celery's protocol 2 in the envelope of kombu's Redis transport (kombu 5.5, ``virtual.Message``)."""
    task_id = str(uuid.uuid4())
    body = base64.b64encode(
        json.dumps([args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()
    )
    return json.dumps(
        {
            "body": body.decode(), "content-encoding": "utf-8", "content-type": "application/json",
            "headers": {
                "lang": "py", "task": task, "id": task_id, "root_id": task_id, "parent_id": None, "group": None,
                "argsrepr": repr(args), "kwargsrepr": "{}", "retries": 0, "eta": None, "expires": None,
                "timelimit": [None, None], "ignore_result": True,
            },
            "properties": {
                "correlation_id": task_id, "reply_to": str(uuid.uuid4()), "delivery_mode": 2, "priority": 0,
                "delivery_info": {"exchange": "", "routing_key": queue}, "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )  # fmt: skip


class Mixer:
    """Stands between those who send to the queues and those who listen to :meth:`behind` them: every message comes out three
    times, in random order and at random moments within ``spread`` seconds."""

    def __init__(self, address: str, *queues: str, copies: int = 3, spread: float = 0.3, seed: int = 1) -> None:
        self.taken: Counter[str] = Counter()  # by queue
        self.given: Counter[str] = Counter()
        self._broker = redis.Redis.from_url(address)
        self._queues, self._copies, self._spread = queues, copies, spread
        self._random = random.Random(seed)
        self._held: list[tuple[float, str, bytes]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mixer", daemon=True)
        self._thread.start()

    def behind(self, queue: str) -> str:
        """The queue that what was sent to ``queue`` comes out of."""
        return f"{queue}.mixed"

    def close(self) -> None:
        """Stop, and leave no message behind."""
        self._end.set()
        self._thread.join()
        self._broker.delete(*map(self.behind, self._queues))
        self._broker.close()

    def _work(self) -> None:
        while not self._end.is_set():
            for queue in self._queues:
                while (raw := self._broker.rpop(queue)) is not None:
                    assert isinstance(raw, bytes)
                    self.taken[queue] += 1
                    self._held += [
                        (time.monotonic() + self._random.uniform(0, self._spread), queue, self._copy(raw))
                        for _ in range(self._copies)
                    ]
            now = time.monotonic()
            due = [each for each in self._held if each[0] <= now]
            self._held = [each for each in self._held if each[0] > now]
            self._random.shuffle(due)
            for _, queue, copy in due:
                self._broker.lpush(self.behind(queue), copy)
                self.given[queue] += 1
            time.sleep(0.003)

    def _copy(self, raw: bytes) -> bytes:
        """The same message, as a broker delivers it once more: only the transport's own tag differs."""
        envelope = json.loads(raw)
        envelope["properties"]["delivery_tag"] = str(uuid.uuid4())
        return json.dumps(envelope).encode()
