"""People and programs at the desk's API, over HTTP, as they are: they keep a connection, and try the next web process when one
does not answer."""

import http.client
import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentdesk.embedded.ports import LOOPBACK
from tests.faults.stage import Stage

PATIENCE = 30.0  # seconds
ANSWER = 10.0  # seconds for one answer, after which the next process is asked


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any


class Client:
    """One account's token. Not for two threads."""

    def __init__(self, stage: Stage, user: str) -> None:
        self.stage, self.token = stage, stage.tokens[user]
        self.webs = [port for name, port in stage.ports.items() if name in stage.children]
        self.lost_answers = 0
        self.meanwhile: Callable[[], None] = lambda: None  # called again and again while an answer is waited for
        self._connection: http.client.HTTPConnection | None = None
        stage.leaving.append(self.close)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def start(self, agent: str, run_input: Any, name: str) -> str:
        """Start a run whose input holds ``name``, which no other does, and return its id. When the answer is lost with the web
        process, look whether the run is there before asking again: that is what a careful program does."""
        while True:
            answer = self._try("POST", "/api/v1/runs", {"agent": agent, "input": run_input})
            if answer is not None and answer.status < 500:
                if answer.status != 201:
                    raise AssertionError(f"start: {answer}")
                return str(answer.json["id"])
            self.lost_answers += 1
            time.sleep(0.05)
            known = self.stage.sql("SELECT id FROM runs_run WHERE input::text LIKE %(name)s", name=f"%{name}%")
            if known:
                return str(known[0]["id"])

    def script(self, agent: str, name: str, *turns: list[dict[str, Any]]) -> str:
        """Start a run of an agent with the scripted model."""
        script = json.dumps({"turns": turns, "end": "Done.", "name": name})
        return self.start(agent, {"messages": [{"role": "user", "content": script}]}, name)

    def decide(self, approval: dict[str, Any], verdict: str = "approve", **what: Any) -> Answer:
        """Decide, as often as it takes to get an answer: the same post again is no second decision."""
        body = {"verdict": verdict, "digest": approval["digest"], "version": approval["version"], **what}
        return self.post(f"/api/v1/approvals/{approval['id']}/decision", body)

    def post(self, path: str, body: Any) -> Answer:
        return self._insist("POST", path, body)

    def get(self, path: str) -> Answer:
        return self._insist("GET", path)

    def _insist(self, method: str, path: str, body: Any = None) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while (answer := self._try(method, path, body)) is None or answer.status >= 500:
            self.lost_answers += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path}: no answer in {PATIENCE} s, last {answer}")
            time.sleep(0.05)
        return answer

    def _try(self, method: str, path: str, body: Any = None) -> Answer | None:
        """None: the process did not answer, nobody knows whether it did the work."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(LOOPBACK, self.webs[0], timeout=ANSWER)
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            self._wait(self._connection.sock)
            response = self._connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            self.webs = [*self.webs[1:], self.webs[0]]
            return None
        return Answer(response.status, json.loads(text) if text.startswith(("{", "[")) else text)

    def _wait(self, answering: socket.socket) -> None:
        """Raises TimeoutError. Who kills the process that stands at a point must not wait for its answer."""
        deadline = time.monotonic() + ANSWER
        while not select.select([answering], [], [], 0.02)[0]:
            if time.monotonic() > deadline:
                raise TimeoutError
            self.meanwhile()
