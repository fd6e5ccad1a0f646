"""The pages of runs and agents: who sees what, filters, the start form, cancelling."""

import json
import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, User
from approvals.models import Tool
from runs.models import Agent, Run
from runs.states import CallStatus, RunStatus, StepKind
from runs.web import lists
from tests.runs.web.conftest import make_approval, make_call, make_run, make_step, told


def ids(response):
    return re.findall(r'id="run-([0-9a-f-]{36})"', response.content.decode())


# --- the list -------------------------------------------------------------------------------------------------------------


def test_it_lists_the_runs_of_ones_teams_newest_first(client, cast):
    older, newer = make_run(cast), make_run(cast)
    client.force_login(cast.reviewer)
    assert ids(client.get("/runs/")) == [str(newer.pk), str(older.pk)]
    client.force_login(cast.stranger)
    assert ids(client.get("/runs/")) == []


def test_it_asks_to_sign_in_first(client, cast):
    run = make_run(cast)
    for address in (
        "/runs/",
        f"/runs/{run.pk}/",
        f"/runs/{run.pk}/story/",
        f"/runs/{run.pk}/panel/",
        "/runs/start/",
        "/agents/",
    ):
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("account_login"))


def test_it_filters_by_status_and_agent(client, cast):
    failed, running = make_run(cast, status=RunStatus.FAILED), make_run(cast)
    other = Agent.objects.create(slug="mailer", name="Mailer", team=cast.team)
    mailed = Run.objects.create(agent=other, team=cast.team, input={}, thread_id=str(new_id()), requester_label="x")
    client.force_login(cast.operator)
    assert ids(client.get("/runs/?status=failed")) == [str(failed.pk)]
    assert ids(client.get("/runs/?agent=mailer")) == [str(mailed.pk)]
    assert ids(client.get("/runs/?status=running&agent=support")) == [str(running.pk)]
    assert len(ids(client.get("/runs/?status=nonsense&after=nonsense"))) == 3
    assert "No run fits the filter." in client.get("/runs/?status=cancelled").content.decode()


def test_it_pages_by_key(client, cast, monkeypatch):
    monkeypatch.setattr(lists, "PAGE_SIZE", 2)
    runs = [make_run(cast) for _ in range(5)]
    client.force_login(cast.operator)
    seen, address = [], "/runs/?agent=support"
    for _ in range(3):
        response = client.get(address)
        seen += ids(response)
        older = re.search(r'href="(\?[^"]*after=[^"]+)"', response.content.decode())
        address = "/runs/" + older[1].replace("&amp;", "&") if older else ""
    assert seen == [str(run.pk) for run in reversed(runs)]
    assert address == ""


def test_it_counts_the_approvals_that_wait(client, cast):
    run = make_run(cast, status=RunStatus.WAITING)
    make_approval(run)
    make_approval(run)
    make_approval(run, status="decided")
    client.force_login(cast.operator)
    assert '<span class="n">2</span>' in client.get("/runs/").content.decode()


def test_it_gives_the_rows_alone_as_a_fragment(client, cast):
    run = make_run(cast)
    client.force_login(cast.operator)
    response = client.get("/runs/", headers={"HX-Request": "true"})
    assert ids(response) == [str(run.pk)]
    assert "<html" not in response.content.decode()


# --- constant queries -----------------------------------------------------------------------------------------------------


def queries(client, address, django_assert_max_num_queries):
    with django_assert_max_num_queries(60) as counted:
        assert client.get(address).status_code == 200
    return len(counted)


def test_it_lists_any_number_of_runs_with_the_same_queries(client, cast, django_assert_max_num_queries):
    client.force_login(cast.operator)
    make_approval(make_run(cast))
    few = queries(client, "/runs/", django_assert_max_num_queries)
    for _ in range(12):
        make_approval(make_run(cast))
    assert queries(client, "/runs/", django_assert_max_num_queries) == few


