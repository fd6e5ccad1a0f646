"""Other programs ask for approval of what their own agents want to do."""

from typing import Any

import pytest

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import digest
from agentdesk.people.models import Role
from approvals import switches
from approvals.erasure import erase_content
from approvals.models import Approval, Evaluation, Rule, Tool
from approvals.policy.versions import publish
from approvals.web.fragments import load, render_card
from tests.cast import REFUND_SCHEMA, Api, Cast, make_user

ASK: dict[str, Any] = {
    "agent": "courier", "action": "book_van", "args": {"order_id": "A-1", "amount": 80}, "args_schema": REFUND_SCHEMA,
    "reason": "The customer moved.", "source_ref": "job-7",
}  # fmt: skip


def label_tool(cast: Cast) -> Tool:
    return Tool.objects.create(agent="courier", name="book_van", team=cast.support, labels_from="admin",
                               schema=REFUND_SCHEMA, schema_version=digest(REFUND_SCHEMA))  # fmt: skip


def add_rule(verdict: str, **facts: Any) -> None:
    Rule.objects.create(name=f"{verdict} vans", agent="courier", action="book_van", verdict=verdict, **facts)
    publish(None)


def test_it_asks_people(cast: Cast):
    response = Api.of(cast.program).post("approvals", ASK)
    body = response.json()
    assert (response.status_code, body["verdict"]) == (201, "ask")
    shown = body["approval"]
    assert (shown["source"], shown["source_ref"], shown["team"], shown["status"]) == ("api", "job-7", "support", "pending")
    assert shown["allowed"] == ["approve", "modify", "reject"]
    assert Evaluation.objects.get().pk == Approval.objects.get().evaluation_id
    assert AuditEntry.objects.get(action="approval.requested").actor_id == cast.program.pk


def test_the_program_reads_what_was_decided(cast: Cast):
    program = Api.of(cast.program)
    asked = program.post("approvals", ASK).json()["approval"]
    decision = {"verdict": "modify", "digest": asked["digest"], "version": 1, "args": {"order_id": "A-1", "amount": 50}}
    assert Api.of(cast.reviewer).post(f"approvals/{asked['id']}/decision", decision).status_code == 200
    shown = program.get(f"approvals/{asked['id']}").json()
    assert (shown["status"], shown["decision"]["args"]) == ("decided", {"order_id": "A-1", "amount": 50})


def test_the_same_key_finds_the_same_approval(cast: Cast):
    program = Api.of(cast.program)
    first, again = (program.post("approvals", ASK | {"request_key": "k"}) for _time in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["approval"]["id"] == again.json()["approval"]["id"]
    assert Approval.objects.count() == Evaluation.objects.count() == 1


def test_the_same_key_for_another_action_is_refused(cast: Cast):
    program = Api.of(cast.program)
    program.post("approvals", ASK | {"request_key": "k"})
    response = program.post("approvals", ASK | {"request_key": "k", "args": {"order_id": "A-2", "amount": 80}})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "key_reused")


def test_keys_of_two_programs_do_not_meet(cast: Cast):
    other = make_user("other", {cast.support: [Role.OPERATOR]}, kind="service")
    for program in (cast.program, other):
        assert Api.of(program).post("approvals", ASK | {"request_key": "k"}).status_code == 201


def test_nobody_is_asked_where_a_rule_allows_it(cast: Cast):
    label_tool(cast)
    add_rule("allow", conditions=[{"path": "amount", "op": "<=", "value": 100}])
    response = Api.of(cast.program).post("approvals", ASK)
    assert (response.status_code, response.json()["verdict"], response.json()["approval"]) == (200, "allow", None)
    assert Evaluation.objects.get().verdict == "allow"
    assert Api.of(cast.program).post("approvals", ASK | {"args": {"order_id": "A", "amount": 101}}).status_code == 201


