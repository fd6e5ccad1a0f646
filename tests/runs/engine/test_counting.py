"""At the gate: rules that count calls, and rules that look at what an agent says of its own confidence."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from approvals.models import Evaluation, Rule
from approvals.policy.versions import publish
from runs.models import ToolCall
from runs.states import RunStatus
from runs.tools.gate import _confidence
from tests.runs.engine.conftest import Engine


def pay(to: str, amount: str = "10.00") -> dict[str, object]:
    return {"name": "pay", "args": {"to": to, "amount": amount}}


def allow(*conditions: dict[str, Any]) -> None:
    Rule.objects.create(name="limited", verdict="allow", conditions=list(conditions))
    publish(None, "test")


def test_five_calls_of_one_message_share_a_limit(engine: Engine):
    allow({"path": "@sum.1h.amount", "op": "<=", "value": 30})
    run = engine.script("teller", [pay(f"person-{n}") for n in range(5)])
    assert run.status == RunStatus.WAITING
    assert len(engine.effects("pay")) == 3
    assert len(engine.pending(run)) == 2


def test_a_run_has_its_own_limit_and_the_next_one_begins_anew(engine: Engine):
    allow({"path": "@count.run", "op": "<=", "value": 1})
    assert engine.script("teller", [pay("ada")]).status == RunStatus.SUCCEEDED
    assert engine.script("teller", [pay("bob")]).status == RunStatus.SUCCEEDED
    assert engine.script("teller", [pay("cy")], [pay("dee")]).status == RunStatus.WAITING


def test_a_dry_run_uses_no_limit_up(engine: Engine):
    allow({"path": "@count.1h", "op": "<=", "value": 1})
    for _ in range(2):
        assert engine.script("teller", [pay("ada")], dry_run=True).status == RunStatus.SUCCEEDED
    assert engine.script("teller", [pay("ada")]).status == RunStatus.SUCCEEDED
    assert Evaluation.objects.filter(counted=True).count() == 1


def test_a_call_that_langchains_middleware_asks_about_first_counts_once(engine: Engine):
    allow({"path": "@count.1h", "op": "<=", "value": 1})
    run = engine.script("hitl", [pay("ada")])
    engine.decide(engine.pending(run)[0])
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert Evaluation.objects.filter(counted=True).count() == 1
    assert ToolCall.objects.get().verdict == "allow"


def test_what_an_approved_call_waited_for_takes_nothing_from_it(engine: Engine):
    Rule.objects.create(name="two", verdict="deny", conditions=[{"path": "@count.1h", "op": ">", "value": 2}])
    publish(None, "test")
    first = engine.script("teller", [pay("ada")])
    second = engine.script("teller", [pay("bob")])
    assert engine.script("teller", [pay("cy")]).status == RunStatus.SUCCEEDED, "denied"
    for run in (second, first):
        engine.decide(engine.pending(run)[0])
        assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert sorted(effect["to"] for effect in engine.effects("pay")) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [(0.7, 0.7), (1, 1.0), ({"c1": 0.2, "c2": 0.9}, 0.2), ({"c2": 0.9}, None), (1.2, None), (-1, None), (True, None),
     ("0.9", None), (None, None), (float("nan"), None)],
)  # fmt: skip
def test_it_reads_what_the_agent_says_of_its_confidence(said: Any, expected: float | None):
    assert _confidence(AIMessage("", additional_kwargs={"confidence": said}), "c1") == expected