def test_it_tells_any_number_of_steps_with_the_same_queries(client, cast, django_assert_max_num_queries):
    client.force_login(cast.operator)
    run = told(cast).run
    few = queries(client, f"/runs/{run.pk}/", django_assert_max_num_queries)
    for number in range(8):
        approval = make_approval(run)
        call = make_call(run, {"amount": f"{number}.00"}, approval=approval, status=CallStatus.WAITING)
        make_step(run, StepKind.TOOL, call=str(call.pk), outcome="waiting")
        make_step(run, StepKind.PAUSE, approvals=[str(approval.pk)])
        make_step(run, StepKind.DECISION, took=0, approval=str(approval.pk), verdict="approve", by="x")
    assert queries(client, f"/runs/{run.pk}/", django_assert_max_num_queries) == few


# --- one run --------------------------------------------------------------------------------------------------------------


def test_it_hides_the_run_of_another_team(client, cast):
    run = make_run(cast)
    client.force_login(cast.stranger)
    for name in ("detail", "story", "panel"):
        assert client.get(reverse(f"runs:{name}", args=[run.pk])).status_code == 404
    assert client.post(reverse("runs:cancel", args=[run.pk])).status_code == 404
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_it_hides_a_run_once_the_membership_ends(client, cast):
    run = make_run(cast)
    client.force_login(cast.reviewer)
    assert client.get(f"/runs/{run.pk}/").status_code == 200
    Membership.objects.filter(user=cast.reviewer).delete()
    assert client.get(f"/runs/{run.pk}/").status_code == 404


def test_it_shows_the_error_to_all_and_the_traceback_to_operators(client, cast):
    run = make_run(
        cast, status=RunStatus.FAILED, error={"kind": "ValueError", "message": "no such order"}, traceback="File secret.py",
        requester=cast.reviewer,
    )  # fmt: skip
    for user, sees in ((cast.reviewer, False), (cast.operator, True)):
        client.force_login(user)
        page = client.get(f"/runs/{run.pk}/").content.decode()
        assert "no such order" in page
        assert ("secret.py" in page) is sees
        assert ("secret.py" in client.get(f"/runs/{run.pk}/panel/").content.decode()) is sees
        assert "secret.py" not in client.get(f"/runs/{run.pk}/story/").content.decode()


def test_it_shows_the_record_to_operators(client, cast):
    client.force_login(cast.operator)
    client.post("/runs/start/", {"agent": "support", "words": "Refund order 1."})
    run = Run.objects.get()
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "<code>run.started</code>" in page
    assert f"{reverse('audit:list')}?run={run.pk}" in page
    client.force_login(cast.reviewer)
    assert "run.started" not in client.get(f"/runs/{run.pk}/").content.decode()


def test_it_pages_a_long_story(client, cast, monkeypatch):
    monkeypatch.setattr("runs.web.views.LINES", 3)
    run = make_run(cast)
    steps = [make_step(run, StepKind.NODE, took=1, name=f"node{number}") for number in range(5)]
    client.force_login(cast.operator)
    newest = client.get(f"/runs/{run.pk}/").content.decode()
    assert f"?before={steps[2].pk}" in newest
    assert "node1<" not in newest
    earlier = client.get(f"/runs/{run.pk}/?before={steps[2].pk}").content.decode()
    assert "node0<" in earlier
    assert "node2<" not in earlier
    assert client.get(f"/runs/{run.pk}/?before=9{'9' * 30}").status_code == 200
    assert client.get(f"/runs/{run.pk}/?before=nonsense").status_code == 200


def test_it_changes_nothing_by_reading(client, cast):
    run = told(cast).run
    client.force_login(cast.operator)
    before = (Run.objects.values().get(pk=run.pk), AuditEntry.objects.count())
    for address in (
        "/runs/",
        f"/runs/{run.pk}/",
        f"/runs/{run.pk}/story/",
        f"/runs/{run.pk}/panel/",
        "/runs/start/",
        "/agents/",
    ):
        assert client.get(address).status_code == 200
    assert client.get(f"/runs/{run.pk}/cancel/").status_code == 405
    assert (Run.objects.values().get(pk=run.pk), AuditEntry.objects.count()) == before


