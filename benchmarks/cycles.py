"""Whole cycles: start a run, wait until it pauses, approve, wait until it is done. Over HTTP, or by the verbs."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
from django.db import connections

from agentdesk.audit.record import Actor
from approvals import decisions
from benchmarks.company import Company
from benchmarks.stage import AGENT
from runs import lifecycle

PATIENCE = 30.0  # seconds for one pause or one end
TICK = 0.008  # seconds between looks at the database: one query for all that wait

SEEN = """
SELECT r.id, r.status, a.id, a.digest, a.version FROM runs_run r
LEFT JOIN approvals_approval a ON a.source = 'runs' AND a.source_ref = r.id::text AND a.status = 'pending'
WHERE r.id = ANY(%s) AND r.status NOT IN ('queued', 'running')
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a run stands: its status, and the approval that it waits for."""

    status: str
    approval: UUID | None
    digest: str
    version: int


class Watcher:
    """Looks at all runs that somebody waits for, in one query, so that waiting costs the desk next to nothing."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)
        self._waiting: dict[UUID, tuple[bool, threading.Event, list[Seen]]] = {}
        self._over = False
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def backend(self) -> int:
        """The server process that serves it."""
        return self._connection.info.backend_pid

    def pause_of(self, run: UUID) -> Seen:
        return self._wait(run, until_end=False)

    def end_of(self, run: UUID) -> Seen:
        return self._wait(run, until_end=True)

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._connection.close()

    def _wait(self, run: UUID, *, until_end: bool) -> Seen:
        found: list[Seen] = []
        event = threading.Event()
        self._waiting[run] = (until_end, event, found)
        if not event.wait(PATIENCE):
            raise TimeoutError(f"run {run} took more than {PATIENCE} s")
        seen = found[0]
        if seen.status not in ("waiting", "succeeded"):
            raise RuntimeError(f"run {run} {seen.status}")
        return seen

    def _look(self) -> None:
        while not self._over:
            time.sleep(TICK)
            if not self._waiting:
                continue
            for run, status, approval, digest, version in self._connection.execute(SEEN, [list(self._waiting)], prepare=True):
                until_end, event, found = self._waiting[run]
                if (status == "waiting" and (until_end or approval is None)) or event.is_set():
                    continue
                found.append(Seen(status, approval, digest or "", version or 0))
                del self._waiting[run]
                event.set()


class Client:
    """One program with a kept connection: starts runs as the service account, decides as the reviewer."""

    def __init__(self, url: str, company: Company) -> None:
        self.company = company
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)

    def start(self, name: str, agent: str = AGENT) -> UUID:
        run = self._post("runs", {"agent": agent, "input": _input(name)}, self.company.program_token)
        return UUID(run["id"])

    def approve(self, seen: Seen) -> None:
        body = {"verdict": "approve", "digest": seen.digest, "version": seen.version}
        self._post(f"approvals/{seen.approval}/decision", body, self.company.reviewer_token)

    def _post(self, path: str, body: dict[str, Any], token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.connection.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"POST {path}: {response.status} {text[:500]!r}")
        return json.loads(text)


class Verbs:
    """The same without HTTP: the verbs of runs and approvals, called in this process."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def start(self, name: str) -> UUID:
        return lifecycle.start(AGENT, _input(name), actor=Actor.of(self.company.program)).pk

    def approve(self, seen: Seen) -> None:
        assert seen.approval is not None
        actor = Actor.of(self.company.reviewer, "api")
        decisions.decide(seen.approval, actor=actor, verdict="approve", digest=seen.digest, version=seen.version)


@dataclass(frozen=True, slots=True)
class Rate:
    """Cycles done, and the seconds until the last of them was done."""

    cycles: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.cycles / self.seconds


def drive(make_client: Callable[[], Client | Verbs], watcher: Watcher, *, clients: int, seconds: float) -> Rate:
    """Let ``clients`` go round for ``seconds``; each ends the cycle that it has begun. Raises what any of them raises."""
    until = time.monotonic() + seconds

    def go_round() -> int:
        client, done = make_client(), 0
        try:
            while time.monotonic() < until:
                run = client.start(uuid4().hex)
                client.approve(watcher.pause_of(run))
                watcher.end_of(run)
                done += 1
        finally:
            connections.close_all()
        return done

    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(go_round) for _ in range(clients)]
        done = sum(future.result() for future in futures)
    return Rate(done, time.monotonic() - began)


def _input(name: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": name}]}
