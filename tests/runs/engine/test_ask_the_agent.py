"""A reviewer asks the agent something: the model reads the question, and its next call is linked to it."""

from approvals.models import Approval, Decision
from runs.models import ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}
AGAIN = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def test_nothing_is_executed_the_model_reads_the_question_and_the_next_call_follows(engine: Engine) -> None:
    run = engine.script("teller", [PAY], [AGAIN])
    (first,) = engine.pending(run)
    engine.decide(first, "ask", message="Which Ada?")
    run = engine.advance(run)
    assert run.status == RunStatus.WAITING
    asked = ToolCall.objects.get(approval=first)
    assert (asked.status, asked.executed_args, len(engine.effects("pay"))) == (CallStatus.REJECTED, None, 0)
    assert asked.error is not None
    assert asked.error["kind"] == "question"
    assert (
        "has a question before they decide about this call of pay. It was not executed. Question: Which Ada?"
        in asked.error["message"]
    )
    assert "make the call again" in asked.error["hint"]
    assert Decision.objects.get(approval=first).consumed_at is not None
    (second,) = engine.pending(run)
    assert second.follows_id == first.pk
    engine.decide(second)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 1
    assert not Approval.objects.filter(follows=second).exists()