# --- cancelling -----------------------------------------------------------------------------------------------------------


def test_it_cancels_for_an_operator(client, cast):
    run = make_run(cast, requester=None)
    client.force_login(cast.operator)
    assert "Cancel this run" in client.get(f"/runs/{run.pk}/").content.decode()
    response = client.post(f"/runs/{run.pk}/cancel/")
    assert response.status_code == 302
    run.refresh_from_db()
    assert run.cancel_requested_by == "Olive Park"
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "Olive Park asked to cancel this run." in page
    assert "Cancel this run" not in page


def test_it_refuses_to_cancel_for_a_mere_reviewer(client, cast):
    run = make_run(cast, requester=None)
    client.force_login(cast.reviewer)
    assert "Cancel this run" not in client.get(f"/runs/{run.pk}/").content.decode()
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 403
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_it_says_that_an_ended_run_cannot_be_cancelled(client, cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED)
    client.force_login(cast.operator)
    response = client.post(f"/runs/{run.pk}/cancel/")
    assert response.status_code == 409
    assert "The run has ended." in response.content.decode()


def test_it_wants_a_csrf_token_to_cancel(cast):
    run = make_run(cast)
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.operator)
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 403
    assert client.post("/runs/start/", {"agent": "support", "words": "x"}).status_code == 403
    run.refresh_from_db()
    assert (run.cancel_requested_at, Run.objects.count()) == (None, 1)


def test_it_continues_a_failed_run_for_an_operator(client, cast):
    run = make_run(cast, status=RunStatus.FAILED, requester=None, error={"kind": "x", "message": "y"})
    client.force_login(cast.reviewer)
    assert "Continue from" not in client.get(f"/runs/{run.pk}/").content.decode()
    assert client.post(f"/runs/{run.pk}/continue/").status_code == 403
    client.force_login(cast.operator)
    assert "Continue from" in client.get(f"/runs/{run.pk}/").content.decode()
    assert client.get(f"/runs/{run.pk}/continue/").status_code == 405
    assert client.post(f"/runs/{run.pk}/continue/").status_code == 302
    assert client.post(f"/runs/{run.pk}/continue/").status_code == 409
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"messages": [{"role": "user", "content": "Refund <b>order</b> 1."}]}, "Refund &lt;b&gt;order&lt;/b&gt; 1."),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "second"}]}, "second"),
        ({"ticket": 4711}, "&quot;ticket&quot;: 4711"),
        ("plain words", "plain words"),
        ({"messages": "odd"}, "&quot;messages&quot;: &quot;odd&quot;"),
        ({"messages": [17]}, "17"),
    ],
)
def test_it_shows_what_the_run_was_given(client, cast, stored, expected):
    run = make_run(cast, input=stored)
    client.force_login(cast.reviewer)
    assert expected in client.get(f"/runs/{run.pk}/").content.decode()


# --- starting -------------------------------------------------------------------------------------------------------------


def test_it_starts_a_run_from_a_sentence(client, cast):
    client.force_login(cast.operator)
    assert "What should the agent do" in client.get("/runs/start/").content.decode()
    response = client.post("/runs/start/", {"agent": "support", "words": "Refund order 1.\r\nThanks", "dry_run": "on"})
    run = Run.objects.get()
    assert response["Location"] == f"/runs/{run.pk}/"
    assert run.input == {"messages": [{"role": "user", "content": "Refund order 1.\nThanks"}]}
    assert run.dry_run is True
    assert run.requester == cast.operator


def test_it_starts_a_run_from_json_with_its_types(client, cast):
    client.force_login(cast.operator)
    text = '{"messages": [], "count": 2, "share": 0.5, "flag": true}'
    client.post("/runs/start/", {"agent": "support", "json": "1", "input": text})
    run = Run.objects.get()
    assert run.input == json.loads(text)
    assert run.dry_run is False


