"""Limits of a run: reached, told in words, the work kept, and more granted to the same run."""

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals.models import Rule, Tool
from approvals.policy.versions import publish
from runs import lifecycle, limits
from runs.engine import drive
from runs.engine.budget import Budget, recounted
from runs.errors import InvalidLimit, NotAllowed, NotEnded
from runs.limits import limits_of
from runs.models import Agent, ModelPrice, Run, Step, ToolCall
from runs.states import RunStatus
from runs.tools.context import LimitReached
from runs.web.record import spent
from tests.runs.engine.conftest import Engine

PAY = {"name": "pay", "args": {"to": "ada", "amount": "12.50"}}


def look(name: str) -> list[dict[str, Any]]:
    return [{"name": "look_up", "args": {"name": name}}]


def allow(action: str) -> None:
    Rule.objects.create(name=f"allow {action}", action=action, verdict="allow")
    publish(None, "test")


def limit(**limits: Any) -> None:
    Agent.objects.filter(slug="teller").update(limits=limits)


def price(**facts: Any) -> ModelPrice:
    whole = {"provider": "scripted", "model": "script-*", "input_price": 100_000, "output_price": 200_000, **facts}
    return ModelPrice.objects.create(**{"valid_from": timezone.now() - timedelta(days=1), **whole})


def stopped(run: Run) -> str:
    run.refresh_from_db()
    assert run.status == RunStatus.STOPPED
    return run.stop_reason


def test_it_ends_the_step_that_reaches_the_limit_of_tokens_and_keeps_it(engine: Engine) -> None:
    allow("look_up")
    limit(tokens=30)
    run = engine.script("teller", look("ada"), look("bob"))
    assert stopped(run) == "limit:tokens"
    assert [e["name"] for e in engine.effects("look_up")] == ["ada"]
    assert (run.counters["model_calls"], run.counters["input_tokens"] + run.counters["output_tokens"]) == (2, 40)
    assert run.error is not None
    said = "Its models have read and written 30 tokens or more. What it has done so far is kept."
    assert run.error["message"].startswith(said)
    told = Step.objects.get(run=run, kind="limit")
    assert (told.name, told.data) == ("tokens", {"limit": "tokens", "value": 30})
    assert AuditEntry.objects.get(run_id=run.pk, action="run.stopped").after == {
        "status": "stopped", "attempt": 1, "reason": "limit:tokens"
    }  # fmt: skip


def test_it_goes_on_from_there_once_more_tokens_are_granted(engine: Engine) -> None:
    allow("look_up")
    limit(tokens=30)
    run = engine.script("teller", look("ada"), look("bob"))
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert stopped(engine.advance(run)) == "limit:tokens"
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"tokens": 1000})
    run = engine.advance(run)
    assert (run.status, limits_of(run)["tokens"]) == (RunStatus.SUCCEEDED, 1030)
    assert [e["name"] for e in engine.effects("look_up")] == ["ada", "bob"]
    assert Step.objects.filter(run=run, kind="model").count() == 3
    entry = AuditEntry.objects.filter(run_id=run.pk, action="run.continued").latest("pk")
    assert (entry.after or {})["more"] == {"tokens": 1000}


def test_only_operators_grant_more_and_only_once(engine: Engine) -> None:
    limit(model_calls=1)
    allow("look_up")
    run = engine.script("teller", look("ada"))
    with pytest.raises(NotAllowed):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.reviewer), more={"model_calls": 1})
    Run.objects.filter(pk=run.pk).update(requester=engine.reviewer)
    with pytest.raises(NotAllowed):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.reviewer), more={"model_calls": 1})
    User.objects.filter(pk=engine.operator.pk).update(kind=User.Kind.SERVICE)
    with pytest.raises(NotAllowed):
        lifecycle.continue_(run.pk, actor=Actor.of(User.objects.get(pk=engine.operator.pk)), more={"model_calls": 1})
    User.objects.filter(pk=engine.operator.pk).update(kind=User.Kind.PERSON)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"model_calls": 1})
    with pytest.raises(NotEnded):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"model_calls": 1})
    run.refresh_from_db()
    assert run.limits == {"granted": {"model_calls": 1}}


