"""Each reader in their language: pages, pushes, e-mails, errors. German is the test language of conftest.py where more is read
than its first translations."""

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import translation

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.invitations import invite
from agentdesk.people.languages import of_browser
from agentdesk.people.models import User
from approvals.decisions import recall
from approvals.errors import NotAllowed, NotFound
from approvals.models import Decision
from approvals.web.fragments import render_row
from tests.approvals.cast import entries, make_approval, make_team, make_user, post
from tests.approvals.web.conftest import looked_at
from tests.cast import Api
from tests.language.conftest import wide
from tests.notices.conftest import run_all, write_to

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def team(db):
    return make_team()


@pytest.fixture
def german(team):
    return make_user(team, name="greta", language="de", email="greta@example.org")


@pytest.fixture
def english(team):
    return make_user(team, name="emil", language="en")


def browser_of(user, **options):
    client = Client(**options)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text_of(answer):
    return answer.content.decode()


def test_who_is_not_signed_in_is_answered_as_the_browser_asks(db):
    page = Client().get("/accounts/login/", headers=GERMAN)
    assert '<html lang="de"' in text_of(page)
    assert "<h1>Anmelden</h1>" in text_of(page)
    assert page["Content-Language"] == "de"
    assert "Accept-Language" in page["Vary"]
    assert "<h1>Sign in</h1>" in text_of(Client().get("/accounts/login/", headers={"Accept-Language": "fr"}))


def test_the_desk_has_a_language_for_who_asks_for_none_that_it_speaks(db, settings):
    settings.DESK_LANGUAGE = "de"
    assert "<h1>Anmelden</h1>" in text_of(Client().get("/accounts/login/"))
    assert "<h1>Sign in</h1>" in text_of(Client().get("/accounts/login/", headers={"Accept-Language": "en"}))


