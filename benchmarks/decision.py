"""From the moment a decision is posted to the moment the approved tool starts, on a desk that has nothing else to do."""

import time
from collections.abc import Iterator
from uuid import uuid4

from benchmarks.company import Company
from benchmarks.cycles import Client, Watcher
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.stage import Stage

WARM_UP = 20
SAMPLES = 100
REST = 0.03  # seconds after the pause: what it set off has ended


def measure(stage: Stage, company: Company, watcher: Watcher) -> Iterator[Figure]:
    client = Client(stage.desk.url, company)
    taken = [_once(stage, client, watcher) for _ in range(WARM_UP + SAMPLES)][WARM_UP:]
    yield at_most("decision POST sent → approved tool starts, idle desk, p50", percentile(taken, 50), 30, "ms")
    yield at_most("the same, p95", percentile(taken, 95), 80, "ms")


def _once(stage: Stage, client: Client, watcher: Watcher) -> float:
    name = uuid4().hex
    run = client.start(name)
    seen = watcher.pause_of(run)
    time.sleep(REST)
    sent = time.monotonic_ns()
    client.approve(seen)
    watcher.end_of(run)
    return (_started(stage, name) - sent) / 1e6


def _started(stage: Stage, name: str) -> int:
    line = next(line for line in stage.starts.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
