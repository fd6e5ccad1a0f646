"""Answers and threads: several at once, answers that the graph refuses, answers that poison a thread, and new input."""

from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals.models import Decision
from runs import lifecycle
from runs.errors import NotAllowed, NotPoisoned
from runs.models import Agent, PinnedAnswer, Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "1.00"}}


def at_once(agent: str) -> None:
    Agent.objects.filter(slug=agent).update(partial_answers="once")


def test_a_thread_poisoned_by_an_answer_is_recognised_and_asked_anew(engine: Engine) -> None:
    run = engine.start("p-age", {"topic": "tea"})
    (first,) = engine.pending(run)
    engine.decide(first, "respond", answer="forty")
    run = engine.advance(run)
    told = (run.error or {})["poisoned"]
    assert (run.status, told["nodes"], told["approvals"]) == (RunStatus.FAILED, ["age"], [str(first.pk)])

    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, (run.error or {})["poisoned"]) == (RunStatus.FAILED, told), "the thread keeps the answer"

    with pytest.raises(NotAllowed):
        lifecycle.reask(run.pk, actor=Actor.of(engine.reviewer))
    lifecycle.reask(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    first.refresh_from_db()
    void = Decision.objects.get(approval=first)
    assert (run.status, first.status, "ValueError in age" in void.void_reason) == (RunStatus.WAITING, "superseded", True)
    entry = AuditEntry.objects.filter(run_id=run.pk, action="run.continued").latest("id")
    assert (entry.actor_label, (entry.after or {})["asked_again"]) == ("olga", [str(first.pk)])
    (again,) = engine.pending(run)
    assert again.pk != first.pk

    engine.decide(again, "respond", answer="40")
    run = engine.advance(run)
    assert (run.status, engine.output(run)["result"]) == (RunStatus.SUCCEEDED, 40)
    with pytest.raises(NotPoisoned):
        lifecycle.reask(run.pk, actor=Actor.of(engine.operator))


def test_a_run_that_fails_for_another_reason_is_not_called_poisoned(engine: Engine) -> None:
    run = engine.start("raises", {"question": "?"})
    assert "poisoned" not in (run.error or {})
    with pytest.raises(NotPoisoned):
        lifecycle.reask(run.pk, actor=Actor.of(engine.operator))


def test_an_answer_that_only_the_graphs_own_model_refuses_is_asked_again(engine: Engine) -> None:
    run = engine.start("p-pydantic", {"topic": "tea"})
    (approval,) = engine.pending(run)
    engine.decide(approval, "respond", answer={"score": 4, "words": "LOUD"})
    run = engine.advance(run)
    approval.refresh_from_db()
    assert (run.status, approval.status, approval.version) == (RunStatus.WAITING, "pending", 2)
    assert "do not shout" in approval.reopened_because
    engine.decide(approval, "respond", answer={"score": 4, "words": "quiet"})
    run = engine.advance(run)
    assert engine.output(run)["result"] == "4/5 quiet False"


def test_an_admin_pins_the_answer_where_the_payload_does_not_tell(engine: Engine) -> None:
    agent = Agent.objects.get(slug="p-age")
    PinnedAnswer.objects.create(agent=agent, schema={"type": "string"})
    pin = PinnedAnswer.objects.create(agent=agent, node="age", schema={"type": "integer", "minimum": 0})
    run = engine.start("p-age", {"topic": "tea"})
    (approval,) = engine.pending(run)
    assert (approval.adapter, approval.answer_schema) == ("pinned", {"type": "integer", "minimum": 0})
    pin.delete()  # what was asked stays as it was asked
    engine.decide(approval, "respond", answer=41)
    run = engine.advance(run)
    assert (run.status, engine.output(run)["result"]) == (RunStatus.SUCCEEDED, 41)


def test_it_waits_for_all_answers_or_takes_each_as_it_comes(engine: Engine) -> None:
    patient = engine.start("p-both", {"topic": "tea"})
    left, right = sorted(engine.pending(patient), key=lambda approval: approval.action)
    engine.decide(left, "respond", answer="")
    patient = engine.advance(patient)
    assert (patient.status, Decision.objects.get(approval=left).delivered_at) == (RunStatus.WAITING, None)

    at_once("p-both")
    patient = engine.advance(patient)
    assert patient.status == RunStatus.WAITING
    assert Decision.objects.get(approval=left).delivered_at is not None
    assert [approval.pk for approval in engine.pending(patient)] == [right.pk], "the other question is the same one"
    attempts = patient.attempt
    engine.advance(patient)
    assert len(engine.pending(patient)) == 1
    assert patient.attempt <= attempts + 1
    engine.decide(right, "respond", answer="b")
    patient = engine.advance(patient)
    output = engine.output(patient)
    assert (patient.status, output["left"], output["right"]) == (RunStatus.SUCCEEDED, "", "b")


def test_a_node_that_runs_again_and_asks_something_else_supersedes_what_it_asked(engine: Engine) -> None:
    at_once("p-wanders")
    run = engine.start("p-wanders", {"topic": "tea"})
    left, before = sorted(engine.pending(run), key=lambda approval: approval.action)
    engine.decide(left, "respond", answer="a")
    run = engine.advance(run)
    (now,) = engine.pending(run)
    before.refresh_from_db()
    assert (run.status, before.status) == (RunStatus.WAITING, "superseded")
    assert now.args["asked_at"] > before.args["asked_at"]
    engine.decide(now, "respond", answer=True)
    run = engine.advance(run)
    assert (run.status, engine.output(run)["right"]) == (RunStatus.SUCCEEDED, True)


def test_it_runs_an_approved_call_at_once_while_its_sibling_still_waits(engine: Engine) -> None:
    at_once("teller")
    run = engine.script("teller", [PAY, {**PAY, "args": {"to": "bob", "amount": "2.00"}}])
    ada, bob = sorted(engine.pending(run), key=lambda approval: approval.args["to"])
    engine.decide(ada)
    run = engine.advance(run)
    assert (run.status, [paid["to"] for paid in engine.effects("pay")]) == (RunStatus.WAITING, ["ada"])
    engine.decide(bob, "reject", message="no")
    run = engine.advance(run)
    assert (run.status, [paid["to"] for paid in engine.effects("pay")]) == (RunStatus.SUCCEEDED, ["ada"])


def test_a_question_left_open_when_its_run_failed_is_asked_when_it_goes_on(engine: Engine) -> None:
    run = engine.start("p-both", {"topic": "tea"})
    Run.objects.filter(pk=run.pk).update(status=RunStatus.FAILED)
    lifecycle.close(run, RunStatus.FAILED)
    assert engine.pending(run) == []
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.status, len(engine.pending(run))) == (RunStatus.WAITING, 2)