@pytest.mark.parametrize("more", [{"tokens": 10**12}, {"tokens": 1.5}, {"tokens": -1}, {"cost": "a lot"}, {"sleep": 1}])
def test_nobody_grants_what_is_no_limit_or_too_much(engine: Engine, more: dict[str, Any]) -> None:
    limit(model_calls=1)
    allow("look_up")
    run = engine.script("teller", look("ada"))
    with pytest.raises(InvalidLimit):
        lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more=more)
    assert stopped(run) == "limit:model_calls"


def test_it_counts_the_cost_of_model_calls_by_the_price_table(engine: Engine) -> None:
    price(input_price=2, output_price=10)
    price(model="*", input_price=99, output_price=99)
    price(input_price=77, output_price=77, valid_from=timezone.now() + timedelta(days=1))
    run = engine.script("teller", [PAY])
    assert run.status == RunStatus.WAITING
    assert Decimal(run.counters["cost"]["USD"]) == Decimal("0.00007")  # 10 read at 2, 5 written at 10 for a million
    engine.decide(engine.pending(run)[0])
    run = engine.advance(run)
    assert Decimal(run.counters["cost"]["USD"]) == Decimal("0.00016")  # 20 and 5 more
    assert run.counters["calls_of_unknown_cost"] == 0
    first = Step.objects.filter(run=run, kind="model").earliest("pk")
    assert (Decimal(first.data["cost"]), first.data["currency"]) == (Decimal("0.00007"), "USD")


def test_a_model_without_a_price_costs_something_unknown_and_not_nothing(engine: Engine) -> None:
    price(provider="somebody-else")
    run = engine.script("teller", [PAY])
    assert (run.counters["cost"], run.counters["calls_of_unknown_cost"]) == ({}, 1)
    assert "cost" not in Step.objects.get(run=run, kind="model").data


def test_it_stops_at_its_limit_of_money(engine: Engine) -> None:
    allow("look_up")
    price()
    limit(cost="2.5")
    run = engine.script("teller", look("ada"), look("bob"))
    assert stopped(run) == "limit:cost"  # 2 for the first call, 3 for the second
    assert Decimal(run.counters["cost"]["USD"]) == 5
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"cost": Decimal("7.5")})
    run = engine.advance(run)
    assert (run.status, run.limits["granted"]) == (RunStatus.SUCCEEDED, {"cost": "7.5"})


def test_what_a_tool_costs_counts_for_each_try_and_stops_the_run(engine: Engine) -> None:
    Rule.objects.create(name="allow look_up", action="look_up", verdict="allow")
    publish(None, "test")
    Tool.objects.filter(agent="teller", name="look_up").update(cost=Decimal("0.40"), currency="EUR")
    turns = [[{"name": "look_up", "args": {"name": name}}] for name in ("x", "y", "z")]
    run = engine.script("teller", *turns, lower={"cost": "0.80"})
    assert (run.status, run.stop_reason) == (RunStatus.STOPPED, "limit:cost")
    assert [(call.cost, call.currency) for call in ToolCall.objects.filter(run=run)] == [(Decimal("0.40"), "EUR")] * 2
    assert [one.text for one in spent(run).costs if one.currency == "EUR"] == ["0.8"]
    run = lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"cost": "0.30"})
    run = engine.advance(run)
    assert (run.stop_reason, ToolCall.objects.filter(run=run).count()) == ("limit:cost", 3), "counted anew from its calls"


def test_a_run_is_started_with_lower_limits_and_never_with_higher_ones(engine: Engine) -> None:
    allow("look_up")
    limit(tokens=1000, cost="3")
    for lower in ({"tokens": 1001}, {"cost": "3.01"}, {"tokens": 0}, {"sleep": 1}, {"pending_approvals": 1}):
        with pytest.raises(InvalidLimit):
            engine.script("teller", look("ada"), lower=lower)
    run = engine.script("teller", look("ada"), look("bob"), lower={"tokens": 30})
    assert stopped(run) == "limit:tokens"
    assert (AuditEntry.objects.get(run_id=run.pk, action="run.started").after or {})["limits"] == {"tokens": 30}


