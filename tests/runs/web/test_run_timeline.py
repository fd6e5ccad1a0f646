"""The timeline: work to scale, waits folded, no call longer than its tool ran."""

from datetime import timedelta

import pytest

from runs.states import CallStatus, RunStatus, StepKind
from runs.web.timeline import FOLD, Scale, timeline
from tests.runs.web.conftest import START, make_call, make_run, make_step, told


def at(seconds):
    return START + timedelta(seconds=seconds)


def test_it_draws_work_to_scale_and_folds_a_wait_of_any_length():
    for wait in (20, 20_000):
        scale = Scale(at(0), at(100 + wait), [(at(50), at(50 + wait))])
        assert scale.work == 100
        assert scale.x(at(0)) == 0
        assert scale.x(at(50)) == pytest.approx((100 - FOLD) / 2)
        assert scale.x(at(50 + wait)) == pytest.approx((100 + FOLD) / 2)
        assert scale.x(at(100 + wait)) == pytest.approx(100)


def test_it_leaves_room_for_work_beside_many_waits():
    waits = [(at(10 * n), at(10 * n + 5)) for n in range(20)]
    scale = Scale(at(0), at(200), waits)
    assert scale.x(at(200)) == pytest.approx(100)
    assert scale.fold * 20 <= 50


def test_it_draws_a_whole_run(refund):
    drawn = timeline(refund.run)
    lanes = [("Model", 2.0), ("Model", 2.0), ("Waits for people", 728.0), ("Issue refund", pytest.approx(0.9))]
    assert [(lane.name, lane.seconds) for lane in drawn.lanes] == lanes
    assert len(drawn.folds) == 1
    assert drawn.work == pytest.approx(746.9 - 728)
    assert all(0 <= lane.x <= lane.x + lane.width <= 100.001 for lane in drawn.lanes)


def test_it_draws_only_what_holds_nothing_else(cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED, finished_at=at(3))
    node = make_step(run, StepKind.NODE, took=3, name="tools")
    inner = make_step(run, StepKind.MODEL, took=2)
    inner.parent_key = node.key
    inner.save()
    assert [lane.name for lane in timeline(run).lanes] == ["Model"]


def test_it_draws_no_bar_for_a_call_that_never_ran(cast):
    run = make_run(cast)
    make_step(run, StepKind.TOOL, took=5, call=str(make_call(run, status=CallStatus.REJECTED).pk), outcome="rejected")
    assert timeline(run) is None


def test_it_lets_open_work_reach_until_now(cast):
    run = make_run(cast, status=RunStatus.SUCCEEDED, finished_at=at(30))
    make_step(run, StepKind.MODEL)
    lane = timeline(run).lanes[0]
    assert (lane.seconds, lane.is_open) == (30.0, True)


def test_it_says_how_many_lanes_are_left_out(cast, monkeypatch):
    monkeypatch.setattr("runs.web.timeline.LANES", 3)
    run = make_run(cast)
    for number in range(5):
        make_step(run, StepKind.MODEL, at=number, took=1)
    assert timeline(run).cut == 2


def test_it_serves_the_timeline_to_the_team_only(client, cast):
    run = told(cast).run
    client.force_login(cast.reviewer)
    assert 'id="timeline"' in client.get(f"/runs/{run.pk}/timeline/").content.decode()
    client.force_login(cast.stranger)
    assert client.get(f"/runs/{run.pk}/timeline/").status_code == 404
