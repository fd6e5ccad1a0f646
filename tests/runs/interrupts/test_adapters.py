"""Payloads in, questions and answers out; no database."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentdesk.digests import encode
from approvals.answers import problems
from approvals.models import Decision
from runs.interrupts.adapters import ADAPTERS, named, read
from runs.interrupts.base import Payload, plain

FLIGHT: dict[str, Any] = {
    "action_request": {"action": "book", "args": {"to": "Oslo", "seats": 2}},
    "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
    "description": "Two seats.",
}
HITL = {
    "action_requests": [{"name": "pay", "args": {"amount": 1}}, {"name": "mail", "args": {}}],
    "review_configs": [
        {"action_name": "pay", "allowed_decisions": ["approve", "edit", "reject"]},
        {"action_name": "mail", "allowed_decisions": ["respond"]},
    ],
}
ASK = {
    "type": "ask_user",
    "questions": [
        {"question": "Name?", "type": "text"},
        {"question": "Colour?", "type": "multiple_choice", "choices": [{"value": "red"}, {"value": "blue"}]},
        {"question": "Sizes?", "type": "multi_select", "choices": [{"value": "S"}, {"value": "M"}]},
        {"question": "More?", "type": "text", "required": False},
    ],
    "tool_call_id": "c",
}
EDITS = {"type": "object", "properties": {"approved": {"type": "boolean"}, "editedArgs": {"type": "object"}}}
CALL = {"reason": "tool_call", "message": "Pay?", "toolCallId": "c", "args": {"amount": 1}, "responseSchema": EDITS}
CANCELLED = {"__agui_cancelled__": True, "interrupt_id": "i"}


def asked(value: Any, schema: Any = None, pinned: Any = None) -> Payload:
    return Payload("i", plain(value), "node", schema, pinned)


def decided(verdict: str, *, args: Any = None, answer: Any = None, message: str = "") -> Decision:
    return Decision(verdict=verdict, args=encode(args), answer=encode(answer), message=message, decided_by_label="rita")


def answered(payload: Payload, *decisions: Decision) -> Any:
    """The answer of the adapter that reads the payload; one that its own schema allows."""
    adapter, _questions = read(payload)
    answer = adapter.answer(payload, decisions)
    assert problems(adapter.answer_schema(payload), answer) == {}
    return answer


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (asked(HITL), "langchain-batched"),
        (asked({"type": "tool_approval", "name": "pay", "args": {}}), "langchain-per-call"),
        (asked([FLIGHT]), "agent-inbox"),
        (asked(FLIGHT), "agent-inbox"),
        (asked(ASK), "ask-user"),
        (asked(CALL), "ag-ui"),
        (asked({"reason": "acme:budget"}), "ag-ui"),
        (asked("?", {"type": "integer"}), "response-schema"),
        (asked({"question": "?"}, {"type": "integer"}), "response-schema"),
        (asked({"question": "?"}, pinned={"type": "integer"}), "pinned"),
        (asked({"type": "approval_required", "action": "ship"}, pinned={"type": "integer"}), "pinned"),
        (asked("?", {"type": "string"}, {"type": "integer"}), "response-schema"),
        (asked(FLIGHT, pinned={"type": "integer"}), "agent-inbox"),
        (asked("?", {"type": "no such type"}), "text"),
        (asked({"reason": "input_required", "responseSchema": {"type": 7}}), "ag-ui"),
        (asked({"type": "approval_required", "action": "ship"}), "approval-required"),
        (asked({"question": "?"}), "question"),
        (asked({"question": "?", "options": ["a", "b"]}), "options"),
        (asked({"slots": [{"id": 1, "label": "Nine"}]}), "options"),
        (asked({"slots": {"city": None, "day": "Monday"}}), "fields"),
        (asked({"input_fields": [{"name": "city", "type": "text"}]}), "fields"),
        (asked({"subject": "Hello", "body": "…"}), "object"),
        (asked({"reason": "torn", "message": "The tent is torn."}), "object"),
        (asked("Go on?"), "text"),
        (asked(""), "text"),
        (asked(["a", 1]), "anything"),
        (asked({}), "anything"),
        (asked(None), "anything"),
        (asked(False), "anything"),
        (asked({1: "one"}), "anything"),
    ],
)
def test_each_family_is_read_by_its_own_adapter(payload: Payload, name: str) -> None:
    adapter, questions = read(payload)
    assert adapter.name == name
    assert questions
    assert all(question.allowed for question in questions)
    assert named(name) is adapter


@pytest.mark.parametrize(
    "value",
    [
        {"action_requests": [{"args": {}}], "review_configs": []},
        {"action_requests": [1], "review_configs": None},
        {"type": "tool_approval", "name": "pay", "args": 7},
        [{"action_request": {}, "config": {}}],
        [{"action_request": None, "config": {"allow_accept": True}}],
        [{"action_request": {"action": "x"}, "config": {"allow_accept": False}}],
        {"type": "ask_user", "questions": []},
        {"type": "ask_user", "questions": ["Name?"]},
        {"reason": "tool_call", "responseSchema": "no schema", "args": 3},
        {"options": []},
        {"options": "abc", "question": 3},
        {"input_fields": {"a": []}},
        {"slots": [[]]},
    ],
)
def test_a_payload_that_lacks_a_part_is_still_asked_about(value: Any) -> None:
    adapter, questions = read(asked(value))
    assert adapter in ADAPTERS
    assert questions[0].allowed


def test_values_that_are_not_json_are_shown_and_never_a_crash() -> None:
    class Odd:
        def model_dump(self) -> Any:
            raise RuntimeError("no")

    circle: list[Any] = []
    circle.append(circle)
    for value in (
        Odd(),
        circle,
        b"\x00",
        Decimal("1.50"),
        dt.date(2026, 1, 31),
        {(1, 2): "x"},
        object(),
        float("nan"),
        {"a": {1}},
    ):
        adapter, questions = read(asked(value))
        assert questions[0].args
    adapter, (question,) = read(asked([AIMessage("Shall I?"), HumanMessage("Yes.")]))
    assert [message["content"] for message in question.args["question"]] == ["Shall I?", "Yes."]
    assert adapter.name == "anything"


def test_a_schema_that_nobody_can_check_against_does_not_lock_the_question() -> None:
    payload = asked({"reason": "input_required", "responseSchema": {"type": 7}})
    assert answered(payload, decided("respond", answer="three")) == "three"


def test_agent_inbox_answers_as_agent_inbox_does() -> None:
    one = asked([FLIGHT])
    assert answered(one, decided("approve")) == [{"type": "accept", "args": FLIGHT["action_request"]}]
    assert answered(one, decided("respond", answer="later")) == [{"type": "response", "args": "later"}]
    assert answered(one, decided("reject", message="no")) == [{"type": "ignore", "args": None}]
    assert answered(one, decided("expire")) == [{"type": "ignore", "args": None}]
    edited = answered(asked(FLIGHT), decided("modify", args={"to": "Oslo", "seats": 3}))
    assert edited == [{"type": "edit", "args": {"action": "book", "args": {"to": "Oslo", "seats": "3"}}}]
    both = answered(asked([FLIGHT, FLIGHT]), decided("reject"), decided("approve"))
    assert [response["type"] for response in both] == ["ignore", "accept"]


def test_agent_inbox_sends_nothing_with_an_acceptance_that_could_not_be_edited() -> None:
    fixed = {**FLIGHT, "config": {"allow_accept": True}}
    assert answered(asked([fixed]), decided("approve")) == [{"type": "accept", "args": None}]


@pytest.mark.parametrize("name", ["allow_accept", "allow_edit", "allow_respond", "allow_ignore"])
def test_agent_inbox_permissions_are_the_verdicts_allowed(name: str) -> None:
    verdict = {"allow_accept": "approve", "allow_edit": "modify", "allow_respond": "respond", "allow_ignore": "reject"}[name]
    adapter, (question,) = read(asked([{**FLIGHT, "config": {name: True}}]))
    assert question.allowed == [verdict]
    assert adapter.is_refusable(asked([{**FLIGHT, "config": {name: True}}])) is (name == "allow_ignore")


def test_langchain_decisions_come_back_by_position() -> None:
    answer = answered(asked(HITL), decided("modify", args={"amount": 2}), decided("respond", answer="sent by hand"))
    assert answer == {
        "decisions": [
            {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 2}}},
            {"type": "respond", "message": "sent by hand"},
        ]
    }


def test_the_schema_of_a_batch_refuses_what_would_poison_the_thread() -> None:
    adapter, payload = named("langchain-batched"), asked(HITL)
    schema = adapter.answer_schema(payload)
    good = {"type": "approve"}
    told = {"type": "respond", "message": "x"}
    assert problems(schema, {"decisions": [good, told]}) == {}
    for bad in ([good], [good, told, told], [told, good], [good, {"type": "respond"}], [good, {"type": "maybe"}]):
        assert problems(schema, {"decisions": bad})
    assert problems(schema, [good, told])
    other = {"type": "edit", "edited_action": {"name": "delete", "args": {}}}
    assert problems(schema, {"decisions": [other, told]}), "an edit may not change the tool"


def test_ask_user_takes_one_answer_for_each_question_in_order() -> None:
    _adapter, (question,) = read(asked(ASK))
    given = {"question_1": "Ada", "question_2": "red", "question_3": ["S", "M"]}
    assert problems(question.answer_schema, given) == {}
    assert set(problems(question.answer_schema, {"question_2": "green"})) == {"question_1", "question_2", "question_3"}
    answer = answered(asked(ASK), decided("respond", answer=given))
    assert answer == {"status": "answered", "answers": ["Ada", "red", '["S", "M"]', ""]}
    assert answered(asked(ASK), decided("reject")) == {"status": "cancelled", "answers": []}


def test_ag_ui_approves_edits_refuses_and_cancels() -> None:
    payload = asked(CALL)
    _adapter, (question,) = read(payload)
    assert (question.args, question.description, question.call_id) == ({"amount": 1}, "Pay?", "c")
    assert list(question.allowed) == ["approve", "reject", "modify"]
    assert answered(payload, decided("approve", args={"amount": 1})) == {"approved": True}
    assert answered(payload, decided("modify", args={"amount": 2})) == {"approved": True, "editedArgs": {"amount": 2}}
    assert answered(payload, decided("reject", message="no")) == {"approved": False}
    assert answered(payload, decided("expire")) == CANCELLED


def test_ag_ui_offers_no_edit_where_the_schema_does_not_take_one() -> None:
    _adapter, (question,) = read(asked({"reason": "confirmation", "message": "Sure?"}))
    assert list(question.allowed) == ["approve", "reject"]


def test_ag_ui_input_is_answered_by_its_schema_or_cancelled() -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    payload = asked({"reason": "input_required", "response_schema": schema})
    _adapter, (question,) = read(payload)
    assert question.answer_schema == schema
    assert answered(payload, decided("respond", answer={"days": 3})) == {"days": 3}
    assert answered(payload, decided("reject")) == CANCELLED


def test_ag_ui_ends_when_it_says() -> None:
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10)).isoformat()
    _adapter, (question,) = read(asked({**CALL, "expiresAt": soon}))
    assert question.expires_after is not None
    assert 590 <= question.expires_after <= 600
    _adapter, (question,) = read(asked({**CALL, "expiresAt": "soon"}))
    assert question.expires_after is None


@pytest.mark.parametrize(
    ("value", "right", "wrong"),
    [
        ("How many?", ["three", ""], [3, None, {}]),
        ({"question": "Sure?"}, [True, False, "if it rains"], [1, "", None]),
        ({"question": "Sure?", "type": "confirm"}, [True, False], ["yes", 1]),
        ({"question": "How many?", "type": "int"}, [0, 3], ["3", 1.5]),
        ({"question": "?", "options": ["a", "b"]}, ["a"], ["c", ["a"]]),
        ({"question": "?", "options": ["a", "b"], "allow_other": True}, ["a", "something else"], [1, ""]),
        ({"choices": [{"value": 0, "label": "None"}, {"value": 1}]}, [0, 1], ["0", 2, None]),
        ({"slots": [{"start": "09:00"}, {"start": "10:00"}]}, [{"start": "09:00"}], [{"start": "11:00"}, "09:00"]),
        ({"options": ["a", "b"], "multiple": True}, [[], ["a", "b"]], ["a", ["a", "a"], ["c"]]),
        (
            {"input_fields": [{"name": "n", "type": "int"}, {"name": "s", "options": ["x", "y"], "required": False}]},
            [{"n": 1}, {"n": 1, "s": "y"}],
            [{"n": "1"}, {"s": "y"}, {"n": 1, "s": "z"}],
        ),
        ({"fields": {"day": "date", "city": "Oslo"}}, [{"day": "2026-01-31"}], [{"day": "today"}, {"city": "Oslo"}]),
        ({"missing_fields": ["city", "day"]}, [{"city": "Oslo", "day": "Monday"}], [{"city": "Oslo"}]),
    ],
)
def test_a_question_takes_only_answers_that_fit(value: Any, right: list[Any], wrong: list[Any]) -> None:
    payload = asked(value)
    _adapter, (question,) = read(payload)
    for each in right:
        assert problems(question.answer_schema, each) == {}
        assert answered(payload, decided("respond", answer=each)) == each
    for each in wrong:
        assert problems(question.answer_schema, each)


def test_an_object_goes_back_as_it_is_or_changed_or_is_answered_otherwise() -> None:
    value = {"price": Decimal("12.50"), "due": dt.date(2026, 1, 31), "scan": b"\x00\xff"}
    payload = asked(value)
    _adapter, (question,) = read(payload)
    assert answered(payload, decided("approve", args=question.args)) == value
    changed = {**value, "price": Decimal("9.00")}
    assert answered(payload, decided("modify", args=changed)) == changed
    assert answered(payload, decided("respond", answer=False)) is False


@pytest.mark.parametrize("answer", [False, 0, "", [], {}, None])
def test_an_answer_that_is_empty_stays_what_it_is(answer: Any) -> None:
    got = answered(asked(["anything"]), decided("respond", answer=answer))
    assert (type(got), got) == (type(answer), answer)
