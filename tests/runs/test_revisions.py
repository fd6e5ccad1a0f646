"""Steps and tool calls count their own changes."""

import pytest
from django.utils import timezone

from agentdesk.ids import new_id
from agentdesk.people.models import Team
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, StepKind, StepStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    team = Team.objects.create(slug="care", name="Care")
    agent = Agent.objects.create(slug="support", name="Support", team=team)
    return Run.objects.create(agent=agent, team=team, input={}, thread_id=str(new_id()), requester_label="Olive Park")


def test_it_raises_the_revision_of_a_step_however_it_is_changed(run):
    step = Step.objects.create(
        run=run, key=new_id(), attempt=1, kind=StepKind.NODE, name="plan", status=StepStatus.OPEN, started_at=timezone.now()
    )
    Step.objects.filter(pk=step.pk).update(status=StepStatus.DONE)
    step.name = "plan again"
    step.save()
    step.refresh_from_db()
    assert step.revision == 3


def test_it_raises_the_revision_of_a_tool_call(run):
    call = ToolCall.objects.create(
        run=run, message_id="m", call_id="c", tool="issue_refund", digest="sha256:0", verdict="ask", asked_args={}
    )
    ToolCall.objects.filter(pk=call.pk).update(status=CallStatus.WAITING)
    call.refresh_from_db()
    assert call.revision == 2
