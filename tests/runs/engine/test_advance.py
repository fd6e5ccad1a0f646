from agentdesk.audit.models import AuditEntry
from approvals.models import Decision
from runs.models import Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def test_it_pauses_for_a_person_and_goes_on_with_exactly_that_decision(engine: Engine) -> None:
    run = engine.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert engine.effects("pay") == []
    (approval,) = engine.pending(run)
    assert (approval.action, approval.args) == ("pay", PAY["args"])

    engine.decide(approval)
    run = engine.advance(run)

    assert run.status == RunStatus.SUCCEEDED
    (call,) = ToolCall.objects.filter(run=run)
    assert (call.status, call.executed_args) == (CallStatus.SUCCEEDED, PAY["args"])
    assert call.executed_digest == call.approved_digest == approval.digest
    assert engine.effects("pay") == [{"effect": "pay", "to": "ada", "amount": "12.50", "key": str(call.pk)}]
    assert Decision.objects.get(approval=approval).delivered_at is not None
    actions = set(AuditEntry.objects.filter(run_id=run.pk).values_list("action", flat=True))
    assert {"run.started", "call.asked", "run.waiting", "call.executing", "call.succeeded", "run.succeeded"} <= actions
    kinds = list(Step.objects.filter(run=run).values_list("kind", flat=True))
    assert {"node", "model", "tool", "pause", "decision"} <= set(kinds)
    assert not Step.objects.filter(run=run, status="open").exists()