def test_it_takes_json_only_where_the_agent_takes_no_conversation(client, cast):
    Agent.objects.filter(pk=cast.agent.pk).update(input_schema={"properties": {"ticket": {}}, "required": ["ticket"]})
    client.force_login(cast.operator)
    page = client.get("/runs/start/").content.decode()
    assert 'name="input"' in page
    assert 'name="words"' not in page
    client.post("/runs/start/", {"agent": "support", "input": '{"ticket": 4}'})
    assert Run.objects.get().input == {"ticket": 4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "This is not JSON: line 1, column 2"),
        ('{"a": NaN}', "This is not JSON"),
        ('{"a": 1e999}', "This is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("   ", "This is not JSON"),
        ("", "This field is required."),
        ("null", "The input is missing."),
    ],
)
def test_it_says_at_the_field_what_is_wrong_with_the_json(client, cast, text, expected):
    client.force_login(cast.operator)
    response = client.post("/runs/start/", {"agent": "support", "json": "1", "input": text})
    assert response.status_code == 422
    assert expected in response.content.decode()
    assert 'aria-invalid="true"' in response.content.decode()
    assert Run.objects.count() == 0


@pytest.mark.parametrize("words", ["", "  \n "])
def test_it_wants_words(client, cast, words):
    client.force_login(cast.operator)
    response = client.post("/runs/start/", {"agent": "support", "words": words})
    assert response.status_code == 422
    assert Run.objects.count() == 0


def test_it_refuses_too_large_an_input_and_keeps_what_was_typed(client, cast):
    client.force_login(cast.operator)
    words = "x" * (settings.INPUT_MAX_BYTES + 1)
    response = client.post("/runs/start/", {"agent": "support", "words": words})
    assert response.status_code == 413
    page = response.content.decode()
    assert "at most 262,144 are taken." in page
    assert words in page


def test_it_says_that_an_agent_is_switched_off_or_does_not_load(client, cast):
    client.force_login(cast.operator)
    for change, expected in (({"enabled": False}, "switched off"), ({"enabled": True, "load_error": "boom"}, "boom")):
        Agent.objects.filter(pk=cast.agent.pk).update(**change)
        response = client.post("/runs/start/", {"agent": "support", "words": "x"})
        assert response.status_code == 409
        assert expected in response.content.decode()


def test_it_knows_no_agent_of_another_team(client, cast):
    client.force_login(cast.stranger)
    assert client.get("/runs/start/?agent=support").status_code == 404
    assert client.post("/runs/start/", {"agent": "support", "words": "x"}).status_code == 404
    assert client.post("/runs/start/", {"agent": "nobody", "words": "x"}).status_code == 404
    assert "There is no agent that you may start." in client.get("/runs/start/").content.decode()
    assert Run.objects.count() == 0


def test_it_asks_which_agent_where_there_are_several(client, cast):
    Agent.objects.create(slug="mailer", name="Mailer", team=cast.team)
    client.force_login(cast.operator)
    page = client.get("/runs/start/").content.decode()
    assert 'href="?agent=mailer"' in page
    assert "<textarea" not in page


# --- agents ---------------------------------------------------------------------------------------------------------------


def test_it_lists_agents_with_their_tools_and_troubles(client, cast):
    Agent.objects.create(
        slug="broken", name="Broken", team=cast.team, load_error="File secret.py\nImportError: <b>no module</b>"
    )
    Agent.objects.create(slug="theirs", name="Theirs", team=cast.other)
    client.force_login(cast.reviewer)
    page = client.get("/agents/").content.decode()
    assert "issue_refund" in page
    assert "ImportError: &lt;b&gt;no module&lt;/b&gt;" in page
    assert "secret.py" not in page
    assert "Does not load" in page
    assert "Theirs" not in page
    assert "is not covered" in page
    client.force_login(cast.operator)
    assert "secret.py" in client.get("/agents/").content.decode()


