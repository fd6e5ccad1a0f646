"""A real desk whose workers a test kills, and what it counts from outside."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from agentdesk.audit.record import Actor
from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.secrets import load_secrets
from agentdesk.embedded.valkey import Valkey
from agentdesk.people.models import User
from approvals.decisions import decide
from approvals.models import Approval, Rule
from approvals.policy.versions import publish
from runs import lifecycle
from runs.models import Run
from tests.desk import Desk


class Crew:
    """Starts runs and decides on a running desk, as its own people."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.operator = User.objects.get(username="operator")
        self.reviewer = User.objects.get(username="reviewer")

    def start(self, agent: str, run_input: Any) -> Run:
        return lifecycle.start(agent, run_input, actor=Actor.of(self.operator))

    def script(self, agent: str, *turns: list[dict[str, Any]]) -> Run:
        return self.start(agent, {"messages": [{"role": "user", "content": json.dumps({"turns": turns})}]})

    def allow(self, action: str) -> None:
        if not Rule.objects.filter(action=action, verdict="allow").exists():
            Rule.objects.create(name=f"allow {action}", action=action, verdict="allow")
            publish(None, "test")

    def wait(self, run: Run, *statuses: str, seconds: float = 40) -> Run:
        return self.until(lambda: run if self._fresh(run).status in statuses else None, f"run to be {statuses}", seconds)

    def _fresh(self, run: Run) -> Run:
        run.refresh_from_db()
        return run

    def until[T](self, look: Callable[[], T | None], what: str, seconds: float = 40) -> T:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                logs = "\n".join(self.desk.log(name)[-2000:] for name in ("runs", "worker", "beat"))
                raise AssertionError(f"waited {seconds} s for {what}\n{logs}")
            time.sleep(0.05)
        return found

    def pending(self, run: Run) -> list[Approval]:
        return list(Approval.objects.filter(source_ref=str(run.pk), status="pending"))

    def decide(self, approval: Approval, verdict: str = "approve", **what: Any) -> None:
        actor = Actor.of(self.reviewer)
        decide(approval.pk, actor=actor, verdict=verdict, digest=approval.digest, version=approval.version, **what)

    def effects(self, **wanted: Any) -> list[dict[str, Any]]:
        file = self.desk.folder / "effects.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [line for line in lines if wanted.items() <= line.items()]


@pytest.fixture
def crew(desk: Desk) -> Crew:
    return Crew(desk)


@pytest.fixture
def valkey() -> Generator[Valkey]:
    """A broker of this test's own, which it may stop."""
    folder = Path(tempfile.mkdtemp(prefix="agentdesk-outage-"))  # pytest's own folders are closed to the server's account
    folder.chmod(0o711)
    server = Valkey(folder, load_secrets(folder / "secrets.json"), service_account())
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)