def test_no_rule_allows_what_no_admin_has_labelled(cast: Cast):
    add_rule("allow")
    assert Api.of(cast.program).post("approvals", ASK).status_code == 201
    tool = Tool.objects.get(agent="courier", name="book_van")
    assert (tool.labels_from, tool.team) == ("run", cast.support)


def test_a_program_says_how_sure_its_agent_is(cast: Cast):
    label_tool(cast)
    add_rule("allow")
    add_rule("ask", conditions=[{"path": "@confidence", "op": "<", "value": 0.8}])
    program = Api.of(cast.program)
    verdicts = [
        program.post("approvals", ASK | more).json()["verdict"] for more in ({"confidence": 0.9}, {"confidence": 0.5}, {})
    ]
    assert verdicts == ["allow", "ask", "ask"]
    assert program.post("approvals", ASK | {"confidence": 2}).status_code == 422


def test_a_schema_that_no_admin_has_accepted_is_asked_about(cast: Cast):
    label_tool(cast)
    add_rule("allow")
    wider = REFUND_SCHEMA | {"title": "Book a van, and a driver"}
    program = Api.of(cast.program)
    assert program.post("approvals", ASK | {"args_schema": wider}).json()["verdict"] == "ask"
    assert program.post("approvals", ASK | {"args_schema": None}).json()["verdict"] == "ask"
    assert program.post("approvals", ASK).json()["verdict"] == "allow", "the accepted one is known, whatever others use"
    assert Tool.objects.get().is_changed
    assert AuditEntry.objects.filter(action="tool.changed").count() == 1, "a question without a schema changes no tool"


def test_what_is_switched_off_is_refused_and_on_record(cast: Cast):
    add_rule("allow")
    tool = label_tool(cast)
    switches.switch(tool, on=False, actor=Actor.of(cast.admin, "admin"), because="It books too much.")
    response = Api.of(cast.program).post("approvals", ASK)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "denied")
    assert "is switched off" in response.json()["error"]["message"]
    entry = AuditEntry.objects.get(action="call.denied")
    assert (entry.object_id, (entry.after or {})["reason"]) == (str(tool.pk), response.json()["error"]["message"])
    assert not Approval.objects.exists()


def test_a_denied_action_is_refused_and_on_record(cast: Cast):
    add_rule("deny")
    response = Api.of(cast.program).post("approvals", ASK)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "denied")
    assert Evaluation.objects.get().verdict == "deny"
    assert not Approval.objects.exists()


def test_people_do_not_ask(cast: Cast):
    for user in (cast.operator, cast.admin):
        assert Api.of(user).post("approvals", ASK).status_code == 403
    assert not Approval.objects.exists()


def test_a_program_asks_for_its_own_teams_only(cast: Cast):
    program = Api.of(cast.program)
    for team in ("warehouse", "nowhere"):
        assert program.post("approvals", ASK | {"team": team}).status_code == 403
    foreign = make_user("foreign", {cast.warehouse: [Role.OPERATOR]}, kind="service")
    label_tool(cast)
    assert Api.of(foreign).post("approvals", ASK).status_code == 403


def test_a_program_of_two_teams_says_which(cast: Cast):
    both = Api.of(make_user("both", {cast.support: [Role.OPERATOR], cast.warehouse: [Role.OPERATOR]}, kind="service"))
    assert both.post("approvals", ASK).status_code == 403
    assert both.post("approvals", ASK | {"team": "warehouse"}).json()["approval"]["team"] == "warehouse"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"args": {"order_id": "A-1", "amount": -1}}, "args.amount"),
        ({"args_schema": {"type": "nonsense"}}, "args_schema"),
        ({"args_schema": {"$ref": "http://localhost/schema.json"}}, "args_schema"),
        ({"args_schema": {"$ref": "#"}}, "args_schema"),
        ({"answer_schema": {"type": "nonsense"}}, "answer_schema"),
        ({"allowed": ["expire"]}, "allowed.0"),
        ({"allowed": []}, "allowed"),
        ({"agent": "no slug"}, "agent"),
        ({"action": ""}, "action"),
        ({"reason": "a\0b"}, "reason"),
        ({"team": 3}, "team"),
    ],
)
def test_it_refuses_what_is_malformed_and_says_where(cast: Cast, change: dict[str, Any], field: str):
    response = Api.of(cast.program).post("approvals", ASK | change)
    assert response.status_code == 422
    assert list(response.json()["error"]["errors"]) == [field]
    assert not Approval.objects.exists()