def test_it_counts_what_a_run_has_used(client, cast):
    client.force_login(cast.reviewer)
    page = client.get(f"/runs/{told(cast).run.pk}/").content.decode()
    assert "1 of 60" in page
    assert "2 of 60" in page
    assert "1,200 and 214 tokens" in page
    assert "Modified by Robin Vale" in page


def test_it_shows_everything_to_a_superuser(client, cast):
    run = make_run(cast)
    root = User.objects.create_superuser("root", password="demo")
    client.force_login(root)
    assert ids(client.get("/runs/")) == [str(run.pk)]
    assert client.get(f"/runs/{run.pk}/").status_code == 200
    assert Role.ADMIN not in root.memberships.values_list("role", flat=True)


def test_it_starts_a_run_about_something_and_shows_it(client, cast):
    for name in ("get_order", "send_email"):
        Tool.objects.create(agent="support", team=cast.team, name=name)
    client.force_login(cast.operator)
    page = client.get("/runs/start/").content.decode()
    assert "What it is about, and which tools it may use" in page
    form = {"agent": "support", "words": "x", "scope": "customer: 17\r\norder: 5\r\norder: 6", "tools": ["get_order"]}
    client.post("/runs/start/", form)
    run = Run.objects.get()
    assert (run.scope, run.tools) == ({"customer": "17", "order": ["5", "6"]}, ["get_order"])
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "order: 5, 6<br>customer: 17" in page
    assert "<code>get_order</code>" in page


@pytest.mark.parametrize("scope", ["customer", "customer:", "Customer: 17", ": 17"])
def test_it_says_at_the_field_what_is_wrong_with_the_scope(client, cast, scope):
    client.force_login(cast.operator)
    response = client.post("/runs/start/", {"agent": "support", "words": "x", "scope": scope})
    assert response.status_code == 422
    assert 'id="id_scope_error"' in response.content.decode()
    assert not Run.objects.exists()


def test_it_masks_secrets_and_shows_them_once_to_operators_with_an_entry(client, cast):
    said = {"messages": [{"role": "user", "content": "The password=hunter2 works."}]}
    run = make_run(
        cast, input=said, title="password=hunter2", error={"kind": "ValueError", "message": "postgres://a:hunter3@db"}
    )
    make_call(run, {"api_key": "hunter4", "order_id": "7"}, result={"shown": {"token": "hunter5"}}, status=CallStatus.SUCCEEDED)
    client.force_login(cast.reviewer)
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "hunter" not in page
    assert "Show what is masked" not in page
    assert client.post(f"/runs/{run.pk}/revealed/").status_code == 403
    client.force_login(cast.operator)
    assert "Show what is masked" in client.get(f"/runs/{run.pk}/").content.decode()
    shown = client.post(f"/runs/{run.pk}/revealed/").content.decode()
    assert all(f"hunter{n}" in shown for n in (2, 4, 5))
    assert AuditEntry.objects.get(action="run.revealed").actor_id == cast.operator.pk
    assert "hunter" not in client.get(f"/runs/{run.pk}/").content.decode()
    assert "hunter" not in client.get("/runs/").content.decode()


def test_a_run_of_many_calls_says_that_it_shows_the_last_ones_only(client, cast, monkeypatch):
    from runs.web import views

    monkeypatch.setattr(views, "CALLS", 2)
    run = make_run(cast)
    calls = [make_call(run, call_id=f"call_{number}") for number in range(2)]
    client.force_login(cast.operator)
    address = f"/runs/{run.pk}/"
    assert "Only the last" not in client.get(address).text
    calls.append(make_call(run, call_id="call_2"))
    page = client.get(address).text
    assert "Only the last 2 calls are shown here." in page
    assert [str(call.pk) in page for call in calls] == [False, True, True]
