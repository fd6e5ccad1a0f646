"""An engine in this process: agents of tests/agents, runs driven by ``advance`` as a worker would."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from agentdesk.audit.record import Actor
from agentdesk.people.models import Membership, Role, Team, User
from approvals.decisions import Outcome, decide
from approvals.models import Approval
from runs import lifecycle
from runs.engine import process, registry
from runs.engine.advance import advance
from runs.engine.agents import write_agents
from runs.models import Run
from tests.conftest import begin_with
from tests.services import CHECKOUT

MANIFEST = Path(__file__).parents[2] / "agents" / "langgraph.json"


class Engine:
    """The cast, and the verbs of a test: start, advance, decide."""

    def __init__(self, effects: Path) -> None:
        self.effects_file = effects
        registry.load_all()
        if all(Path(manifest).is_relative_to(CHECKOUT) for manifest in settings.AGENTS):
            begin_with(("engine", registry.only(), *settings.AGENTS), self._begin)
        else:  # the test's own, which no other test has
            self._begin()
        self.team = Team.objects.get(slug="a-team")
        self.reviewer = User.objects.get(username="rita")
        self.operator = User.objects.get(username="olga")

    def _begin(self) -> None:
        self.team = Team.objects.create(slug="a-team", name="A team")
        self._person("rita", Role.REVIEWER)
        self._person("olga", Role.OPERATOR)
        write_agents()

    def _person(self, name: str, role: Role) -> User:
        user = User.objects.create_user(name)
        Membership.objects.create(user=user, team=self.team, role=role)
        return user

    def another_reviewer(self, name: str) -> User:
        return self._person(name, Role.REVIEWER)

    def start(self, agent: str, run_input: Any, **options: Any) -> Run:
        run = lifecycle.start(agent, run_input, actor=Actor.of(self.operator), **options)
        return self.advance(run)

    def script(self, agent: str, *turns: list[dict[str, Any]], **options: Any) -> Run:
        script = json.dumps({"turns": turns})
        return self.start(agent, {"messages": [{"role": "user", "content": script}]}, **options)

    def advance(self, run: Run) -> Run:
        advance(run.pk)
        run.refresh_from_db()
        return run

    def pending(self, run: Run) -> list[Approval]:
        return list(Approval.objects.filter(source_ref=str(run.pk), status="pending").order_by("requested_at"))

    def decide(self, approval: Approval, verdict: str = "approve", **what: Any) -> Outcome:
        approval.refresh_from_db()
        return decide(
            approval.pk,
            actor=Actor.of(self.reviewer),
            verdict=verdict,
            digest=approval.digest,
            version=approval.version,
            **what,
        )

    def output(self, run: Run) -> dict[str, Any]:
        assert isinstance(run.output, dict)
        return run.output

    def effects(self, kind: str = "") -> list[dict[str, Any]]:
        lines = self.effects_file.read_text().splitlines() if self.effects_file.exists() else []
        return [effect for effect in map(json.loads, lines) if not kind or effect["effect"] == kind]


@pytest.fixture
def engine(committed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Engine]:
    monkeypatch.setenv("EFFECTS_FILE", str(tmp_path / "effects.jsonl"))
    with override_settings(AGENTS=[str(MANIFEST)]):
        try:
            yield Engine(tmp_path / "effects.jsonl")
        finally:
            process.close()
