"""Stopping a run from the page of its approval, and the run's story there."""

import pytest
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from approvals.web.fragments import load, render_card
from runs.models import Run
from runs.states import CallStatus, RunStatus, StepKind
from tests.runs.web.conftest import make_approval, make_call, make_decision, make_run, make_step

HTMX = {"HX-Request": "true"}


@pytest.fixture
def asked(cast):
    run = make_run(cast, status=RunStatus.WAITING)
    return make_approval(run)


def panel(client, approval):
    return client.get(reverse("approvals:panel", args=[approval.pk])).text


def test_who_may_steer_is_told_what_stops_and_stops_it(client, cast, asked):
    client.force_login(cast.operator)
    shown = panel(client, asked)
    assert "Stop this run now" in shown
    assert "1 open question of it is withdrawn." in shown
    answer = client.post(reverse("approvals:stop", args=[asked.pk]), headers=HTMX)
    assert answer.status_code == 200
    run = Run.objects.get()
    assert (run.status, run.cancel_requested_by) == (RunStatus.CANCELLED, cast.operator.label)
    assert AuditEntry.objects.filter(action="run.cancel_requested", actor_id=cast.operator.pk).count() == 1
    asked.refresh_from_db()
    assert asked.status == "withdrawn"
    assert "Stop this run now" not in panel(client, asked)
    assert client.post(reverse("approvals:stop", args=[asked.pk]), headers=HTMX).status_code == 403, "there is nothing to stop"
    assert AuditEntry.objects.filter(action="run.cancel_requested").count() == 1


def test_without_htmx_it_is_a_plain_form(client, cast, asked):
    client.force_login(cast.operator)
    answer = client.post(reverse("approvals:stop", args=[asked.pk]))
    assert (answer.status_code, answer["Location"]) == (302, f"/approvals/{asked.pk}/")
    assert "The run is being stopped." in client.get(answer["Location"]).text


def test_nobody_else_stops_it(client, cast, asked):
    for user, status in ((cast.reviewer, 403), (cast.stranger, 404)):
        client.force_login(user)
        assert client.post(reverse("approvals:stop", args=[asked.pk]), headers=HTMX).status_code == status
    client.force_login(cast.reviewer)
    assert "Stop the run" not in panel(client, asked)
    assert client.get(reverse("approvals:stop", args=[asked.pk])).status_code == 405
    assert Run.objects.get().status == RunStatus.WAITING


def test_the_story_on_the_card_takes_in_steps_and_live_text(cast, asked):
    run = Run.objects.get()
    step = make_step(run, StepKind.MODEL)
    card = render_card(load(asked.pk))
    assert f'<ol class="story" id="story" data-merge data-watch="run:{run.pk}">' in card
    assert f'data-stream="{step.pk}"' in card


def test_the_card_tells_of_earlier_calls_what_became_of_them(cast):
    for status in (CallStatus.UNDONE, CallStatus.FAILED, CallStatus.SUCCEEDED):
        run = make_run(cast, status=RunStatus.SUCCEEDED)
        approval = make_approval(run)
        make_decision(approval, cast.reviewer)
        make_call(run, approval=approval, status=status)
    card = render_card(load(make_approval(make_run(cast, status=RunStatus.WAITING)).pk))
    assert "Later undone" in card
    assert "2 later regretted, undone or failed." in card
