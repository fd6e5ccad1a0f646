"""A worker in which a tool hangs is replaced, and nothing is lost by it."""

from uuid import uuid4

import pytest

from approvals.models import Tool
from runs.engine.recycling import STATUS
from runs.models import ToolCall
from runs.states import CallStatus, RunStatus
from tests.runs.workers.conftest import Crew


@pytest.mark.timeout(180)
def test_a_hung_tool_is_in_doubt_the_other_runs_go_on_and_the_process_is_replaced(crew: Crew) -> None:
    desk = crew.desk
    crew.allow("slow")
    desk.environment["RECYCLE_SECONDS"] = "1"
    seconds = Tool.objects.get(agent="teller", name="slow").timeout_seconds
    Tool.objects.filter(agent="teller", name="slow").update(timeout_seconds=1)
    try:
        desk.restart("runs")
        first, name = desk.processes["runs"], str(uuid4())
        asked = crew.script("teller", [{"name": "pay", "args": {"to": name, "amount": "1.00"}}])
        crew.wait(asked, RunStatus.WAITING)
        hung = crew.script("teller", [{"name": "slow", "args": {"seconds": 600.0}}])
        beside = crew.start("steps", {"question": name})
        assert first.wait(60) == STATUS
        assert "past its timeout, and not to be stopped, a thread works on slow" in desk.log("runs")
        crew.wait(hung, RunStatus.WAITING)
        assert ToolCall.objects.get(run=hung).status == CallStatus.IN_DOUBT
        crew.decide(crew.pending(asked)[0])
        desk.restart("runs")  # as a supervisor does
        crew.wait(beside, RunStatus.SUCCEEDED)
        crew.wait(asked, RunStatus.SUCCEEDED)
        assert len(crew.effects(effect="pay", to=name)) == 1
        assert len(crew.effects(effect="first", run=name)) == 1
        crew.decide(crew.pending(hung)[0], "respond", answer="did_not_happen")
        crew.wait(hung, RunStatus.SUCCEEDED)
        assert crew.effects(effect="slow", seconds=600.0) == []
    finally:
        Tool.objects.filter(agent="teller", name="slow").update(timeout_seconds=seconds)
        desk.environment.pop("RECYCLE_SECONDS")
        desk.restart("runs")
