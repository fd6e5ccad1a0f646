"""At the gate: tools that are not the ones an admin reviewed, or that nobody knows."""

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, decode
from approvals import tools
from approvals.models import Evaluation, Rule, Tool
from approvals.policy.versions import publish
from runs.models import ToolCall
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "10.00"}}


@pytest.fixture
def allowed(engine: Engine) -> Engine:
    Rule.objects.create(name="all", verdict="allow")
    publish(None, "test")
    return engine


def reviewed_otherwise(**then: object) -> Tool:
    """As if ``pay`` had been another one when an admin reviewed it."""
    Tool.objects.filter(agent="teller", name="pay").update(**then)
    return Tool.objects.get(agent="teller", name="pay")


@pytest.mark.parametrize("then", [{"accepted_description": "Pays."}, {"accepted_schema_version": "sha256:other"}])
def test_a_changed_tool_is_asked_about_until_an_admin_accepts_it(allowed: Engine, then: dict[str, str]):
    tool = reviewed_otherwise(**then)
    run = allowed.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert Evaluation.objects.get().facts["schema_changed"] is True
    tools.accept(tool.pk, tool.code_version, Actor.of(allowed.operator))
    assert allowed.script("teller", [PAY]).status == RunStatus.SUCCEEDED


def test_a_worker_notices_a_change_that_no_sync_has_seen(allowed: Engine):
    then = {"description": "Pays.", "schema_version": "sha256:then"}
    reviewed_otherwise(**then, **{f"accepted_{name}": value for name, value in then.items()})
    run = allowed.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert Tool.objects.get(agent="teller", name="pay").description == "Pay an amount to somebody."
    assert AuditEntry.objects.filter(action="tool.changed", run_id=run.pk).count() == 1


def test_what_was_approved_before_the_change_keeps_its_verdict(engine: Engine):
    run = engine.script("teller", [PAY])
    (approval,) = engine.pending(run)
    # The code is another one when the run goes on: what is stored here is what was asked under the old one.
    old = "sha256:" + "0" * 64
    digest = action_digest("teller", "pay", old, decode(approval.args))
    ToolCall.objects.update(schema_version=old, digest=digest)
    type(approval).objects.update(schema_version=old, digest=digest)
    Tool.objects.filter(name="pay").update(accepted_schema_version=old)
    engine.decide(approval)
    run = engine.advance(run)
    assert (run.status, len(engine.effects("pay"))) == (RunStatus.SUCCEEDED, 1)
    assert ToolCall.objects.count() == 1


def test_a_tool_without_a_row_is_an_alarm_and_asked(allowed: Engine):
    Tool.objects.filter(agent="teller", name="pay").delete()
    run = allowed.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert Tool.objects.get(agent="teller", name="pay").labels_from == "run"
    assert AuditEntry.objects.filter(action="tool.unknown", run_id=run.pk).count() == 1


def test_a_name_that_the_model_made_up_is_no_tool(allowed: Engine):
    before = Tool.objects.count()
    run = allowed.script("teller", [{"name": "steal", "args": {}}])
    assert run.status == RunStatus.SUCCEEDED
    assert Tool.objects.count() == before
    assert not AuditEntry.objects.filter(action="tool.unknown").exists()
