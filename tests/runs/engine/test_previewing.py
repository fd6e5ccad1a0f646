"""A worker makes the preview that a reviewer asks for, and the run notices nothing."""

import threading
from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import previews
from approvals.models import Approval, Preview, Tool
from runs.engine import previewing, registry
from runs.models import Run, Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.engine.conftest import Engine


def waiting(engine: Engine, to: str = "ada") -> tuple[Run, Approval]:
    run = engine.script("safe", [{"name": "transfer", "args": {"to": to, "amount": "12.50"}}])
    (approval,) = engine.pending(run)
    return run, approval


def preview(engine: Engine, approval: Approval) -> Preview:
    previews.ask(approval.pk, actor=Actor.of(engine.reviewer, "web"))
    previewing.make(approval.pk)
    found = previews.of(approval)
    assert found is not None
    assert found.done_at is not None
    return found


def test_it_says_what_the_tools_own_hook_says_and_leaves_no_trace_in_the_run(engine: Engine) -> None:
    run, approval = waiting(engine)
    steps, revision, attempt = Step.objects.filter(run=run).count(), run.revision, run.attempt
    assert preview(engine, approval).would == {"to": "ada", "amount": "12.50"}
    run.refresh_from_db()
    assert (run.status, run.revision, run.attempt) == (RunStatus.WAITING, revision, attempt)
    assert Step.objects.filter(run=run).count() == steps
    assert ToolCall.objects.get(run=run).status == CallStatus.WAITING
    assert not engine.effects("transfer")
    engine.decide(approval)
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("transfer")) == 1


def test_an_error_of_the_hook_is_told_in_its_parts(engine: Engine) -> None:
    _run, approval = waiting(engine, "nobody")
    error = preview(engine, approval).error
    assert error == {
        "kind": "no_account", "message": "There is no such account.", "retryable": False, "hint": "Ask for the account.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "kind"), [("slow", "timeout"), ("long", "too_long"), (None, "TypeError"), ("tool", "GateMissing")]
)
def test_one_that_cannot_say_is_told_so(engine: Engine, monkeypatch: pytest.MonkeyPatch, hook: str | None, kind: str) -> None:
    over = threading.Event()
    loaded = registry.get("safe").tools

    def acting(to: str, amount: Any, config: Any) -> Any:
        return loaded["service"].invoke({"text": "x"}, config)

    hooks: dict[str, Any] = {
        "slow": lambda to, amount: over.wait(20), "long": lambda to, amount: "x" * 30_000, "tool": acting,
    }  # fmt: skip
    monkeypatch.setitem(loaded["transfer"].metadata or {}, "dry_run", hooks.get(hook or ""))
    Tool.objects.filter(name="transfer").update(timeout_seconds=1, dry_run=True)
    _run, approval = waiting(engine)
    try:
        error = preview(engine, approval).error
    finally:
        over.set()
    assert error is not None
    assert error["kind"] == kind
    assert not engine.effects("service")
    after = AuditEntry.objects.get(action="approval.previewed").after
    assert after is not None
    assert after["error"] == kind


def test_nothing_is_made_that_nobody_waits_for(engine: Engine) -> None:
    _run, approval = waiting(engine)
    previewing.make(approval.pk)
    made = preview(engine, approval)
    previewing.make(approval.pk)
    again = previews.of(approval)
    assert again is not None
    assert again.revision == made.revision
