"""Taking back what a tool did: a run of its own, with one call that passes the gate."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.people.models import Membership, Role, Team, User
from approvals.models import Approval, Rehearsal, Tool
from approvals.states import Kind
from runs import lifecycle, retention, undo
from runs.errors import InvalidReason, NotAllowed, NotOffered, NotUndoable, UnknownCall
from runs.models import Run, ToolCall
from runs.states import CallStatus, RunStatus
from runs.tools.endings import settle
from tests.runs.engine.conftest import Engine
from tests.runs.engine.test_gate import allow

WHY = "It went to the wrong person."


def done(engine: Engine, to: str = "ada") -> ToolCall:
    """A transfer that ran."""
    allow(engine, "transfer")
    run = engine.script("safe", [{"name": "transfer", "args": {"to": to, "amount": "12.50"}}])
    call = ToolCall.objects.get(run=run)
    assert call.status == CallStatus.SUCCEEDED
    return call


def ask(engine: Engine, call: ToolCall, who: User | None = None, reason: str = WHY) -> Run:
    return undo.undo(call.pk, reason, actor=Actor.of(who or engine.operator, "web"))


def actions(run: Run) -> list[str]:
    return list(AuditEntry.objects.filter(run_id=run.pk).order_by("id").values_list("action", flat=True))


def test_it_is_asked_about_executed_once_and_shown_where_it_was_done(engine: Engine) -> None:
    call = done(engine)
    run = engine.advance(ask(engine, call))
    assert (run.status, run.title, run.undoes_id) == (RunStatus.WAITING, "Undo transfer", call.pk)
    (approval,) = engine.pending(run)
    assert (approval.action, decode(approval.args)["to"], decode(approval.args)["amount"]) == ("undo:transfer", "ada", "12.50")
    assert (approval.adapter, approval.reason, approval.subject) == ("undo", WHY, "")
    assert approval.allowed == ["approve", "reject"]
    assert not engine.effects("take_back")
    engine.decide(approval)
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    own = ToolCall.objects.get(run=run)
    (effect,) = engine.effects("take_back")
    receipt = {"to": "ada", "amount": "12.50"}
    assert effect == {"effect": "take_back", "amount": "12.50", "to": "ada", "receipt": receipt, "key": str(own.pk)}
    call.refresh_from_db()
    assert call.status == CallStatus.UNDONE
    assert [one for one in actions(call.run) if "undo" in one] == ["call.undo_asked", "call.undone"]
    asked = AuditEntry.objects.get(action="call.undo_asked")
    assert asked.actor_id == engine.operator.pk
    assert asked.content is not None
    assert asked.content.body["reason"] == WHY
    engine.advance(run)
    assert len(engine.effects("take_back")) == 1


def test_what_was_undone_is_undone_no_second_time(engine: Engine) -> None:
    allow(engine, "undo:transfer")
    call = done(engine)
    engine.advance(ask(engine, call))
    with pytest.raises(NotUndoable, match="undone already"):
        ask(engine, call)
    assert len(engine.effects("take_back")) == 1


def test_while_one_is_on_its_way_the_second_wish_finds_it(engine: Engine) -> None:
    call = done(engine)
    first = ask(engine, call)
    assert ask(engine, call, engine.reviewer) == first
    assert Run.objects.filter(undoes=call).count() == 1


def test_two_who_ask_at_once_get_one_run(engine: Engine) -> None:
    call = done(engine)
    ready, found = threading.Barrier(2), []

    def act(who: User) -> None:
        ready.wait()
        found.append(ask(engine, call, who).pk)
        connection.close()

    threads = [threading.Thread(target=act, args=[who]) for who in (engine.operator, engine.reviewer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_who_asks_for_it_does_not_approve_it(engine: Engine) -> None:
    call = done(engine)
    run = engine.advance(ask(engine, call, engine.reviewer))
    (approval,) = engine.pending(run)
    assert approval.requester_id == engine.reviewer.pk
    with pytest.raises(Exception, match="You asked for this yourself"):
        engine.decide(approval)


def test_a_rejected_one_leaves_it_done_and_may_be_asked_for_again(engine: Engine) -> None:
    call = done(engine)
    run = engine.advance(ask(engine, call))
    engine.decide(engine.pending(run)[0], "reject", message="It was right.")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    call.refresh_from_db()
    assert (call.status, engine.effects("take_back")) == (CallStatus.SUCCEEDED, [])
    assert ask(engine, call) != run


def test_one_that_fails_leaves_it_done(engine: Engine) -> None:
    allow(engine, "undo:transfer")
    call = done(engine, "closed")
    run = engine.advance(ask(engine, call))
    own = ToolCall.objects.get(run=run)
    call.refresh_from_db()
    assert (own.status, own.error and own.error["kind"], call.status) == (CallStatus.FAILED, "closed", CallStatus.SUCCEEDED)


@pytest.mark.parametrize(("answer", "status"), [("happened", CallStatus.UNDONE), ("did_not_happen", CallStatus.SUCCEEDED)])
@pytest.mark.parametrize("ended", [False, True])
def test_one_in_doubt_is_what_people_say_it_was(engine: Engine, answer: str, status: CallStatus, ended: bool) -> None:
    allow(engine, "undo:transfer")
    call = done(engine, "slow")
    run = engine.advance(ask(engine, call))
    assert run.status == RunStatus.WAITING
    (doubt,) = engine.pending(run)
    assert doubt.kind == Kind.IN_DOUBT
    if ended:
        lifecycle.cancel(run.pk, actor=Actor.of(engine.operator))
        with pytest.raises(NotUndoable, match="earlier undo"):
            ask(engine, call)
    engine.decide(doubt, "respond", answer=answer)
    if ended:
        settle(run.pk)  # as the worker's task does that hears of the decision
    else:
        engine.advance(run)
    call.refresh_from_db()
    assert (call.status, len(engine.effects("take_back"))) == (status, 1)


def test_after_its_window_it_is_too_late_also_with_leave(engine: Engine) -> None:
    Tool.objects.filter(name="transfer").update(undo_seconds=60)
    call = done(engine)
    run = engine.advance(ask(engine, call))
    engine.decide(engine.pending(run)[0])
    ToolCall.objects.filter(pk=call.pk).update(ended_at=timezone.now() - timedelta(seconds=61))
    run = engine.advance(run)
    assert ToolCall.objects.get(run=run).status == CallStatus.DENIED
    assert not engine.effects("take_back")
    with pytest.raises(NotUndoable, match="is over"):
        ask(engine, call)


def test_a_rule_that_denies_it_stops_it(engine: Engine) -> None:
    call = done(engine)
    Tool.objects.filter(name="undo:transfer").update(enabled=False)
    run = engine.advance(ask(engine, call))
    assert (ToolCall.objects.get(run=run).status, engine.effects("take_back")) == (CallStatus.DENIED, [])


def test_in_a_dry_run_nothing_is_undone(engine: Engine) -> None:
    allow(engine, "undo:transfer")
    call = done(engine)
    Rehearsal.objects.create(began_by_label="test")
    run = engine.advance(ask(engine, call))
    call.refresh_from_db()
    assert (ToolCall.objects.get(run=run).status, call.status) == (CallStatus.SIMULATED, CallStatus.SUCCEEDED)
    assert not engine.effects("take_back")


def test_only_people_of_the_team_ask_for_it_and_they_say_why(engine: Engine) -> None:
    call = done(engine)
    stranger = User.objects.create_user("stranger")
    Membership.objects.create(user=stranger, team=Team.objects.create(slug="other", name="Other"), role=Role.OPERATOR)
    with pytest.raises(UnknownCall):
        ask(engine, call, stranger)
    program = User.objects.create_user("program", kind=User.Kind.SERVICE)
    Membership.objects.create(user=program, team=engine.team, role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        ask(engine, call, program)
    with pytest.raises(InvalidReason):
        ask(engine, call, reason=" \n ")
    with pytest.raises(InvalidReason):
        ask(engine, call, reason="x" * (undo.LONGEST_REASON + 1))
    assert not Run.objects.filter(undoes__isnull=False).exists()


def test_what_did_not_run_and_what_nothing_undoes_stays(engine: Engine) -> None:
    run = engine.script("safe", [{"name": "transfer", "args": {"to": "ada", "amount": "12.50"}}])
    waiting = ToolCall.objects.get(run=run)
    with pytest.raises(NotUndoable, match="ran and succeeded"):
        ask(engine, waiting)
    allow(engine, "flaky")
    flaky = ToolCall.objects.get(run=engine.script("safe", [{"name": "flaky", "args": {"good_at": 1}}]))
    with pytest.raises(NotUndoable, match="Nothing undoes"):
        ask(engine, flaky)
    Tool.objects.filter(name="flaky").update(undo_tool="gone")
    with pytest.raises(NotUndoable, match="not known"):
        ask(engine, flaky)
    Tool.objects.filter(name="flaky").update(undo_tool="undo:transfer")
    with pytest.raises(NotUndoable, match="needs amount, to"):
        ask(engine, flaky)


def test_an_admin_may_name_another_tool_which_gets_what_it_takes_by_name(engine: Engine) -> None:
    Tool.objects.filter(name="transfer").update(undo_tool="misdeclared")
    allow(engine, "misdeclared")
    call = done(engine)
    run = engine.advance(ask(engine, call))
    own = ToolCall.objects.get(run=run)
    assert (own.tool, decode(own.executed_args)) == ("misdeclared", {"to": "ada"})


def test_a_tool_that_its_code_has_no_more_fails_the_undo_and_says_so(engine: Engine) -> None:
    Tool.objects.create(agent="safe", team=engine.team, name="was_there", schema={"type": "object", "properties": {}})
    Tool.objects.filter(name="transfer").update(undo_tool="was_there")
    run = engine.advance(ask(engine, done(engine)))
    assert run.status == RunStatus.FAILED
    assert "no tool 'was_there' any more" in str(run.error)


def test_an_undo_is_not_forked_continued_or_given_input(engine: Engine) -> None:
    run = engine.advance(ask(engine, done(engine)))
    actor = Actor.of(engine.operator)
    acts: list[Any] = [
        lambda: lifecycle.give_input(run.pk, "more", actor=actor),
        lambda: lifecycle.fork(run.pk, "", actor=actor),
        lambda: lifecycle.continue_(run.pk, actor=actor),
    ]
    for act in acts:
        with pytest.raises(NotOffered):
            act()


def test_after_erasure_it_is_not_known_what_would_be_undone(engine: Engine) -> None:
    call = done(engine)
    retention.erase(call.run_id, actor=Actor.of(engine.operator), reason="She asked for it.")
    with pytest.raises(NotUndoable, match="erased"):
        ask(engine, call)


def test_its_label_comes_from_the_code(engine: Engine) -> None:
    tool = Tool.objects.get(agent="safe", name="transfer")
    by = Tool.objects.get(agent="safe", name="undo:transfer")
    assert (tool.undo_tool, tool.undo_seconds, by.effect, by.labels_from) == ("undo:transfer", None, "write", "code")
    assert by.description == "Take a transfer back."
    assert set(decode(by.schema)["properties"]) == {"amount", "to", "result"}
    assert not Approval.objects.exists()
