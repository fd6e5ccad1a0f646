"""Payloads through the whole engine: what the graph gets is what people decided, or it gets nothing."""

from typing import Any

import pytest
from django.utils import timezone

from approvals.decisions import expire_due
from approvals.errors import InvalidAnswer
from approvals.models import Approval, Decision
from runs.models import Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

REVIEW = {"score": 4, "words": "fine", "publish": True}
ANSWERS = {"question_1": "Tent", "question_2": "red", "question_3": ["S", "L"]}


def approve(**what: Any) -> dict[str, Any]:
    return {"verdict": "approve", **what}


def respond(answer: Any) -> dict[str, Any]:
    return {"verdict": "respond", "answer": answer}


TABLE: list[tuple[str, str, dict[str, Any], Any]] = [
    ("p-inbox", "agent-inbox", approve(), "booked 2 seats"),
    ("p-inbox", "agent-inbox", {"verdict": "modify", "args": {"to": "Oslo", "seats": 3}}, "booked 3 seats"),
    ("p-inbox", "agent-inbox", respond("in May"), "told: in May"),
    ("p-inbox", "agent-inbox", {"verdict": "reject", "message": "no"}, "ignored, None"),
    ("p-inbox-bare", "agent-inbox", {"verdict": "reject", "message": "no"}, {"type": "ignore", "args": None}),
    ("p-pydantic", "response-schema", respond(REVIEW), "4/5 fine True"),
    ("p-typed-dict", "response-schema", respond({"score": 3}), 3),
    ("p-dataclass", "response-schema", respond({"kind": "good"}), "good"),
    ("p-json-schema", "response-schema", respond(0), 0),
    ("p-ag-ui", "ag-ui", approve(), "sent 40"),
    ("p-ag-ui", "ag-ui", {"verdict": "modify", "args": {"to": "ada", "amount": 30}}, "sent 30"),
    ("p-ag-ui", "ag-ui", {"verdict": "reject", "message": "no"}, "not sent"),
    ("p-ask-user", "ask-user", respond(ANSWERS), ["Tent", "red", '["S", "L"]', ""]),
    ("p-ask-user", "ask-user", {"verdict": "reject", "message": "no"}, "cancelled"),
    ("p-question", "question", respond(True), "yes"),
    ("p-question", "question", respond(False), "no"),
    ("p-question", "question", respond("later"), "words: later"),
    ("p-options", "options", respond("a2"), "a2"),
    ("p-fields", "fields", respond({"email": "a@b.org", "guests": 2}), {"email": "a@b.org", "guests": 2}),
    ("p-draft", "object", approve(), {"subject": "Hello", "body": "About tea.", "to": ["ada@example.com"]}),
    ("p-draft", "object", {"verdict": "modify", "args": {"subject": "Hi"}}, {"subject": "Hi"}),
    ("p-text", "text", respond("fine"), "fine"),
    ("p-odd", "object", approve(), "dict of ['day', 'parcel', 'said', 'scan']"),
]


def test_a_graph_gets_the_answer_in_the_form_it_expects(engine: Engine) -> None:
    for agent, adapter, decision, result in TABLE:
        run = engine.start(agent, {"topic": "tea"})
        assert run.status == RunStatus.WAITING, (agent, run.traceback)
        (approval,) = engine.pending(run)
        assert approval.adapter == adapter
        engine.decide(approval, **decision)
        run = engine.advance(run)
        assert (run.status, engine.output(run)["result"]) == (RunStatus.SUCCEEDED, result), (agent, run.traceback)


def test_an_empty_answer_is_delivered_as_it_is(engine: Engine) -> None:
    answers: tuple[Any, ...] = (False, 0, "", [], {}, None)
    for answer in answers:
        run = engine.start("asks", {"question": ["anything"]})
        engine.decide(engine.pending(run)[0], "respond", answer=answer)
        got = engine.output(engine.advance(run))["answer"]
        assert (type(got), got) == (type(answer), answer)


def test_empty_answers_keep_their_places_in_a_node_that_asks_twice(engine: Engine) -> None:
    run = engine.start("p-two", {"topic": "x"})
    for answer in ("", "second"):
        (approval,) = engine.pending(run)
        engine.decide(approval, "respond", answer=answer)
        run = engine.advance(run)
    assert engine.output(run)["result"] == ["", "second"]


