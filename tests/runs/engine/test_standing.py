"""Calls that were approved in advance, through the gate."""

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import standing, switches
from approvals.models import Approval, Rule, StandingApproval, Tool
from approvals.policy.versions import publish
from runs.models import Run, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def given(engine: Engine) -> StandingApproval:
    """Approve one payment, and the next three like it."""
    Tool.objects.filter(agent="teller", name="pay").update(risk="low")
    run = engine.script("teller", [PAY])
    (approval,) = engine.pending(run)
    engine.decide(approval)
    engine.advance(run)
    wanted = standing.Wanted("The same every week", 7, 3, exactly=frozenset({"to", "amount"}))
    return standing.make(approval.pk, wanted, actor=Actor.of(engine.reviewer, "web"))


def test_the_run_goes_on_without_a_pause_and_the_record_says_by_whom(engine: Engine) -> None:
    made = given(engine)
    run = engine.script("teller", [PAY])
    assert run.status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 2
    call = ToolCall.objects.get(run=run)
    assert call.decision is not None
    assert call.approval is not None
    assert (call.verdict, call.status, call.decision.via) == ("ask", CallStatus.SUCCEEDED, "standing")
    assert call.decision.consumed_at is not None
    assert call.executed_digest == call.decision.digest
    assert not AuditEntry.objects.filter(run_id=run.pk, action="run.waiting").exists()
    actions = AuditEntry.objects.filter(object_id=str(call.approval_id)).order_by("id").values_list("action", flat=True)
    assert list(actions)[:2] == ["approval.requested", "approval.decided"]
    made.refresh_from_db()
    assert made.uses == 1


def test_another_payment_waits(engine: Engine) -> None:
    given(engine)
    run = engine.script("teller", [{"name": "pay", "args": {"to": "eve", "amount": "12.50"}}])
    assert (run.status, len(engine.pending(run))) == (RunStatus.WAITING, 1)


def test_a_dry_run_uses_nothing_up(engine: Engine) -> None:
    made = given(engine)
    run = engine.script("teller", [PAY], dry_run=True)
    assert run.status == RunStatus.WAITING
    made.refresh_from_db()
    assert made.uses == 0


def test_rules_that_deny_and_switches_come_first(engine: Engine) -> None:
    given(engine)
    tool = Tool.objects.get(agent="teller", name="pay")
    assert switches.switch(tool, on=False, actor=Actor.of(engine.operator))
    assert ToolCall.objects.get(run=engine.script("teller", [PAY])).status == CallStatus.DENIED
    tool.refresh_from_db()
    assert switches.switch(tool, on=True, actor=Actor.of(engine.operator), seen=tool.switched_at)
    Rule.objects.create(name="none", action="pay", verdict="deny")
    publish(None, "test")
    run = engine.script("teller", [PAY])
    assert ToolCall.objects.get(run=run).status == CallStatus.DENIED
    assert len(engine.effects("pay")) == 1


def test_several_of_one_message_use_it_as_often_as_it_may_be_used(engine: Engine) -> None:
    made = given(engine)
    StandingApproval.objects.filter(pk=made.pk).update(most_uses=2)
    run = engine.script("teller", [{**PAY, "id": f"c{n}"} for n in range(3)])
    assert run.status == RunStatus.WAITING
    assert len(engine.pending(run)) == 1
    made.refresh_from_db()
    assert made.uses == 2
    engine.decide(engine.pending(run)[0])
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("pay")) == 4
    assert Approval.objects.filter(source_ref=str(Run.objects.get(pk=run.pk).pk)).count() == 3
