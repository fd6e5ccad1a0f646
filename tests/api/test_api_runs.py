"""Starting, reading and cancelling runs over the API."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.ids import new_id
from runs.lifecycle import SOURCE
from runs.models import Run, Step, ToolCall
from tests.cast import Api, Cast, make_agent, make_approval, make_checkpoint

START = {"agent": "support", "input": {"messages": [{"role": "user", "content": "Subject: Lost parcel"}]}}

CHECKPOINT = {"id": "c1", "step": 1, "source": "loop", "at": "2026-11-22T10:00:00Z", "after": [], "next": []}


def start(cast: Cast) -> str:
    return str(Api.of(cast.operator).post("runs", START).json()["id"])


@pytest.mark.parametrize("who", ["operator", "reviewer", "program"])
def test_it_starts_a_run(cast: Cast, who: str):
    user = getattr(cast, who)
    response = Api.of(user).post("runs", START)
    run = response.json()
    assert response.status_code == 201
    assert (run["agent"], run["status"], run["input"], run["approvals"]) == ("support", "queued", START["input"], [])
    assert (run["title"], run["requested_by"], run["dry_run"]) == ("Lost parcel", user.label, False)
    entry = AuditEntry.objects.get(action="run.started")
    assert (entry.actor_id, entry.via, str(entry.run_id)) == (user.pk, "api", run["id"])


def test_it_starts_a_dry_run(cast: Cast):
    assert Api.of(cast.operator).post("runs", START | {"dry_run": True}).json()["dry_run"] is True


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"agent": "nobody"}, 404, "unknown_agent"),
        ({"agent": "off"}, 409, "agent_unavailable"),
        ({"agent": "broken"}, 409, "agent_unavailable"),
        ({"input": None}, 422, "invalid_input"),
        ({"input": {"a": "x" * 300_000}}, 413, "input_too_large"),
        ({"input": "a\0b"}, 201, None),
        ({"input": 2**70}, 201, None),
    ],
)
def test_it_says_why_a_run_does_not_start(cast: Cast, change: dict[str, Any], status: int, code: str | None):
    make_agent("off", cast.support, enabled=False)
    make_agent("broken", cast.support, load_error="Traceback\nImportError: no module named nothing")
    response = Api.of(cast.operator).post("runs", START | change)
    assert response.status_code == status
    assert (response.json()["error"] or {}).get("code") == code
    assert Run.objects.count() == (status == 201)


def test_another_team_finds_nothing_and_starts_nothing(cast: Cast):
    run = start(cast)
    api = Api.of(cast.stranger)
    assert api.get("runs").json()["items"] == []
    assert api.get(f"runs/{run}").status_code == api.get(f"runs/{run}/steps").status_code == 404
    assert api.post(f"runs/{run}/cancel").status_code == 404
    assert api.post("runs", START).json()["error"]["code"] == "unknown_agent"
    assert Run.objects.get().cancel_requested_at is None


def test_it_shows_the_approvals_and_tool_calls_of_a_run(cast: Cast):
    run = start(cast)
    approval = make_approval(cast.support, source=SOURCE, source_ref=run)
    ToolCall.objects.create(
        run_id=run, message_id="m", call_id="c", tool="issue_refund", digest=approval.digest, verdict="ask", approval=approval,
        asked_args={"amount": {"$": "decimal", "v": "80.00"}}, executed_args={"amount": 50},
    )  # fmt: skip
    shown = Api.of(cast.reviewer).get(f"runs/{run}").json()
    assert shown["approvals"] == [str(approval.pk)]
    call = shown["calls"][0]
    assert (call["tool"], call["asked_args"], call["executed_args"]) == ("issue_refund", {"amount": "80.00"}, {"amount": 50})
    assert call["approval"] == str(approval.pk)
    listed = Api.of(cast.reviewer).get("runs").json()["items"][0]
    assert listed["approvals"] == [str(approval.pk)]


def test_only_operators_read_tracebacks(cast: Cast):
    run = start(cast)
    Run.objects.update(status="failed", traceback="Traceback: secret", error={"kind": "KeyError", "message": "no such key"})
    for who, seen in (("operator", "Traceback: secret"), ("admin", "Traceback: secret"), ("reviewer", None)):
        shown = Api.of(getattr(cast, who)).get(f"runs/{run}").json()
        assert (shown["traceback"], shown["error"]["message"]) == (seen, "no such key"), who
    assert "secret" not in Api.of(cast.operator).get("runs").content.decode()


def test_it_lists_steps_in_order(cast: Cast):
    run = start(cast)
    for number in range(5):
        Step.objects.create(
            run_id=run, key=new_id(), attempt=1, kind="node", name=f"n{number}", status="done", started_at=timezone.now()
        )
    api = Api.of(cast.reviewer)
    first = api.get(f"runs/{run}/steps", limit=3).json()
    second = api.get(f"runs/{run}/steps", limit=3, cursor=first["next"]).json()
    assert [step["name"] for step in first["items"] + second["items"]] == ["n0", "n1", "n2", "n3", "n4"]
    assert second["next"] is None


def test_it_filters_runs(cast: Cast):
    make_agent("other", cast.support)
    start(cast)
    other = Api.of(cast.operator).post("runs", START | {"agent": "other"}).json()["id"]
    api = Api.of(cast.operator)
    assert [run["id"] for run in api.get("runs", agent="other", status="queued").json()["items"]] == [other]
    assert api.get("runs", status="failed").json()["items"] == []


def test_it_asks_the_database_as_often_for_many_runs_as_for_one(cast: Cast):
    start(cast)
    api = Api.of(cast.operator)
    api.get("runs")
    with CaptureQueriesContext(connection) as one:
        api.get("runs")
    for _number in range(5):
        run = start(cast)
        make_approval(cast.support, source=SOURCE, source_ref=run)
    with CaptureQueriesContext(connection) as many:
        assert len(api.get("runs").json()["items"]) == 6
    assert len(many) == len(one) <= 4


def test_it_cancels(cast: Cast):
    run = start(cast)
    shown = Api.of(cast.operator).post(f"runs/{run}/cancel")
    assert (shown.status_code, shown.json()["cancel_requested_at"] is not None) == (200, True)
    assert AuditEntry.objects.get(action="run.cancel_requested").actor_id == cast.operator.pk


def test_it_does_not_cancel_for_reviewers_nor_what_has_ended(cast: Cast):
    run = start(cast)
    assert Api.of(cast.reviewer).post(f"runs/{run}/cancel").status_code == 403
    assert Run.objects.get().cancel_requested_at is None
    Run.objects.update(status="succeeded")
    response = Api.of(cast.operator).post(f"runs/{run}/cancel")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "not_live")


def test_it_forks_a_run_at_a_checkpoint(cast: Cast):
    run = start(cast)
    make_checkpoint(run, "c1")
    api = Api.of(cast.operator)
    assert api.get(f"runs/{run}/checkpoints").json() == [CHECKPOINT]
    response = api.post(f"runs/{run}/fork", {"checkpoint": "c1"})
    new = response.json()
    assert (response.status_code, new["parent"], new["status"]) == (201, run, "queued")
    assert (new["parent_checkpoint"], new["dry_run"]) == ("c1", True)
    assert api.get(f"runs/{run}").json()["forks"] == [new["id"]]
    assert api.get(f"runs/{new['id']}/checkpoints").json() == [CHECKPOINT]
    entry = AuditEntry.objects.get(action="run.forked")
    assert (entry.actor_id, str(entry.run_id)) == (cast.operator.pk, new["id"])


@pytest.mark.parametrize(
    ("body", "status"), [({"checkpoint": "c2"}, 404), ({"checkpoint": "x" * 65}, 422), ({"checkpoint": "a\0"}, 422), ({}, 422)]
)
def test_it_forks_at_no_checkpoint_that_is_none(cast: Cast, body: dict[str, Any], status: int):
    run = start(cast)
    make_checkpoint(run, "c1")
    assert Api.of(cast.operator).post(f"runs/{run}/fork", body).status_code == status
    assert Run.objects.count() == 1


def test_it_gives_new_input_and_what_was_asked_no_longer_counts(cast: Cast):
    run = start(cast)
    asked = make_approval(cast.support, source=SOURCE, source_ref=run)
    Run.objects.update(status="waiting")
    response = Api.of(cast.operator).post(f"runs/{run}/input", {"input": {"messages": "Never mind."}})
    assert (response.status_code, response.json()["status"]) == (200, "queued")
    asked.refresh_from_db()
    assert asked.status == "superseded"
    assert AuditEntry.objects.get(action="run.input").actor_id == cast.operator.pk


def test_it_continues_a_run_with_more_of_its_limit(cast: Cast):
    run = start(cast)
    api = Api.of(cast.operator)
    assert api.post(f"runs/{run}/continue", {}).status_code == 409
    Run.objects.update(status="stopped", stop_reason="limit:model_calls")
    assert api.post(f"runs/{run}/continue", {"more": {"model_calls": 10**9}}).status_code == 422
    assert api.post(f"runs/{run}/continue", {"more": {"kindness": 1}}).status_code == 422
    assert Api.of(cast.reviewer).post(f"runs/{run}/continue", {}).status_code == 403
    response = api.post(f"runs/{run}/continue", {"more": {"model_calls": 5}})
    assert (response.status_code, response.json()["status"]) == (200, "queued")
    assert AuditEntry.objects.get(action="run.continued").after == {"status": "queued", "more": {"model_calls": 5}}


def test_it_starts_a_run_with_lower_limits_and_takes_no_higher_ones(cast: Cast):
    api = Api.of(cast.operator)
    body = {"agent": "support", "input": "x", "limits": {"model_calls": 5, "cost": 0.5}}
    response = api.post("runs", body)
    assert (response.status_code, response.json()["limits"]) == (201, {"model_calls": 5, "cost": "0.5"})
    for limits in ({"model_calls": 10**6}, {"cost": "1000000"}, {"model_calls": 0}, {"kindness": 1}):
        refused = api.post("runs", body | {"limits": limits})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_limit")
    assert api.post("runs", body | {"limits": {"cost": "NaN"}}).status_code == 422
    assert Run.objects.count() == 1


@pytest.mark.parametrize(("body", "code"), [({"input": None}, 422), ({"input": "x" * 300_000}, 413), ({"input": "x"}, 409)])
def test_it_gives_no_input_that_is_none_nor_to_a_run_at_work(cast: Cast, body: dict[str, Any], code: int):
    run = start(cast)
    Run.objects.update(status="running")
    assert Api.of(cast.operator).post(f"runs/{run}/input", body).status_code == code
    assert Run.objects.get().status == "running"


@pytest.mark.parametrize(("verb", "body"), [("fork", {"checkpoint": "c1"}), ("input", {"input": "x"})])
def test_only_operators_of_the_team_fork_and_give_input(cast: Cast, verb: str, body: dict[str, Any]):
    run = start(cast)
    make_checkpoint(run, "c1")
    Run.objects.update(status="succeeded")
    for who, status in (("reviewer", 403), ("stranger", 404)):
        assert Api.of(getattr(cast, who)).post(f"runs/{run}/{verb}", body).status_code == status
    assert Run.objects.count() == 1
    assert Run.objects.get().status == "succeeded"


def test_it_starts_a_run_about_something_with_some_tools(cast: Cast):
    api = Api.of(cast.operator)
    run = api.post("runs", START | {"scope": {"customer": 17, "order": ["5", 6]}, "tools": ["get_order"]}).json()
    assert (run["scope"], run["tools"]) == ({"customer": 17, "order": ["5", 6]}, ["get_order"])
    refused = api.post("runs", START | {"scope": {"customer": {"id": 17}}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_scope")
    plain = api.post("runs", START).json()
    assert (plain["scope"], plain["tools"]) == ({}, None)
