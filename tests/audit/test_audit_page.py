"""The audit page: who reads what, filters, pages, one entry."""

import re
from datetime import timedelta

import pytest
from django.db.models import CharField, Func, Value
from django.test import Client
from django.utils import timezone

from agentdesk.audit import access
from agentdesk.audit.access import entries_of_run
from agentdesk.audit.filters import FilterForm
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from agentdesk.people.models import Role, User


def shown(response):
    """The labels of the entries on the page, from top to bottom."""
    assert response.status_code == 200
    return [row.entry.object_label for row in response.context["rows"]]


def test_it_shows_ones_teams_entries_newest_first(browser, refunds, returns, note):
    note(refunds, "first")
    note(returns, "not theirs")
    note(refunds, "second")
    note(None, "the desk's own")
    assert shown(browser.get("/audit/")) == ["second", "first"]


def test_it_merges_several_teams_in_order(person, refunds, returns, note):
    client = Client()
    client.force_login(person("both", Role.OPERATOR, refunds, returns))
    for number in range(6):
        note((refunds, returns)[number % 2], f"entry {number}")
    assert shown(client.get("/audit/")) == [f"entry {number}" for number in reversed(range(6))]


def test_it_shows_admins_the_sign_ins_of_their_people(person, refunds, returns, note):
    member, stranger = person("member", Role.REVIEWER, refunds), person("stranger", Role.REVIEWER, returns)
    client = Client()
    client.force_login(person("ada", Role.ADMIN, refunds))
    note(None, "in", action="login.succeeded", actor=Actor.of(member))
    note(None, "stranger in", action="login.succeeded", actor=Actor.of(stranger))
    labels = shown(client.get("/audit/?action=login.succeeded"))
    assert "in" in labels
    assert "stranger in" not in labels


def test_it_shows_superusers_everything(refunds, note):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    note(refunds, "a team's")
    note(None, "nobody's")
    assert shown(client.get("/audit/?on=approval")) == ["nobody's", "a team's"]


def test_it_is_not_there_for_reviewers(person, refunds, note):
    client = Client()
    client.force_login(person("robin", Role.REVIEWER, refunds))
    note(refunds, "something")
    assert client.get("/audit/").status_code == 404
    assert client.get(f"/audit/{AuditEntry.objects.earliest('id').pk}/").status_code == 404


def test_it_asks_strangers_to_sign_in(db):
    assert Client().get("/audit/").status_code == 302


def test_it_shows_one_entry_with_its_changes_and_content(browser, refunds, note):
    run = new_id()
    note(
        refunds, "refund 240.00 EUR", before={"status": "pending", "amount": "240.00"}, run_id=run, policy_version=7,
        after={"status": "decided", "amount": "212.50"}, content={"message": "<script>alert(1)</script>"},
    )  # fmt: skip
    entry = AuditEntry.objects.get(object_label="refund 240.00 EUR")
    page = browser.get(f"/audit/{entry.pk}/").content.decode()
    assert re.search(r"<del>240\.00</del>.*<ins>212\.50</ins>", page)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert f"/runs/{run}/" in page
    assert "version 7" in page


def test_it_hides_entries_of_other_teams(browser, returns, note):
    note(returns, "not theirs")
    entry = AuditEntry.objects.get(object_label="not theirs")
    assert browser.get(f"/audit/{entry.pk}/").status_code == 404
    assert browser.get("/audit/9999999999/").status_code == 404


def test_it_filters(browser, refunds, note, person):
    run, approval = new_id(), new_id()
    robin = person("robin", Role.REVIEWER, refunds)
    note(refunds, "by robin", actor=Actor.of(robin), object_id=approval)
    note(refunds, "by the desk", action="run.started", run_id=run)
    assert shown(browser.get("/audit/?who=ROB")) == ["by robin"]
    assert shown(browser.get("/audit/?people=on")) == ["by robin"]
    assert shown(browser.get("/audit/?action=run.started")) == ["by the desk"]
    assert shown(browser.get(f"/audit/?run={run}")) == ["by the desk"]
    assert shown(browser.get(f"/audit/?on={run}")) == ["by the desk"]
    assert shown(browser.get(f"/audit/?on={approval}")) == ["by robin"]
    assert shown(browser.get("/audit/?on=the+DESK")) == ["by the desk"]
    today, tomorrow = timezone.now().date(), timezone.now().date() + timedelta(days=1)
    assert len(shown(browser.get(f"/audit/?since={today}&until={today}"))) == 2
    assert shown(browser.get(f"/audit/?since={tomorrow}")) == []
    assert shown(browser.get("/audit/?who=nobody+of+that+name")) == []


@pytest.mark.parametrize("query", ["run=x", "since=yesterday", "action=run.invented", "until=2026-13-01"])
def test_it_shows_errors_of_the_filter(browser, query):
    response = browser.get(f"/audit/?{query}")
    assert response.status_code == 422
    assert 'class="err"' in response.content.decode()


@pytest.mark.parametrize("before", ["", "x", "-1", "9" * 30, "\x00", "١"])
def test_it_ignores_a_cursor_that_it_did_not_give_out(browser, refunds, note, before):
    note(refunds, "there")
    assert shown(browser.get("/audit/", {"before": before})) == ["there"]


def test_it_leads_through_all_pages_once_and_keeps_the_filter(browser, refunds, note):
    for number in range(120):
        note(refunds, f"entry {number}")
    note(refunds, "other", action="run.started")
    found, path = [], "/audit/?action=approval.decided"
    while path:
        response = browser.get(path)
        found += shown(response)
        link = re.search(r'rel="next" href="([^"]+)"', response.content.decode())
        path = link[1].replace("&amp;", "&") if link else None
    assert found == [f"entry {number}" for number in reversed(range(120))]


def test_it_costs_the_same_number_of_queries_however_much_is_on_record(browser, refunds, note, django_assert_max_num_queries):
    note(refunds, "one")
    with django_assert_max_num_queries(10) as few:
        browser.get("/audit/")
    for number in range(60):
        note(refunds, f"entry {number}")
    with django_assert_max_num_queries(len(few)):
        browser.get("/audit/")


def test_it_gives_up_a_search_that_takes_too_long(browser, refunds, note, monkeypatch):
    for number in range(30):
        note(refunds, f"entry {number}")
    slow = AuditEntry.objects.annotate(nap=Func(Value(0.02), function="pg_sleep", output_field=CharField()))
    monkeypatch.setattr(access, "PATIENCE", 0.1)
    monkeypatch.setattr(FilterForm, "narrow", lambda form, entries: slow)
    response = browser.get("/audit/?who=somebody")
    assert response.status_code == 503
    assert "takes too long" in response.content.decode()


def test_it_gives_the_run_page_its_entries(person, refunds, returns, note):
    run = new_id()
    note(refunds, "of the run", run_id=run)
    note(refunds, "of another", run_id=new_id())
    assert [e.object_label for e in entries_of_run(person("kim", Role.OPERATOR, refunds), run)] == ["of the run"]
    assert entries_of_run(person("lee", Role.OPERATOR, returns), run) == []
    assert entries_of_run(person("robin", Role.REVIEWER, refunds), run) == []