def test_it_refuses_arguments_nested_without_end(cast: Cast):
    deep: Any = {}
    for _level in range(500):
        deep = {"a": deep}
    response = Api.of(cast.program).post("approvals", ASK | {"args": deep, "args_schema": None})
    assert (response.status_code, list(response.json()["error"]["errors"])) == (422, ["args"])


def test_it_refuses_a_question_beyond_the_limit(cast: Cast, settings):
    settings.INPUT_MAX_BYTES = 1000
    response = Api.of(cast.program).post("approvals", ASK | {"args": {"order_id": "A" * 2000, "amount": 1}})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert not Evaluation.objects.exists()


EVIDENCE = [
    {"title": "Mail of the customer", "quote": "Please send it to <b>Oslo</b>.", "url": "https://mail.example.com/5?a=1"},
    {"title": "Look-alike", "url": "https://p\u0430ypal.com/"},
    {"quote": "password=hunter2", "url": "javascript:alert(1)"},
    {"title": "Somebody's", "url": "https://user:pass@evil.example/"},
]


def test_a_program_shows_what_its_agent_quotes_and_did_not_choose(cast: Cast):
    asked = ASK | {"evidence": EVIDENCE, "alternatives": ["Send a <i>courier</i>.", "Do nothing."]}
    shown = Api.of(cast.program).post("approvals", asked).json()["approval"]
    assert (shown["evidence"][0], shown["alternatives"]) == (EVIDENCE[0], asked["alternatives"])
    seen = Api.of(cast.reviewer).get(f"approvals/{shown['id']}").json()
    assert "hunter2" not in str(seen["evidence"])
    card = render_card(load(shown["id"]))  # type: ignore[arg-type]
    part = card[card.index('id="evidence-agent"') : card.index("</details>", card.index('id="evidence-agent"'))]
    for words in (
        "not verified",
        "Mail of the customer",
        "&lt;b&gt;Oslo",
        "Alternatives it did not choose",
        "&lt;i&gt;courier",
    ):
        assert words in part
    link = '<a href="https://mail.example.com/5?a=1" rel="noopener noreferrer nofollow" target="_blank">mail.example.com</a>'
    assert link in part
    assert part.count("<a ") == 1, "no link but one over https with a host that reads as what it is"
    assert ("contains Cyrillic letters" in part, "javascript:alert(1)" in part, "hunter2" in part) == (True, True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"evidence": [{"quote": "x"}] * 21}, {"evidence": [{"quote": "x" * 2_001}]}, {"evidence": [{"url": "https://a.example"}]},
        {"evidence": [{"quote": "x", "html": "<b>"}]}, {"evidence": ["x"]}, {"alternatives": ["x"] * 11},
        {"alternatives": ["x" * 501]}, {"alternatives": [{}]},
    ],
)  # fmt: skip
def test_too_much_evidence_or_none_is_an_error_at_its_place(cast: Cast, wrong: dict[str, Any]):
    answer = Api.of(cast.program).post("approvals", ASK | wrong)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text
    assert not Approval.objects.exists()


def test_evidence_is_erased_with_the_rest(cast: Cast):
    asked = (
        Api.of(cast.program).post("approvals", ASK | {"evidence": EVIDENCE, "alternatives": ["Nothing."]}).json()["approval"]
    )
    Approval.objects.update(status="withdrawn")
    erase_content("api", "job-7")
    approval = Approval.objects.get(pk=asked["id"])
    assert (approval.evidence, approval.alternatives) == ([], [])