def test_a_payload_too_large_ends_the_run_with_the_reason(engine: Engine, settings: Any) -> None:
    settings.INPUT_MAX_BYTES = 600
    run = engine.start("p-odd", {"topic": "tea"})
    assert (run.status, (run.error or {})["kind"]) == (RunStatus.FAILED, "too_large")


def test_new_input_supersedes_what_was_asked_and_what_was_decided_and_not_handed_over(engine: Engine) -> None:
    run = engine.start("p-both", {"topic": "tea"})
    left, right = engine.pending(run)
    engine.decide(left, "respond", answer="old")
    lifecycle.give_input(run.pk, {"topic": "coffee"}, actor=Actor.of(engine.operator))
    for approval in (left, right):
        approval.refresh_from_db()
        assert approval.status == "superseded"
    assert Decision.objects.get(approval=left).void_reason == "The run was given new input."
    run = engine.advance(run)
    for approval in engine.pending(run):
        engine.decide(approval, "respond", answer="new")
    run = engine.advance(run)
    assert (engine.output(run)["left"], engine.output(run)["right"]) == ("new", "new")


def test_a_decision_that_the_thread_has_and_nobody_marked_is_marked_and_not_sent_again(engine: Engine) -> None:
    run = engine.start("p-two", {"topic": "tea"})
    (first,) = engine.pending(run)
    engine.decide(first, "respond", answer="one")
    run = engine.advance(run)
    Decision.objects.filter(approval=first).update(delivered_at=None)  # as where a worker died before it could say so
    run = engine.advance(run)
    first.refresh_from_db()
    assert Decision.objects.get(approval=first).delivered_at is not None
    assert (first.status, len(engine.pending(run))) == ("decided", 1)
    engine.decide(engine.pending(run)[0], "respond", answer="two")
    assert engine.output(engine.advance(run))["result"] == ["one", "two"]
