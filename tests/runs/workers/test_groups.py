"""Workers of one manifest drive its runs and no others'."""

from runs.models import Run
from runs.states import RunStatus
from tests.runs.workers.conftest import Crew


def test_each_manifest_has_workers_of_its_own(crew: Crew) -> None:
    desk = crew.desk
    desk.kill("runs")
    desk.start_worker("runs-agents", "runs.agents")
    try:
        desk.wait_for_log("runs-agents", "ready.")
        mine = crew.start("asks", {"question": "Which worker?"})
        others = crew.start("support", {"messages": [{"role": "user", "content": "Hello"}]})
        crew.wait(mine, RunStatus.WAITING)
        crew.decide(crew.pending(mine)[0], "respond", answer="yours")
        crew.wait(mine, RunStatus.SUCCEEDED)
        others.refresh_from_db()
        assert (others.status, others.attempt) == (RunStatus.QUEUED, 0)
    finally:
        desk.kill("runs-agents")
        desk.forget("runs-agents")
        desk.restart("runs")
    crew.wait(others, RunStatus.WAITING, RunStatus.SUCCEEDED)
    assert Run.objects.get(pk=others.pk).attempt > 0
