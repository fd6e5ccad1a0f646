"""A fork goes on from any checkpoint of a graph of any kind, asks for itself and leaves its origin as it is."""

import pytest

from agentdesk.audit.record import Actor
from runs import lifecycle, threads
from runs.models import Run
from runs.states import RunStatus
from tests.runs.engine.conftest import Engine

INPUTS = {
    "subgraph": {"log": []},
    "called": {"log": []},
    "parallel": {"log": []},
    "fan-out": {"items": ["a", "b"], "log": []},
    "loop": {"log": []},
    "workflow": "cats",
}


def finish(engine: Engine, run: Run, word: str) -> Run:
    """Answer with ``word`` and then with "enough", which ends what asks again and again."""
    for answer in [word] + ["enough"] * 3:
        for approval in engine.pending(run):
            engine.decide(approval, "respond", answer=answer)
        run = engine.advance(run)
        if run.status == RunStatus.SUCCEEDED:
            return run
    raise AssertionError(f"{run.status}: {run.error}")


@pytest.mark.parametrize("agent", INPUTS)
def test_it_goes_on_from_every_checkpoint_and_asks_for_itself(engine: Engine, agent: str) -> None:
    run = finish(engine, engine.start(agent, INPUTS[agent]), "first")
    before, output = run.revision, engine.output(run)
    cuts = [one for one in threads.checkpoints(run.thread_id) if one.next]
    assert cuts
    for cut in cuts:
        fork = engine.advance(lifecycle.fork(run.pk, cut.id, actor=Actor.of(engine.operator), dry_run=False))
        if asked := engine.pending(fork):
            assert not {approval.pk for approval in asked} & {approval.pk for approval in engine.pending(run)}
        fork = finish(engine, fork, "again") if fork.status == RunStatus.WAITING else fork
        assert (fork.status, fork.parent_id) == (RunStatus.SUCCEEDED, run.pk)
        assert ("again" in str(engine.output(fork))) == bool(asked)
    assert any("first" not in str(engine.output(fork)) for fork in Run.objects.filter(parent=run))
    run.refresh_from_db()
    assert (run.revision, engine.output(run)) == (before, output)