def test_a_language_is_chosen_before_signing_in_and_leads_back(db):
    client = Client(headers={"Accept-Language": "en"})
    answer = client.post("/language/", {"language": "de", "next": "/accounts/login/?next=/runs/"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/runs/")
    assert "<h1>Anmelden</h1>" in text_of(client.get("/accounts/login/"))
    client.post("/language/", {"language": "xx", "next": "/accounts/login/"})
    assert "<h1>Anmelden</h1>" in text_of(client.get("/accounts/login/"))


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_choosing_a_language_leads_nowhere_else(db, address):
    assert Client().post("/language/", {"language": "de", "next": address})["Location"] == "/"


def test_choosing_a_language_takes_the_page_s_own_form(db):
    assert Client(enforce_csrf_checks=True).post("/language/", {"language": "de"}).status_code == 403


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [("", "de-CH", "de"), ("en", "de", "en"), ("", "fr, de;q=0.1", "de"), ("", "*", ""), ("", "", ""), ("xx", "fr", ""),
     ("../../etc", "", ""), ("", "x" * 9000, "")],
)  # fmt: skip
def test_a_browser_asks_by_its_choice_and_then_by_its_header(cookie, accepted, language):
    assert of_browser(cookie, accepted) == language


def test_the_profile_rules_over_the_browser(german, english):
    page = text_of(browser_of(german, headers={"Accept-Language": "en"}).get("/"))
    assert '<html lang="de"' in page
    assert all(word in page for word in ("Meine", "Zurückgestellt", "Erledigt", "Eingang"))
    assert "Snoozed" in text_of(browser_of(english, headers=GERMAN).get("/"))


def test_the_language_is_chosen_in_the_profile(english):
    client = browser_of(english, headers={"Accept-Language": "en"})
    facts = {"first_name": "Emil", "last_name": "", "time_zone": "", "theme": "system"}
    client.post("/profile/", {**facts, "language": "de"})
    assert "Eingang" in text_of(client.get("/"))
    assert AuditEntry.objects.get(action="user.changed").after["language"] == "de"
    client.logout()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    assert "<h1>Anmelden</h1>" in text_of(client.get("/accounts/login/"))


def test_as_the_browser_means_this_browser_again(german):
    client = browser_of(german, headers={"Accept-Language": "en"})
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    client.post("/profile/", {"first_name": "Greta", "last_name": "", "time_zone": "", "theme": "system", "language": ""})
    assert '<html lang="en"' in text_of(client.get("/"))
    assert client.post("/profile/", {"theme": "system", "language": "xx"}).status_code == 422


def test_pages_of_errors_are_in_the_reader_s_language(german, monkeypatch):
    client = browser_of(german, raise_request_exception=False)
    assert '<html lang="de"' in text_of(client.get("/nowhere/"))
    refused = client.get("/admin/", follow=True)
    assert (refused.status_code, '<html lang="de"' in text_of(refused)) == (403, True)
    strict = browser_of(german, enforce_csrf_checks=True)
    assert '<html lang="de"' in text_of(strict.post("/profile/theme/", {"theme": "dark"}))
    monkeypatch.setattr("approvals.web.queue.count", lambda *_args: 1 / 0)
    answer = client.get("/")
    assert (answer.status_code, '<html lang="de"' in text_of(answer)) == (500, True)


def test_money_is_read_as_the_reader_writes_it(team, german, english):
    args = {"order_id": "A-1", "amount": "1860.00", "currency": "EUR"}
    approval = make_approval(team, args=args, args_schema=None)
    address = f"/approvals/{approval.pk}/"
    assert "1.860,00 EUR" in text_of(browser_of(german).get(address))
    assert "1,860.00 EUR" in text_of(browser_of(english).get(address))


def test_what_has_to_be_typed_is_what_is_shown(team, german):
    approval = make_approval(team, args={"amount": "1860.00", "currency": "EUR"}, args_schema=None, risk="critical")
    sent = {
        "verdict": "approve",
        "digest": approval.digest,
        "version": approval.version,
        "message": "Gut.",
        **looked_at(approval),
    }
    client = browser_of(german)
    assert "1.860,00 EUR" in text_of(client.get(f"/approvals/{approval.pk}/"))
    refused = client.post(f"/approvals/{approval.pk}/decision/", {**sent, "confirm": "1,860.00 EUR"})
    assert refused.status_code == 422
    taken = client.post(f"/approvals/{approval.pk}/decision/", {**sent, "confirm": "1.860,00 EUR"})
    assert taken.status_code == 403  # the text is right; the proof that it is them comes next


@pytest.mark.parametrize(("typed", "told"), [
    ("1.234", "may be read in two ways"), ("1,234", "Write a number such as"), ("1.234,50", "Write a number such as"),
])  # fmt: skip
def test_no_number_is_taken_for_another(team, german, wide_letters, typed, told):
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    approval = make_approval(team, args={"amount": 5}, args_schema=schema)
    sent = {"verdict": "modify", "digest": approval.digest, "version": approval.version, "args-amount": typed}
    answer = browser_of(german).post(f"/approvals/{approval.pk}/decision/", sent)
    assert answer.status_code == 422
    assert wide(told) in text_of(answer)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(("typed", "meant"), [("1234", 1234), ("1.2340", 1.234), ("0.125", 0.125), ("12.34", 12.34)])
def test_what_means_one_number_only_is_taken(team, german, typed, meant):
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    approval = make_approval(team, args={"amount": 5}, args_schema=schema)
    sent = {"verdict": "modify", "digest": approval.digest, "version": approval.version, "args-amount": typed}
    assert browser_of(german).post(f"/approvals/{approval.pk}/decision/", sent).status_code == 302
    assert Decision.objects.get().args["amount"] == meant


def test_a_typed_number_is_shown_as_it_is_read(team, german, english):
    approval = make_approval(team)
    told = {person: text_of(browser_of(person).post(f"/approvals/{approval.pk}/meaning/", {"args-amount": "1860.50"}))
            for person in (german, english)}  # fmt: skip
    assert "1.860,50" in told[german]
    assert "1,860.50" in told[english]


def test_a_row_is_kept_for_each_language(team, wide_letters):
    approval = make_approval(team, args={"amount": "1860.00"}, args_schema=None, requirements={"count": 2})
    rows = {}
    for language in ("en", "de", "en", "de"):
        with translation.override(language):
            rows.setdefault(language, []).append(render_row(approval))
    assert rows["en"][0] is rows["en"][1]
    assert rows["de"][0] is rows["de"][1]
    assert "1,860.00" in rows["en"][0]
    assert "1.860,00" in rows["de"][0]
    assert wide("of") in rows["de"][0]


def test_people_are_invited_in_their_own_language(german, english, wide_letters):
    with translation.override("en"):
        invite(german, actor=Actor.of(english))
    assert mail.outbox[0].subject == f"{wide('Your access to AgentDesk')}"
    assert wide("The link works once.") in mail.outbox[0].body


def test_people_are_written_to_in_their_own_language(team, german, english, wide_letters, settings):
    settings.NOTICES_MAIL = True
    for person in (german, english):
        write_to(person)
    make_approval(team, risk="high")
    run_all()
    told = {message.to[0]: (message.subject, message.body) for message in mail.outbox}
    subject, body = told[english.email]
    assert subject == "High risk: Issue refund waits for people"
    assert "Nothing can be decided by answering" in body
    subject, body = told[german.email]
    assert subject == f"{wide('High')} {wide('risk')}: Issue refund {wide('waits for people')}"
    assert wide("Nothing can be decided by answering") in body


def test_a_new_password_is_written_about_in_the_language_of_its_owner(german, wide_letters):
    Client().post("/accounts/password/reset/", {"email": german.email})
    assert wide("Password") in mail.outbox[0].subject


def test_programs_read_english_unless_they_ask_for_another_language(team, german, wide_letters):
    told = {}
    for name, headers in (("plain", {}), ("asks", GERMAN)):
        api = Api.of(german)
        api.client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
        path = "/api/v1/approvals/00000000-0000-7000-8000-000000000000/decision"
        body = {"verdict": "approve", "digest": "x", "version": 1}
        sent = {"Authorization": f"Bearer {api.token}", **headers}
        told[name] = api.client.post(path, body, content_type="application/json", headers=sent).json()["error"]
    assert told["plain"] == {"code": "not_found", "message": str(NotFound.text)}
    assert told["asks"] == {"code": "not_found", "message": wide("There is no such approval.")}


def test_what_is_put_on_record_is_english_whoever_acts(team, wide_letters):
    outsider = make_user(make_team("Finance"), name="otto", language="de", is_superuser=True)
    approval = make_approval(team)
    with translation.override("de"), pytest.raises(NotAllowed) as refused:
        post(approval, outsider)
    with translation.override("de"):
        assert str(refused.value) == f"{wide('Only reviewers of')} {team.name} {wide('decide this.')}"
    (entry,) = entries(approval, "approval.refused")
    assert entry.after["because"] == f"Only reviewers of {team.name} decide this."


def test_what_an_agent_is_told_is_english_whoever_acts(team, german, wide_letters, settings):
    settings.HOLD_SECONDS = {"medium": "60"}
    approval = make_approval(team)
    with translation.override("de"):
        post(approval, german)
        approval = recall(approval.pk, actor=Actor.of(german, "web"))
    assert approval.reopened_because == f"{german.label} took the decision back."


def test_a_role_is_recorded_in_english(german, wide_letters):
    with translation.override("de"):
        assert str(german.memberships.get()).endswith("· Reviewer")


def test_who_has_no_language_is_written_to_in_the_desk_s(db, settings, wide_letters):
    settings.DESK_LANGUAGE = "de"
    nobody = User.objects.create(username="nobody", email="nobody@example.org")
    invite(nobody, actor=Actor.of(nobody))
    assert wide("The link works once.") in mail.outbox[0].body
