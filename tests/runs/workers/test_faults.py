import os
from uuid import uuid4

import redis
from django.conf import settings

from agentdesk.celery import app
from approvals.models import Decision
from runs.models import Step, ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.workers.conftest import Crew


def test_a_worker_killed_between_two_steps_is_followed_by_another(crew: Crew) -> None:
    name = str(uuid4())
    run = crew.start("steps", {"question": name})
    crew.until(lambda: crew.effects(effect="second begins", run=name), "the second step to begin")
    crew.until(lambda: Step.objects.filter(run=run, name="second").exists(), "the second step to be on record")
    crew.desk.kill("runs")
    crew.desk.restart("runs")
    run = crew.wait(run, RunStatus.SUCCEEDED)
    assert run.attempt == 2
    assert len(crew.effects(effect="first", run=name)) == 1
    assert len(crew.effects(effect="second", run=name)) == 1
    assert Step.objects.filter(run=run, status="lost").exists()
    assert not Step.objects.filter(run=run, status="open").exists()


def test_a_worker_killed_inside_a_tool_leaves_a_question_and_guesses_nothing(crew: Crew) -> None:
    crew.allow("slow")
    run = crew.script("teller", [{"name": "slow", "args": {"seconds": 30.5}}])
    crew.until(lambda: ToolCall.objects.filter(run=run, status=CallStatus.EXECUTING).exists(), "the tool to start")
    crew.desk.kill("runs")
    crew.desk.restart("runs")
    crew.wait(run, RunStatus.WAITING)
    (doubt,) = crew.pending(run)
    assert doubt.kind == "in_doubt"
    crew.decide(doubt, "respond", answer="did_not_happen")
    crew.wait(run, RunStatus.SUCCEEDED)
    assert crew.effects(effect="slow", seconds=30.5) == []
    assert ToolCall.objects.get(run=run).tries == 1


def test_a_decision_whose_message_is_lost_is_found_by_the_sweep(crew: Crew) -> None:
    name = str(uuid4())
    run = crew.script("teller", [{"name": "pay", "args": {"to": name, "amount": "1.00"}}])
    crew.wait(run, RunStatus.WAITING)
    crew.desk.kill("runs")
    crew.decide(crew.pending(run)[0])
    broker = redis.Redis.from_url(os.environ["REDIS_URL"])
    crew.until(lambda: broker.delete(settings.QUEUE_RUNS) or broker.llen(settings.QUEUE_RUNS) == 0, "the queue to be emptied")
    crew.desk.restart("runs")
    crew.wait(run, RunStatus.SUCCEEDED)
    assert len(crew.effects(effect="pay", to=name)) == 1


def test_a_message_delivered_many_times_continues_a_run_once(crew: Crew) -> None:
    name = str(uuid4())
    run = crew.script("teller", [{"name": "pay", "args": {"to": name, "amount": "1.00"}}])
    crew.wait(run, RunStatus.WAITING)
    crew.decide(crew.pending(run)[0])
    for _ in range(12):
        app.send_task("runs.tasks.advance", args=[str(run.pk)])
    run = crew.wait(run, RunStatus.SUCCEEDED)
    assert len(crew.effects(effect="pay", to=name)) == 1
    assert Decision.objects.get(approval__source_ref=str(run.pk)).consumed_at is not None
