"""The graver the risk, the more stands before the approve button, and an edit never makes it less."""

import re

import pytest
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from approvals.models import Approval, Decision
from approvals.web import friction
from approvals.web.panel import read_seen
from tests.approvals.cast import ARGS, make_approval, make_rule, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import looked_at, post

SOON = "Sent too soon: look at it for 3 seconds first."


@pytest.fixture
def client_of(browse, reviewer):
    return browse(reviewer)


@pytest.fixture
def high(team):
    return make_approval(team, risk="high")


def panel_of(client, approval, **query):
    return client.get(reverse("approvals:panel", args=[approval.pk]), query).text


def seen_in(html):
    return re.search(r'name="seen" value="([^"]+)"', html)[1]


def test_low_risk_is_one_button(client_of, team):
    panel = panel_of(client_of, make_approval(team, risk="low"))
    assert 'id="act-approve"' not in panel
    assert "Before you approve" not in panel


def test_medium_risk_is_confirmed_where_the_object_is_named(client_of, team):
    approval = make_approval(team, risk="medium", egress=True)
    panel = panel_of(client_of, approval)
    folded = re.search(r'<details class="act approve".*?</details>', panel, re.S)[0]
    opener, _summary, inside = folded.partition("</summary>")
    assert "Approve refund 240.00" in opener
    assert "<form" not in opener
    for said in ("Issue refund 240.00 for order A-1", "A-1", "Support, which goes on with exactly this", "Leaves the house"):
        assert said in inside, said
    assert inside.index("Leaves the house") < inside.index('<button class="btn solid wide" data-confirm>')
    assert inside.count("Approve refund 240.00") == 1
    assert "Are you sure" not in panel
    modify = re.search(r'<form class="stack" id="modify".*?</form>', panel, re.S)[0]
    assert (
        modify.index("Issue refund 240.00 for order A-1") < modify.index("Your changes") < modify.index("Approve with changes")
    )
    assert post(client_of, approval).status_code == 200


@pytest.mark.parametrize("verdict", ["approve", "modify"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"message": "  "}, "Give a reason"), ({"read": ""}, "Read the evidence first"), ({"seconds": 1}, SOON),
        ({"seen": ""}, "not made for what stands here now"), ({"seen": "made-up"}, "not made for what stands here now"),
    ],
)  # fmt: skip
def test_at_high_risk_nothing_may_be_missing_and_what_was_typed_is_kept(client_of, high, verdict, typed, said):
    facts = {"message": "Checked the photo."} | typed
    sent = looked_at(high, facts.pop("seconds", 10)) | facts | {"args-amount": "200.00", "args-order_id": "A-1"}
    answer = post(client_of, high, verdict, **sent)
    assert answer.status_code == 422
    assert said in answer.text
    assert "data-focus" in answer.text
    if facts["message"].strip():
        assert ">Checked the photo.</textarea>" in answer.text
    if verdict == "modify":
        assert 'value="200.00"' in answer.text
    assert Approval.objects.get(pk=high.pk).is_pending
    assert not Decision.objects.exists()


def test_everything_that_is_missing_is_said_at_once(client_of, team):
    critical = make_approval(team, risk="critical")
    answer = post(client_of, critical, **looked_at(critical, 0, read="")).text
    for said in ("Give a reason", "Type exactly: A-1", "Read the evidence first", SOON):
        assert said in answer


def test_a_reader_waits_once_and_not_again_for_each_answer(client_of, high):
    """What was refused, and what is fetched again, keeps the time at which it was first shown."""
    waited = looked_at(high, 10)["seen"]
    again = seen_in(post(client_of, high, seen=waited).text)
    assert read_seen(again, high).seconds_open >= 10
    assert read_seen(again, high).view_digest != read_seen(waited, high).view_digest
    fetched = seen_in(panel_of(client_of, high, since=waited))
    assert read_seen(fetched, high).seconds_open >= 10
    assert post(client_of, high, seen=fetched, read="yes", message="Checked.").status_code == 200


def test_the_time_of_another_version_does_not_count(client_of, team, high):
    for token in (looked_at(make_approval(team, risk="high"))["seen"], "made-up", ""):
        assert read_seen(seen_in(panel_of(client_of, high, since=token)), high).seconds_open < 3


def test_what_the_page_says_was_open_is_on_record_with_the_vote(client_of, high):
    sent = looked_at(high, message="Checked.", opened="photo-1 letter <b> photo-2")
    assert post(client_of, high, **sent).status_code == 200
    entry = AuditEntry.objects.get(action="approval.decided")
    assert entry.content.body["opened"] == ["photo-1", "letter", "photo-2"]


def test_of_lesser_risk_it_is_not_asked_and_rejecting_is_never_slowed(client_of, approval, high):
    assert post(client_of, approval, opened="photo-1").status_code == 200
    assert "opened" not in AuditEntry.objects.get(action="approval.decided").content.body
    assert post(client_of, high, "reject", message="No.").status_code == 200


def test_without_javascript_the_reader_says_that_they_read_the_evidence(client_of, high):
    panel = panel_of(client_of, high)
    assert re.search(r'<input type="checkbox" name="read" value="yes" required>', panel)
    assert "no evidence was given" in panel
    answer = post(client_of, high, htmx=False, **looked_at(high))
    assert answer.status_code == 422
    assert 'name="read" value="yes" required checked' in answer.text


def test_evidence_is_what_the_desk_rendered_and_no_text_of_others():
    card = '<article><details id="e-1" data-evidence><summary>x</summary></details><details data-evidence id="e-2"></details>'
    assert friction.evidence_in(card) == 2
    assert friction.evidence_in("&lt;details data-evidence&gt; <details id='e' class='data-evidences'>") == 0


