import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from approvals.models import Approval
from runs.engine.advance import advance
from runs.models import Run, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

RUNS = 200
VERDICTS = ("approve", "modify", "reject", "respond")


def test_it_crosses_no_answers_and_repeats_no_effects_over_two_hundred_runs(engine: Engine) -> None:
    """2 and 5 gated calls in one message, in create_agent and in a plain ToolNode; decided in any order, wake-ups doubled."""

    def one(number: int) -> None:
        try:
            _one(engine, number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(RUNS)))

    paid: dict[str, list[str]] = {}
    for effect in engine.effects("pay"):
        paid.setdefault(effect["to"], []).append(effect["amount"])
    expected: dict[str, list[str]] = {}
    for call in ToolCall.objects.select_related("decision"):
        assert call.decision is not None
        verdict = call.decision.verdict
        if verdict in ("approve", "modify"):
            amount = call.asked_args["amount"] if verdict == "approve" else f"9{call.asked_args['amount']}"
            expected[call.asked_args["to"]] = [amount]
        wanted = {"reject": CallStatus.REJECTED}.get(verdict, CallStatus.SUCCEEDED)
        assert call.status == wanted
    assert paid == expected
    assert Run.objects.filter(status=RunStatus.SUCCEEDED).count() == RUNS


def _one(engine: Engine, number: int) -> None:
    dice = random.Random(number)
    count, agent = (2, 5)[number % 2], ("teller", "plain")[number // 2 % 2]
    calls = [{"name": "pay", "args": {"to": f"run-{number}-call-{n}", "amount": f"{n + 1}.00"}} for n in range(count)]
    run = engine.script(agent, calls)
    approvals = engine.pending(run)
    assert len(approvals) == count
    dice.shuffle(approvals)
    for approval in approvals:
        engine.decide(approval, **_decision(approval, dice))
        if dice.random() < 0.3:
            advance(run.pk)
    advance(run.pk)
    advance(run.pk)


def _decision(approval: Approval, dice: random.Random) -> dict[str, Any]:
    verdict = dice.choice(VERDICTS)
    changed = {**approval.args, "amount": f"9{approval.args['amount']}"}
    what: dict[str, dict[str, Any]] = {
        "approve": {"verdict": "approve"}, "modify": {"verdict": "modify", "args": changed},
        "reject": {"verdict": "reject", "message": f"no {approval.args['to']}"},
        "respond": {"verdict": "respond", "answer": f"by hand: {approval.args['to']}"},
    }  # fmt: skip
    return what[verdict]
