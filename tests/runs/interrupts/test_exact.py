"""The JSON that a form shows before it is sent is what the graph then gets, byte for byte."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agentdesk.people.models import User
from approvals.erasure import erase_content
from approvals.models import Approval, Decision, Evaluation, Review
from runs.lifecycle import SOURCE
from runs.models import Agent, PinnedAnswer, Run
from runs.states import RunStatus
from tests.rendered import Browser
from tests.runs.engine.conftest import Engine

HTMX = {"HX-Request": "true"}
FLIGHT: dict[str, Any] = {
    "action_request": {"action": "book", "args": {"to": "Oslo", "seats": 2}},
    "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
}
SHIP = {"type": "approval_required", "action": "ship", "details": {"order": "A-1", "parcels": 2}, "risk_level": "low"}
CALL = {"type": "tool_approval", "name": "wire", "args": {"to": "ada"}, "description": "Wire it?"}
ASK = {
    "type": "ask_user",
    "questions": [{"question": "Name?", "type": "text"}, {"question": "More?", "type": "text", "required": False}],
}
DAYS = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
APPROVED = {"type": "object", "properties": {"approved": {"type": "boolean"}, "comment": {"type": "string"}}}
EDITABLE = {"type": "object", "properties": {"approved": {"type": "boolean"}, "editedArgs": {"type": "object"}}}
TOOL = {"reason": "tool_call", "message": "Pay?", "toolCallName": "wire", "args": {"to": "ada"}}
BATCH = {
    "action_requests": [{"name": "wire", "args": {"to": "ada"}}, {"name": "mail", "args": {"to": "bob"}}],
    "review_configs": [
        {"action_name": "wire", "allowed_decisions": ["approve", "edit", "reject"]},
        {"action_name": "mail", "allowed_decisions": ["approve", "reject", "respond"]},
    ],
}

type Case = tuple[str, Any, dict[str, Any], str, dict[str, str]]

# adapter, what the graph asks, what else it is given, verdict, what is typed into the form
FAMILIES: list[Case] = [
    ("approval-required", SHIP, {}, "approve", {}),
    ("approval-required", SHIP, {}, "modify", {"parcels": "1", "message": "one is enough"}),
    ("approval-required", SHIP, {}, "modify", {"message": "looked, and left it"}),
    ("approval-required", SHIP, {}, "reject", {"message": "not\r\ntoday "}),
    ("approval-required", SHIP, {}, "respond", {"answer": "ask Ada"}),
    ("langchain-per-call", CALL, {}, "approve", {}),
    ("langchain-per-call", CALL, {}, "modify", {"to": "bob"}),
    ("langchain-per-call", CALL, {}, "reject", {"message": "no"}),
    ("langchain-per-call", CALL, {}, "respond", {"answer": "done by hand"}),
    ("agent-inbox", [FLIGHT], {}, "approve", {}),
    ("agent-inbox", FLIGHT, {}, "modify", {"seats": "3"}),
    ("agent-inbox", [FLIGHT], {}, "reject", {"message": "no"}),
    ("agent-inbox", [FLIGHT], {}, "respond", {"answer": "in <May> & «June»"}),
    ("ask-user", ASK, {}, "respond", {"answer-question_1": "Ada"}),
    ("ask-user", ASK, {}, "reject", {"message": "no"}),
    ("ag-ui", {**TOOL, "responseSchema": EDITABLE}, {}, "modify", {"to": "bob"}),
    ("ag-ui", {**TOOL, "responseSchema": EDITABLE}, {}, "reject", {"message": "no"}),
    ("ag-ui", {"reason": "acme:budget", "message": "Go?"}, {"schema": APPROVED}, "approve", {}),
    ("ag-ui", {"reason": "acme:budget", "message": "Go?"}, {"schema": APPROVED}, "reject", {"message": "too dear"}),
    ("ag-ui", {"reason": "input_required"}, {"schema": DAYS}, "respond", {"answer-days": "3"}),
    ("ag-ui", {"reason": "input_required"}, {"schema": DAYS}, "reject", {"message": "no"}),
    ("response-schema", "How long?", {"schema": DAYS}, "respond", {"answer-days": "0"}),
    ("pinned", {"question": "How many?"}, {"pin": {"type": "integer"}}, "respond", {"answer-value": "7"}),
    ("options", {"options": [{"id": 1, "label": "Nine"}, {"id": 2, "label": "Ten"}]}, {}, "respond", {"answer": "2"}),
    ("fields", {"fields": {"city": None, "day": "Monday"}}, {}, "respond", {"answer-city": "Oslo"}),
    ("question", {"question": "Sure?"}, {}, "respond", {"answer": "false"}),
    ("text", "What now?", {}, "respond", {"answer": "Tea.\r\nThen cake."}),
    ("object", {"subject": "Hello", "to": ["ada"]}, {}, "approve", {}),
    ("object", {"subject": "Hello", "to": ["ada"]}, {}, "modify", {"subject": "Hi"}),
    ("anything", ["a", 1], {}, "respond", {"answer-json": "null"}),
]


def start(engine: Engine, question: Any, given: dict[str, Any]) -> Run:
    PinnedAnswer.objects.all().delete()
    if "pin" in given:
        PinnedAnswer.objects.create(agent=Agent.objects.get(slug="echoes"), node="echo", schema=given["pin"])
    return engine.start("echoes", {"question": question, "schema": given.get("schema")})


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def filled_in(client: Client, approval: Approval, verdict: str, typed: dict[str, str], page: str = "") -> dict[str, Any]:
    """What the form of the page posts, after a person typed something into it."""
    page = page or client.get(reverse("approvals:detail", args=[approval.pk])).content.decode()
    forms = re.findall(r"<form [^>]*>.*?</form>", page, re.DOTALL)
    (form,) = [form for form in forms if f'name="verdict" value="{verdict}"' in form]
    post = {name: values if len(values) > 1 else values[0] for name, values in Browser(form).post().lists()}
    for name, text in typed.items():
        known = name if name in post or f'name="{name}"' in form else f"args-{name}"
        assert f'name="{known}"' in form, known
        post[known] = text
    return post


def shown(client: Client, approval: Approval, post: dict[str, Any]) -> str:
    """The text of the JSON that the form shows. It decides nothing."""
    before = [model.objects.count() for model in (Decision, Review, Evaluation)]
    answer = client.post(reverse("approvals:exact", args=[approval.pk]), post, headers=HTMX)
    assert answer.status_code == 200, answer.content.decode()
    assert [model.objects.count() for model in (Decision, Review, Evaluation)] == before
    return json_of(answer.content.decode())


def json_of(page: str) -> str:
    (text,) = re.findall(r'aria-label="The JSON that this sends">(.*?)</pre>', page, re.DOTALL)
    return html.unescape(text)


def send(client: Client, approval: Approval, post: dict[str, Any]) -> None:
    answer = client.post(reverse("approvals:decide", args=[approval.pk]), post, headers=HTMX)
    assert answer.status_code == 200, answer.content.decode()


def received(engine: Engine, run: Run) -> str:
    """The text that the graph made of what it was given."""
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED, run.traceback
    return str(engine.output(run)["answer"])


def test_every_family_gets_what_its_form_showed(engine: Engine) -> None:
    client = signed_in(engine.reviewer)
    for adapter, question, given, verdict, typed in FAMILIES:
        run = start(engine, question, given)
        (approval,) = engine.pending(run)
        assert approval.adapter == adapter
        post = filled_in(client, approval, verdict, typed)
        text = shown(client, approval, post)
        assert "‹" not in text
        send(client, approval, post)
        assert received(engine, run) == text, (adapter, verdict)


def test_a_model_of_the_graphs_own_is_made_from_what_the_form_showed(engine: Engine) -> None:
    client = signed_in(engine.reviewer)
    run = engine.start("echoes-model", {"question": "Review it."})
    (approval,) = engine.pending(run)
    post = filled_in(client, approval, "respond", {"answer-score": "4", "answer-words": "fine"})
    text = shown(client, approval, post)
    send(client, approval, post)
    assert received(engine, run) == text


@pytest.mark.parametrize("question", [BATCH, [FLIGHT, FLIGHT]])
def test_a_batch_is_shown_whole_and_what_is_open_in_it_is_marked(engine: Engine, question: Any) -> None:
    first, second = signed_in(engine.reviewer), signed_in(engine.another_reviewer("ruth"))
    run = engine.start("echoes", {"question": question})
    one, two = sorted(engine.pending(run), key=lambda approval: approval.request_key)
    post = filled_in(first, two, "reject", {"message": "not him"})
    text = shown(first, two, post)
    assert f"‹not decided yet: {one.action}›" in text
    send(first, two, post)
    run = engine.advance(run)

    page = second.get(reverse("approvals:detail", args=[one.pk])).content.decode()
    post = filled_in(second, one, "approve", {}, page)
    whole = shown(second, one, post)
    assert "‹" not in whole
    assert text == whole.replace(first_part(whole), f'"‹not decided yet: {one.action}›"', 1)
    assert html.escape(whole, quote=True).replace("&#x27;", "&#39;") in page, "the card shows the same"
    send(second, one, post)
    assert received(engine, run) == whole


def first_part(text: str) -> str:
    """The first entry of the list of answers, as it is printed."""
    indent = "    " if text.startswith("{") else "  "
    first: str = re.findall(rf"^{indent}(\{{.*?^{indent}\}})", text, re.DOTALL | re.MULTILINE)[0]
    return first


def test_without_scripts_the_form_keeps_the_id_that_it_showed(engine: Engine) -> None:
    client = signed_in(engine.reviewer)
    run = engine.start("echoes", {"question": SHIP})
    (approval,) = engine.pending(run)
    post = filled_in(client, approval, "reject", {"message": "no"})
    page = client.post(reverse("approvals:exact", args=[approval.pk]), post).content.decode()
    text = json_of(page)
    again = filled_in(client, approval, "reject", {}, page)
    assert again["message"] == "no"
    send(client, approval, again)
    assert received(engine, run) == text


def test_what_only_the_last_vote_brings_is_marked_and_not_made_up(engine: Engine) -> None:
    run = engine.start("echoes", {"question": SHIP})
    (approval,) = engine.pending(run)
    Approval.objects.filter(pk=approval.pk).update(requirements={**approval.requirements, "count": 2, "groups": []})
    first, second = signed_in(engine.reviewer), signed_in(engine.another_reviewer("ruth"))
    post = filled_in(first, approval, "modify", {"parcels": "1", "message": "one is enough"})
    text = shown(first, approval, post)
    assert text.count("‹") == 3
    assert '"decided_by": "‹who votes last›"' in text
    assert "one is enough" not in text
    send(first, approval, post)
    assert engine.advance(run).status == RunStatus.WAITING

    post = filled_in(second, approval, "approve", {})
    text = shown(second, approval, post)
    assert '"decision": "modify"' in text
    assert "‹" not in text
    send(second, approval, post)
    assert received(engine, run) == text


@pytest.mark.parametrize("seen", ["", "x", "another"])
def test_an_id_that_the_desk_did_not_sign_for_this_form_is_neither_shown_nor_taken(engine: Engine, seen: str) -> None:
    client = signed_in(engine.reviewer)
    other, run = (engine.start("echoes", {"question": SHIP}) for _ in range(2))
    (approval,), (elsewhere,) = engine.pending(run), engine.pending(other)
    foreign = filled_in(client, elsewhere, "approve", {})
    send(client, elsewhere, foreign)
    post = filled_in(client, approval, "approve", {}) | {"seen": foreign["seen"] if seen == "another" else seen}
    assert '"decision_id": "‹the id of the decision›"' in shown(client, approval, post)
    send(client, approval, post)
    ids = set(Decision.objects.filter(approval__in=[approval, elsewhere]).values_list("pk", flat=True))
    assert len(ids) == 2
    assert str(Decision.objects.get(approval=approval).pk) in received(engine, run)


def test_a_form_that_would_not_be_taken_shows_no_json(engine: Engine) -> None:
    client = signed_in(engine.reviewer)
    run = engine.start("echoes", {"question": TOOL})
    (approval,) = engine.pending(run)
    post = filled_in(client, approval, "approve", {})
    address = reverse("approvals:exact", args=[approval.pk])
    assert signed_in(engine.operator).post(address, post, headers=HTMX).status_code == 403
    assert client.post(address, post | {"version": "2"}, headers=HTMX).status_code == 409
    assert client.post(address, post | {"verdict": "respond", "answer": "x"}, headers=HTMX).status_code == 422
    send(client, approval, post)
    late = client.post(address, post, headers=HTMX)
    assert late.status_code == 409
    assert "Somebody else was first." in late.content.decode()
    assert "<pre" not in late.content.decode()


@pytest.mark.parametrize("question", [SHIP, BATCH, [FLIGHT], ASK, TOOL])
def test_a_question_whose_content_was_erased_still_has_its_page(engine: Engine, question: Any) -> None:
    run = engine.start("echoes", {"question": question})
    for approval in engine.pending(run):
        engine.decide(approval, "reject", message="no")
    engine.advance(run)
    asked = Approval.objects.filter(source_ref=str(run.pk))
    assert erase_content(SOURCE, str(run.pk)) == len(asked)
    for approval in asked.all():
        page = signed_in(engine.reviewer).get(reverse("approvals:detail", args=[approval.pk]))
        assert page.status_code == 200
        assert "The JSON that the asker receives" not in page.content.decode()
