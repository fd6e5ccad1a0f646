"""The page of a run's checkpoints: forking, new input, going on after a limit."""

import re

from agentdesk.audit.models import AuditEntry
from runs.limits import limits_of
from runs.models import Run
from runs.states import RunStatus, StepKind
from tests.cast import make_checkpoint
from tests.runs.web.conftest import START, make_run, make_step


def page_of(client, run):
    return client.get(f"/runs/{run.pk}/checkpoints/").content.decode()


def posted(page):
    return {"checkpoint": "c1", "post": re.search(r'name="post" value="([^"]+)"', page)[1]}


def test_it_forks_from_a_checkpoint_into_a_dry_run(client, cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED)
    make_checkpoint(run.thread_id, "c1")
    client.force_login(cast.operator)
    post = posted(page_of(client, run))
    answers = [client.post(f"/runs/{run.pk}/fork/", post) for _ in range(2)]
    fork = Run.objects.get(parent=run)
    assert [answer["Location"] for answer in answers] == [f"/runs/{fork.pk}/"] * 2
    assert (fork.dry_run, fork.parent_checkpoint, fork.requester) == (True, "c1", cast.operator)
    assert str(fork.pk) in page_of(client, run)
    assert "at checkpoint" in client.get(f"/runs/{fork.pk}/").content.decode()


def test_it_forks_with_effects_only_where_that_is_ticked(client, cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED)
    make_checkpoint(run.thread_id, "c1")
    client.force_login(cast.operator)
    client.post(f"/runs/{run.pk}/fork/", posted(page_of(client, run)) | {"effects": "on"})
    assert Run.objects.get(parent=run).dry_run is False


def test_it_forks_from_nothing_that_is_not_there(client, cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED)
    make_checkpoint(run.thread_id, "c1")
    client.force_login(cast.operator)
    post = posted(page_of(client, run))
    assert client.post(f"/runs/{run.pk}/fork/", post | {"checkpoint": "c2"}).status_code == 404
    assert client.post(f"/runs/{run.pk}/fork/", post | {"post": "forged"}).status_code == 422
    assert Run.objects.filter(parent=run).count() == 0


def test_it_lets_reviewers_look_and_nothing_else(client, cast):
    run = make_run(cast, status=RunStatus.WAITING)
    make_checkpoint(run.thread_id, "c1")
    client.force_login(cast.operator)
    post = posted(page_of(client, run))
    client.force_login(cast.reviewer)
    page = page_of(client, run)
    assert "c1" in page
    assert "Fork from here" not in page
    assert "Give new input" not in page
    assert client.post(f"/runs/{run.pk}/fork/", post).status_code == 403
    assert client.post(f"/runs/{run.pk}/input/", {"words": "Go."}).status_code == 403
    client.force_login(cast.stranger)
    assert client.get(f"/runs/{run.pk}/checkpoints/").status_code == 404
    assert client.post(f"/runs/{run.pk}/fork/", post).status_code == 404
    assert Run.objects.count() == 1


def test_it_gives_new_input_to_a_run_that_waits(client, cast):
    run = make_run(cast, status=RunStatus.WAITING)
    client.force_login(cast.operator)
    assert "Give new input" in page_of(client, run)
    assert client.post(f"/runs/{run.pk}/input/", {"words": " "}).status_code == 422
    assert client.post(f"/runs/{run.pk}/input/", {"words": "Rather not."})["Location"] == f"/runs/{run.pk}/"
    run.refresh_from_db()
    assert run.next_input == {"messages": [{"role": "user", "content": "Rather not."}]}
    assert client.post(f"/runs/{run.pk}/input/", {"words": "Rather not."}).status_code == 409
    assert AuditEntry.objects.filter(action="run.input").count() == 1


def test_it_grants_more_of_the_limit_that_a_run_stopped_at(client, cast):
    run = make_run(cast, status=RunStatus.STOPPED, stop_reason="limit:tool_calls")
    client.force_login(cast.operator)
    assert "More tool calls for this run" in client.get(f"/runs/{run.pk}/").content.decode()
    before = limits_of(run)["tool_calls"]
    client.post(f"/runs/{run.pk}/continue/", {"more": "7"})
    run.refresh_from_db()
    assert (run.status, limits_of(run)["tool_calls"]) == (RunStatus.QUEUED, before + 7)


def test_it_grants_money_and_refuses_what_is_no_number(client, cast):
    run = make_run(cast, status=RunStatus.STOPPED, stop_reason="limit:cost")
    client.force_login(cast.operator)
    assert 'step="any"' in client.get(f"/runs/{run.pk}/").content.decode()
    assert client.post(f"/runs/{run.pk}/continue/", {"more": "much"}).status_code == 422
    client.post(f"/runs/{run.pk}/continue/", {"more": "0.25"})
    run.refresh_from_db()
    assert (run.status, run.limits) == (RunStatus.QUEUED, {"granted": {"cost": "0.25"}})


def test_a_run_is_started_with_lower_limits(client, cast):
    cast.agent.limits = {"tokens": 500}
    cast.agent.save()
    client.force_login(cast.operator)
    page = client.get("/runs/start/").content.decode()
    assert "For this agent: 500." in page
    assert 'name="pending_approvals"' not in page
    form = {"agent": "support", "words": "Refund order 1.", "tokens": "501", "cost": "0.5"}
    refused = client.post("/runs/start/", form)
    assert (refused.status_code, "<details open>" in refused.content.decode()) == (422, True)
    assert Run.objects.count() == 0
    client.post("/runs/start/", form | {"tokens": "400"})
    assert Run.objects.get().limits == {"tokens": 400, "cost": "0.5"}


def test_its_page_says_that_it_waits_for_room(client, cast):
    run = make_run(cast, status=RunStatus.QUEUED, held_at=START)
    client.force_login(cast.reviewer)
    assert "It waits for room: Support agent has as many runs at work" in client.get(f"/runs/{run.pk}/").content.decode()
    Run.objects.update(held_at=None)
    assert "It waits for room" not in client.get(f"/runs/{run.pk}/").content.decode()


def test_its_page_says_what_model_calls_have_cost_and_of_how_many_nobody_knows(client, cast):
    run = make_run(cast)
    make_step(run, StepKind.MODEL, took=1, input_tokens=5, output_tokens=7, cost="0.0123000", currency="EUR")
    make_step(run, StepKind.MODEL, took=1)
    client.force_login(cast.reviewer)
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "0.0123 of 20 EUR" in page
    assert "1 model call of unknown cost" in page
    assert "12 of 2,000,000" in page
