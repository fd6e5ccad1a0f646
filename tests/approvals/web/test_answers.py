"""Answers to an agent's questions: forms to pick, write and fill in, and the JSON that they send, before it is sent."""

import re
from typing import Any

import pytest
from django.urls import reverse

from agentdesk.digests import decode
from approvals.models import Approval, Decision
from tests.approvals.cast import make_approval
from tests.approvals.web.conftest import HTMX, binding, post

YES_NO_OR_WORDS = {"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 1}]}
TITLED = {"oneOf": [{"const": 7, "title": "Tomorrow <b>at nine</b>"}, {"const": {"at": "noon"}, "title": "Friday"}]}


@pytest.fixture
def client_of(browse, reviewer):
    return browse(reviewer)


def ask(team, schema: Any, **facts: Any) -> Approval:
    given = {
        "kind": "interrupt", "action": "interrupt:ask", "allowed": ["respond"], "adapter": "question",
        "args": {"question": "?"}, "args_schema": None, "payload": {"question": "?"},
    }  # fmt: skip
    return make_approval(team, answer_schema=schema, **{**given, **facts})


def panel_of(client, approval: Approval) -> str:
    return str(client.get(reverse("approvals:panel", args=[approval.pk])).content.decode())


def exact(client, approval: Approval, verdict: str = "respond", *, htmx: bool = True, **typed: Any) -> Any:
    address = reverse("approvals:exact", args=[approval.pk])
    return client.post(address, binding(approval, verdict, **typed), headers=HTMX if htmx else {})


def answer_of(approval: Approval) -> Any:
    return decode(Decision.objects.get(approval=approval).answer)


@pytest.mark.parametrize(
    ("schema", "typed", "answer"),
    [
        ({"type": "boolean"}, {"answer": "true"}, True),
        ({"type": "boolean"}, {"answer": "false"}, False),
        (YES_NO_OR_WORDS, {"answer": "false", "answer_text": ""}, False),
        (YES_NO_OR_WORDS, {"answer": "", "answer_text": "true"}, "true"),
        ({"enum": [0, None, ""]}, {"answer": "0"}, 0),
        ({"enum": [0, None, ""]}, {"answer": "null"}, None),
        ({"enum": [0, None, ""]}, {"answer": '""'}, ""),
        (TITLED, {"answer": "7"}, 7),
        (TITLED, {"answer": '{"at": "noon"}'}, {"at": "noon"}),
        ({}, {"answer-json": "null"}, None),
        ({}, {"answer-json": "false"}, False),
        ({}, {"answer-json": "[]"}, []),
        ({}, {"answer-json": '{"a": [1.5, "x"]}'}, {"a": [1.5, "x"]}),
        ({"type": "string"}, {"answer": ""}, ""),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}, {"answer-value": ["a", "b"]}, ["a", "b"]),
        ({"type": "string", "format": "date"}, {"answer-value": "2026-01-31"}, "2026-01-31"),
    ],
)
def test_what_is_picked_or_written_is_the_answer_and_was_shown_before(client_of, team, schema, typed, answer):
    question = ask(team, schema)
    assert f'name="{next(iter(typed))}"' in panel_of(client_of, question)
    shown = exact(client_of, question, **typed)
    assert shown.status_code == 200
    assert not Decision.objects.filter(approval=question).exists()
    assert post(client_of, question, "respond", **typed).status_code == 200
    assert (type(answer_of(question)), answer_of(question)) == (type(answer), answer)


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ({"type": "boolean"}, {}),
        ({"type": "boolean"}, {"answer": "yes"}),
        (YES_NO_OR_WORDS, {"answer": "true", "answer_text": "but later"}),
        (YES_NO_OR_WORDS, {"answer": "", "answer_text": "  "}),
        ({"enum": ["a"]}, {"answer": "b"}),
        ({"enum": ["a"]}, {"answer": "", "answer_text": "a"}),
        ({}, {"answer-json": ""}),
        ({}, {}),
        ({}, {"answer-json": "three"}),
        ({"type": "integer"}, {}),
        ({"type": "string", "minLength": 3}, {"answer": "ab"}),
        ({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, {"answer-n": ""}),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field_and_nothing_is_decided(client_of, team, schema, typed):
    question = ask(team, schema)
    refused = post(client_of, question, "respond", **typed)
    assert refused.status_code == 422
    assert 'class="err"' in refused.content.decode()
    assert exact(client_of, question, **typed).status_code == 422
    assert not Decision.objects.filter(approval=question).exists()


def test_labels_of_agents_are_text(client_of, team):
    page = panel_of(client_of, ask(team, TITLED))
    assert "Tomorrow &lt;b&gt;at nine" in page
    assert "<b>at nine" not in page


def test_the_json_is_the_adapters_own(client_of, team):
    flight = {"action_request": {"action": "book", "args": {"seats": 2}},
              "config": {"allow_edit": True, "allow_ignore": True, "allow_respond": True}}  # fmt: skip
    question = ask(
        team, {"type": "string"}, adapter="agent-inbox", action="book", args={"seats": 2}, payload=[flight],
        allowed=["modify", "reject", "respond"], request_key="interrupt:r:c:i:0",
    )  # fmt: skip
    shown = exact(client_of, question, "respond", answer="in May").content.decode()
    assert re.sub(r"\s", "", shown).count("[{&quot;type&quot;:&quot;response&quot;,&quot;args&quot;:&quot;inMay&quot;}]") == 1
    assert "ignore" in exact(client_of, question, "reject", message="no").content.decode()
    assert exact(client_of, question, "reject").status_code == 422
    changed = exact(client_of, question, "modify", **{"args-seats": "3"}).content.decode()
    assert "&quot;seats&quot;: &quot;3&quot;" in changed
    card = client_of.get(reverse("approvals:card", args=[question.pk])).content.decode()
    assert "<code>agent-inbox</code>" in card


def test_without_scripts_the_json_stands_in_the_form(client_of, team):
    question = ask(team, {"type": "string"}, adapter="text", payload="?")
    page = exact(client_of, question, htmx=False, answer="later").content.decode()
    assert "&quot;later&quot;" in page
    assert ">later</textarea>" in page


def test_only_those_who_see_it_are_shown_the_json(browse, stranger, team):
    question = ask(team, {"type": "string"}, adapter="text", payload="?")
    assert exact(browse(stranger), question, answer="x").status_code == 404
    assert browse(stranger).get(reverse("approvals:exact", args=[question.pk])).status_code == 405


def test_an_approval_of_another_releases_adapter_still_has_its_page(client_of, team):
    question = ask(team, {}, adapter="from-the-future", allowed=["approve", "respond"])
    assert client_of.get(reverse("approvals:detail", args=[question.pk])).status_code == 200


def test_names_that_json_does_not_have_are_shown(client_of, team):
    question = ask(team, {}, adapter="anything", payload={b"\x00": 1, 7: {None: "x"}})
    assert client_of.get(reverse("approvals:detail", args=[question.pk])).status_code == 200


def test_an_answer_of_one_value_is_labelled_as_its_schema_says(client_of, team):
    assert ">Seats</label>" in panel_of(client_of, ask(team, {"type": "integer", "title": "Seats"}))
    assert ">Value</label>" in panel_of(client_of, ask(team, {"type": "integer", "title": ""}))