def test_what_a_dead_worker_had_used_is_counted_from_the_record(engine: Engine) -> None:
    price()
    run = engine.script("teller", [PAY])
    assert recounted(run) == {name: run.counters[name] for name in recounted(run)}
    Run.objects.filter(pk=run.pk).update(counters={}, status="running", claimed_by=None)
    run = engine.advance(run)
    assert (run.counters["model_calls"], run.counters["input_tokens"]) == (1, 10)
    assert Decimal(run.counters["cost"]["USD"]) == 2


def test_what_dead_workers_had_used_still_counts_when_the_run_is_continued(engine: Engine) -> None:
    price()
    run = engine.script("teller", [PAY])
    # As the desk stops what kills its workers again and again: no attempt has written what it used.
    Run.objects.filter(pk=run.pk).update(counters={"deaths": 6}, status="stopped", stop_reason="poison", claimed_by=None)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    run = engine.advance(run)
    assert (run.counters["model_calls"], run.counters["recount"]) == (1, False)
    assert Decimal(run.counters["cost"]["USD"]) == 2


@pytest.mark.parametrize("value", ["1e-999999999", "1e1000000", "-1e1000000", "0.0000001", "NaN", "Infinity"])
def test_no_number_is_too_odd_to_be_refused(value: str) -> None:
    with pytest.raises(InvalidLimit):
        limits.amount("cost", value)


def test_a_limit_that_the_agent_catches_still_ends_the_run_after_its_step() -> None:
    drained = []
    budget = Budget({"model_calls": 1, "tokens": 100, "cost": 1}, {}, [])
    budget.on_reached = lambda: drained.append(budget.reached)
    budget.begin_call()
    for _again in range(2):
        with pytest.raises(LimitReached):
            budget.begin_call()
    assert [one.limit for one in drained if one is not None] == ["model_calls", "model_calls"]


def test_it_stops_an_agent_that_makes_the_same_call_again_and_again(engine: Engine) -> None:
    allow("look_up")
    limit(identical_calls=2)
    run = engine.script("teller", look("ada"), look("bob"), look("ada"), look("ada"), look("eve"))
    assert stopped(run) == "limit:identical_calls"
    assert run.error is not None
    assert "same arguments as often as it may: 2" in run.error["message"]
    assert "once more: look_up" in run.error["message"]
    assert [e["name"] for e in engine.effects("look_up")] == ["ada", "bob", "ada"]
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"identical_calls": 1})
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert [e["name"] for e in engine.effects("look_up")] == ["ada", "bob", "ada", "ada", "eve"]


def test_a_worker_that_takes_over_knows_what_was_called_before(engine: Engine) -> None:
    limit(identical_calls=1)
    run = engine.script("teller", [PAY], [PAY])
    engine.decide(engine.pending(run)[0])
    Run.objects.filter(pk=run.pk).update(counters={}, status="running", claimed_by=None)
    assert stopped(engine.advance(run)) == "limit:identical_calls"
    assert (len(engine.effects("pay")), ToolCall.objects.filter(run=run).count()) == (1, 1)


def test_a_call_whose_arguments_never_fit_is_a_circle_too(engine: Engine) -> None:
    limit(identical_calls=2)
    wrong = [{"name": "look_up", "args": {"whom": "ada"}}]
    run = engine.script("teller", wrong, wrong, wrong)
    assert stopped(run) == "limit:identical_calls"
    assert ToolCall.objects.filter(run=run, status="failed").count() == 2


def test_the_calls_beside_the_one_too_many_come_to_their_end(engine: Engine) -> None:
    allow("slow")
    limit(tool_calls=1)
    slow = [{"name": "slow", "args": {"seconds": seconds}} for seconds in (0.3, 0.31)]
    run = engine.script("teller", slow)
    assert stopped(run) == "limit:tool_calls"
    assert len(engine.effects("slow")) == 1
    assert ToolCall.objects.get(run=run).status == "succeeded"
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"tool_calls": 1})
    assert engine.advance(run).status == RunStatus.SUCCEEDED
    assert len(engine.effects("slow")) == 2