def test_looking_at_the_json_first_is_not_hasty(client_of, high):
    address = reverse("approvals:exact", args=[high.pk])
    facts = {"verdict": "modify", "digest": high.digest, "version": high.version, "message": "Checked.",
             "args-amount": "1.00", "args-order_id": "A-1"}  # fmt: skip
    assert client_of.post(address, facts, headers={"HX-Request": "true"}).status_code == 200


def test_critical_risk_says_why_two_people_decide_and_when_there_are_too_few(browse, reviewer, team):
    critical = make_approval(team, risk="critical")
    panel = panel_of(browse(reviewer), critical)
    assert "Critical risk: 2 different people have to approve." in panel
    assert "0 of 2 approvals" in panel
    assert "Only 1 person may decide this; 2 are needed. An admin can make more people reviewers of Support." in panel
    make_user(team, name="second")
    assert "may decide this" not in panel_of(browse(reviewer), critical)


def test_who_may_not_approve_counts_for_nobody(browse, reviewer, second, team):
    own = make_approval(team, risk="high", requirements={"count": 2}, requester_id=second.pk)
    assert "Only 1 person may decide this; 2 are needed." in panel_of(browse(reviewer), own)
    assert "may decide this" not in panel_of(browse(reviewer), make_approval(team, risk="high", requirements={"count": 2}))
    finance = make_team("Finance")
    groups = [{"teams": [str(team.pk)], "count": 1}, {"teams": [str(finance.pk)], "count": 1}]
    both = panel_of(browse(reviewer), make_approval(team, requirements={"groups": groups}))
    assert "Only 2 people may decide this, which is not enough; 2 approvals are needed." in both


def test_two_people_approve_at_critical_risk(browse, reviewer, second, team, settings):
    settings.HOLD_SECONDS = {}
    critical = make_approval(team, risk="critical")
    decide(critical, second)
    panel = panel_of(browse(reviewer), critical)
    assert "1 of 2 approvals" in panel
    decide(critical, reviewer)
    assert "Approved by" in panel_of(browse(reviewer), critical)


@pytest.fixture
def meaning(client_of):
    def ask(approval, amount):
        sent = {"verdict": "modify", "args-amount": amount, "args-order_id": "A-1", "digest": approval.digest}
        return client_of.post(reverse("approvals:meaning", args=[approval.pk]), sent).text

    return ask


def test_an_edit_that_lowers_what_the_rules_want_keeps_what_was_asked(client_of, team, meaning):
    make_rule("allow", action="issue_refund", conditions=[{"path": "amount", "op": "<", "value": 100}])
    approval = make_approval(team, risk="high", requirements={"count": 2, "message_required": True})
    assert "hx-partial" not in meaning(approval, "1.00"), "the list above the button keeps its reason"
    refused = post(client_of, approval, "modify", **{"args-amount": "1.00", "args-order_id": "A-1"})
    assert refused.status_code == 422
    assert "Before you approve" in refused.text
    kept = looked_at(approval, message="Less.", **{"args-amount": "1.00", "args-order_id": "A-1"})
    assert post(client_of, approval, "modify", **kept).status_code == 200
    approval.refresh_from_db()
    assert (approval.is_pending, approval.need, approval.risk) == (True, 2, "high")


def test_the_forms_own_label_says_whether_a_reason_has_to_be_given(client_of, team, meaning):
    plain = make_approval(team)
    assert "Reason, kept on record (optional)" in meaning(plain, "1.00")
    strict = make_approval(team, requirements={"message_required": True})
    partial = re.search(r"<hx-partial[^>]*>(.*?)</hx-partial>", meaning(strict, "1.00"))[1]
    assert partial == "Reason, kept on record"
    refused = post(client_of, strict, "modify", **{"args-amount": "1.00", "args-order_id": "A-1"})
    assert refused.status_code == 422
    assert "Give a reason" in refused.text
    assert ARGS == {"order_id": "A-1", "amount": "240.00"}


def test_the_currency_stands_beside_the_amount(client_of, team):
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}, "total": {"type": "integer"}},
    }
    money = make_approval(team, args={"amount": 240, "currency": "EUR", "total": 3}, args_schema=schema)
    panel = panel_of(client_of, money)
    assert panel.count('<span data-unit="id_args-currency">EUR</span>') == 1
    plain = make_approval(team, args={"amount": 240}, args_schema={"properties": {"amount": {"type": "number"}}})
    assert "data-unit" not in panel_of(client_of, plain)


def test_of_several_forms_of_a_value_the_page_knows_which_fields_belong_to_which(client_of, team):
    options = [
        {"title": title, "type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
        for title, key in (("Card", "number"), ("Transfer", "iban"))
    ]
    schema = {"type": "object", "properties": {"to": {"oneOf": options}}, "required": ["to"]}
    paid = make_approval(team, args={"to": {"number": "4711"}}, args_schema=schema)
    panel = panel_of(client_of, paid)
    assert 'data-branches="to"' in panel
    assert re.findall(r'data-label="([^"]+)"[^>]* data-branch="to" data-index="(\d)"', panel) == [
        ("To · Card · Number", "0"), ("To · Transfer · Iban", "1"),
    ]  # fmt: skip
    typed = {"args-to": "1", "args-to.1.iban": "DE02"}
    assert post(client_of, paid, "modify", **typed).status_code == 200
    paid.refresh_from_db()
    assert paid.args == {"to": {"iban": "DE02"}}