def test_an_answer_that_does_not_fit_is_refused_at_its_field_and_the_thread_never_sees_it(engine: Engine) -> None:
    run = engine.start("p-pydantic", {"topic": "tea"})
    (approval,) = engine.pending(run)
    with pytest.raises(InvalidAnswer) as refused:
        engine.decide(approval, "respond", answer={"score": 9})
    assert set(refused.value.errors) == {"score", "words"}
    assert engine.advance(run).status == RunStatus.WAITING
    assert not Decision.objects.filter(approval=approval).exists()


def test_an_answer_changed_in_the_database_is_asked_again_and_not_delivered(engine: Engine) -> None:
    run = engine.start("p-json-schema", {"topic": "tea"})
    (approval,) = engine.pending(run)
    engine.decide(approval, "respond", answer=3)
    Decision.objects.filter(approval=approval).update(answer="three")
    run = engine.advance(run)
    approval.refresh_from_db()
    assert (run.status, approval.status, approval.version) == (RunStatus.WAITING, "pending", 2)
    assert "did not fit" in approval.reopened_because
    assert Decision.objects.get(approval=approval).void_reason == approval.reopened_because
    engine.decide(approval, "respond", answer=3)
    assert engine.output(engine.advance(run))["result"] == 3


def test_one_bad_decision_of_a_batch_opens_only_its_own_question_again(engine: Engine) -> None:
    call = {"name": "pay", "args": {"to": "ada", "amount": "1.00"}}
    run = engine.script("hitl", [call, {**call, "args": {"to": "bob", "amount": "2.00"}}])
    one, two = engine.pending(run)
    for approval in (one, two):
        engine.decide(approval, "respond", answer="done by hand")
    Decision.objects.filter(approval=two).update(answer=7)
    run = engine.advance(run)
    assert [approval.pk for approval in engine.pending(run)] == [two.pk]
    engine.decide(two, "respond", answer="done by hand")
    run = engine.advance(run)
    assert (run.status, engine.effects("pay")) == (RunStatus.SUCCEEDED, [])


def test_different_people_decide_one_batch_and_the_graph_gets_one_ordered_answer(engine: Engine) -> None:
    call = {"name": "pay", "args": {"to": "ada", "amount": "1.00"}}
    run = engine.script("hitl", [call, {**call, "args": {"to": "bob", "amount": "2.00"}}])
    one, two = engine.pending(run)
    engine.decide(two, "reject", message="not Bob")
    run = engine.advance(run)
    assert run.status == RunStatus.WAITING
    assert not Decision.objects.get(approval=two).delivered_at
    engine.reviewer, first = engine.another_reviewer("ruth"), engine.reviewer
    engine.decide(one)
    run = engine.advance(run)
    assert (run.status, [paid["to"] for paid in engine.effects("pay")]) == (RunStatus.SUCCEEDED, ["ada"])
    by = dict(Decision.objects.filter(approval__in=[one, two]).values_list("approval", "decided_by__username"))
    assert by == {one.pk: "ruth", two.pk: first.username}
    texts = [message["content"] for message in engine.output(run)["messages"] if message["type"] == "tool"]
    assert ["not Bob" in text for text in texts].count(True) == 1


def test_what_a_run_asks_when_its_time_is_up_stops_it_where_the_payload_cannot_be_refused(engine: Engine) -> None:
    run = engine.start("p-text", {"topic": "tea"})
    assert expire(engine, run) == (RunStatus.STOPPED, "expired")


def test_what_a_run_asks_when_its_time_is_up_is_refused_in_the_payloads_own_words(engine: Engine) -> None:
    run = engine.start("p-inbox", {"topic": "tea"})
    assert expire(engine, run) == (RunStatus.SUCCEEDED, "")
    assert engine.output(run)["result"] == "ignored, None"


def expire(engine: Engine, run: Run) -> tuple[str, str]:
    Approval.objects.filter(source_ref=str(run.pk)).update(expires_at=timezone.now())
    assert expire_due() == 1
    engine.advance(run)
    return run.status, run.stop_reason