@pytest.mark.parametrize(("labels", "status"), [({}, "in_doubt"), ({"effect": "read"}, "paused")])
def test_a_tool_that_a_limit_ended_in_the_middle_is_in_doubt_unless_it_reads(
    engine: Engine, labels: dict[str, str], status: str
) -> None:
    allow("delegate")
    Agent.objects.filter(slug="nested").update(limits={"model_calls": 1})
    Tool.objects.filter(agent="nested", name="delegate").update(**labels)
    run = engine.script("nested", [{"name": "delegate", "args": {"script": '{"turns": []}'}}])
    assert (stopped(run), ToolCall.objects.get().status) == ("limit:model_calls", status)
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"model_calls": 5})
    if status == "in_doubt":
        (doubt,) = engine.pending(engine.advance(run))
        engine.decide(doubt, "respond", answer="retry")
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert ToolCall.objects.get().status == "succeeded"


def test_a_result_that_is_too_large_is_kept_and_handed_over_when_more_is_granted(engine: Engine) -> None:
    allow("look_up")
    limit(output_chars=50)
    run = engine.script("teller", look("a" * 100), look("bob"))
    assert stopped(run) == "limit:output_chars"
    assert run.error is not None
    assert "look_up returned 128 characters" in run.error["message"]
    assert ToolCall.objects.get(run=run).status == "succeeded"
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert stopped(engine.advance(run)) == "limit:output_chars"
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"output_chars": 100})
    run = engine.advance(run)
    assert run.status == RunStatus.SUCCEEDED
    assert [len(e["name"]) for e in engine.effects("look_up")] == [100, 3]
    (first, _second) = [m for m in engine.output(run)["messages"] if m["type"] == "tool"]
    assert "a" * 100 in first["content"]


def test_a_model_that_writes_too_much_is_stopped_after_its_step_and_not_paid_twice(engine: Engine) -> None:
    limit(output_chars=3)
    run = engine.script("teller", [PAY])
    assert stopped(run) == "limit:output_chars"
    assert run.error is not None
    assert "A model wrote 8 characters." in run.error["message"]
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"output_chars": 1000})
    run = engine.advance(run)
    assert (run.status, run.counters["model_calls"]) == (RunStatus.WAITING, 1)


def test_it_works_for_its_active_seconds_and_ends_the_step_that_they_end_in(engine: Engine) -> None:
    run = engine.script("teller", [{"name": "slow", "args": {"seconds": 1}}], look("ada"))
    before = limits_of(run)["active_seconds"]
    Run.objects.filter(pk=run.pk).update(active_seconds=float(before) - 0.5)
    engine.decide(engine.pending(run)[0])
    assert stopped(engine.advance(run)) == "limit:active_seconds"
    assert len(engine.effects("slow")) == 1
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator))
    assert stopped(engine.advance(run)) == "limit:active_seconds"
    lifecycle.continue_(run.pk, actor=Actor.of(engine.operator), more={"active_seconds": 60})
    run = engine.advance(run)
    assert (run.status, len(engine.pending(run))) == (RunStatus.WAITING, 1)
    assert len(engine.effects("slow")) == 1


def test_a_step_that_does_not_end_after_its_time_is_cut_off(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "GRACE", 0.2)
    allow("slow")
    limit(wall_seconds=1)
    run = engine.script("teller", [{"name": "slow", "args": {"seconds": 2}}])
    assert stopped(run) == "limit:wall_seconds"
    assert ToolCall.objects.get(run=run).status == "in_doubt"
    until = time.monotonic() + 10  # a thread cannot be stopped: it must not take effect in the next test
    while not engine.effects("slow") and time.monotonic() < until:
        time.sleep(0.05)
    assert len(engine.effects("slow")) == 1


def test_an_agents_own_timeout_is_an_error_of_its_own(engine: Engine) -> None:
    run = engine.start("times-out", {"question": "?"})
    assert (run.status, (run.error or {})["kind"]) == (RunStatus.FAILED, "TimeoutError")
