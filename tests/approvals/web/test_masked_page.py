"""Secrets on the decision page and in the API: masked, opened by those who may with an entry in the record, decided exactly."""

import re
from types import SimpleNamespace

from agentdesk.audit.models import AuditEntry
from agentdesk.masking import MARK
from approvals.models import Decision
from approvals.policy.origins import Found, Origin, Origins
from approvals.sources import Read
from approvals.web import display
from approvals.web.quotes import quotes
from tests.approvals.cast import post as decide
from tests.cast import Api, Cast, make_approval, make_cast

ARGS = {"account": "ada", "password": "hunter2", "note": "use sk-abcdefghijklmnop1234", "amount": 5}
SECRETS = ("hunter2", "abcdefghijklmnop1234")
SCHEMA = {"type": "object", "properties": {name: {"type": "number" if name == "amount" else "string"} for name in ARGS}}


def page_of(approval) -> str:
    return f"/approvals/{approval.pk}/"


def asked(cast: Cast, **facts):
    told = {"action": "open_account", "args": ARGS, "args_schema": SCHEMA, "reason": "The token=abc12345 works."}
    return make_approval(cast.support, **(told | facts))


def signed_in(client, user):
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_page_masks_secrets_and_shows_them_once_to_who_may_with_an_entry(db, client):
    cast = make_cast()
    approval = asked(cast)
    signed_in(client, cast.reviewer)
    for address in (page_of(approval), f"{page_of(approval)}card/", f"{page_of(approval)}panel/"):
        text = client.get(address).content.decode()
        assert not [secret for secret in (*SECRETS, "abc12345") if secret in text], address
    assert MARK in text
    assert not AuditEntry.objects.filter(action="approval.revealed").exists()
    response = client.post(f"{page_of(approval)}revealed/")
    shown = response.content.decode()
    assert all(secret in shown for secret in (*SECRETS, "abc12345"))
    assert "Secrets are shown on this page." in shown
    assert "no-store" in response["Cache-Control"]
    entry = AuditEntry.objects.get(action="approval.revealed")
    assert (entry.actor_id, entry.object_id) == (cast.reviewer.pk, str(approval.pk))
    assert "hunter2" not in client.get(page_of(approval)).content.decode(), "masked again"
    assert client.get(f"{page_of(approval)}revealed/").status_code == 405


def test_others_do_not_open_them(db, client):
    cast = make_cast()
    approval = asked(cast)
    for user, status in ((cast.stranger, 404), (cast.program, 403)):
        assert signed_in(client, user).post(f"{page_of(approval)}revealed/").status_code == status
    assert not AuditEntry.objects.filter(action="approval.revealed").exists()


def test_a_page_without_secrets_offers_nothing_to_show(db, client):
    cast = make_cast()
    approval = make_approval(cast.support)
    assert "Show what is masked" not in signed_in(client, cast.reviewer).get(page_of(approval)).content.decode()


def posted(client, approval, **changes):
    page = client.get(page_of(approval)).content.decode()
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    fields = {"args-account": "ada", "args-password": MARK, "args-note": f"use {MARK}", "args-amount": "5"}
    form = {"verdict": "modify", "digest": approval.digest, "version": approval.version, **fields, **changes}
    return client.post(f"{page_of(approval)}decision/", form | ({"seen": seen[1]} if seen else {}))


def test_what_a_reviewer_leaves_masked_stays_exact(db, client):
    cast = make_cast()
    approval = asked(cast)
    signed_in(client, cast.reviewer)
    assert posted(client, approval, **{"args-amount": "4"}).status_code == 302
    assert Decision.objects.get().args == ARGS | {"amount": 4}


def test_a_text_changed_around_a_mask_is_refused(db, client):
    cast = make_cast()
    approval = asked(cast)
    signed_in(client, cast.reviewer)
    response = posted(client, approval, **{"args-note": f"please use {MARK}"})
    assert response.status_code == 422
    assert "Reveal it before you change the text around it." in response.content.decode()
    assert not Decision.objects.exists()


def test_the_api_masks_for_readers_takes_masks_back_and_is_exact_for_the_program_that_asked(db):
    cast = make_cast()
    question = {"agent": "depot", "action": "open_account", "args": ARGS, "args_schema": SCHEMA, "request_key": "k1"}
    approval_id = Api.of(cast.program).post("approvals", question).json()["approval"]["id"]
    seen = Api.of(cast.reviewer).get(f"approvals/{approval_id}").json()
    assert seen["args"] == {"account": "ada", "password": MARK, "note": f"use {MARK}", "amount": 5}
    body = {"verdict": "modify", "digest": seen["digest"], "version": seen["version"], "args": seen["args"] | {"amount": 4}}
    for _again in range(2):
        assert Api.of(cast.reviewer).post(f"approvals/{approval_id}/decision", body).status_code == 200
    assert Api.of(cast.program).get(f"approvals/{approval_id}").json()["decision"]["args"] == ARGS | {"amount": 4}
    assert Api.of(cast.second).get(f"approvals/{approval_id}").json()["decision"]["args"]["password"] == MARK


def test_the_page_that_reveals_one_approval_masks_the_others_on_it(db, client):
    cast = make_cast()
    key = "sk-proj-abcdefghijklmnop1234"
    refunds = [
        make_approval(cast.support, action="issue_refund", args={"order_id": f"{key}{n}", "amount": "1.00"}, args_schema=None)
        for n in range(3)
    ]
    for approval in refunds[:2]:
        decide(approval, cast.reviewer, "reject", message="No.")
    shown = signed_in(client, cast.reviewer).post(f"{page_of(refunds[1])}revealed/").content.decode()
    assert f"{key}1" in shown
    assert "Next:" in shown
    assert f"{key}0" not in shown, "decided before"
    assert f"{key}2" not in shown, "the next one"


def test_a_value_under_a_secret_name_is_quoted_nowhere(db, monkeypatch):
    """Its text would stand in the quote as it is: there nothing but its place in the arguments says that it is one."""
    origins = Origins((Origin(("password",), (Found("tool", "read_mail", 3, "hunter2"),)),))
    approval = asked(make_cast(), args={"account": "ada", "password": "hunter2"})
    monkeypatch.setattr(display, "origins_of", lambda _approval: origins)
    shown = display.arguments(approval)
    source = SimpleNamespace(
        read=lambda _ref, steps: {step: Read("The word is hunter2, says she.", "/runs/") for step in steps}
    )
    assert quotes(approval, shown, source) == []
    assert "hunter2" not in repr(shown)
