"""Kill switches of tools and of the whole desk."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Halt, Tool
from tests.approvals.cast import make_team, make_user


@pytest.fixture
def actor(db: None) -> Actor:
    return Actor.of(make_user(name="admin"), "admin")


def make_tool() -> Tool:
    return Tool.objects.create(agent="teller", team=make_team(), name="pay")


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_a_tool_is_switched_off_and_on_again_with_who_when_and_why(actor: Actor):
    tool = make_tool()
    assert switches.switch(tool, on=False, actor=actor, because="It pays twice.")
    tool.refresh_from_db()
    assert (tool.enabled, tool.switched_by_label, tool.switched_because) == (False, actor.label, "It pays twice.")
    assert switches.switch(tool, on=False, actor=actor) is False
    assert switches.switch(tool, on=True, actor=actor, seen=tool.switched_at)
    tool.refresh_from_db()
    assert tool.enabled
    assert actions() == ["tool.switched_off", "tool.switched_on"]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.team_id, entry.actor_id, entry.before, entry.after) == (
        tool.team_id, actor.user and actor.user.pk, {"enabled": False}, {"enabled": True, "because": ""},
    )  # fmt: skip


def test_switching_on_what_somebody_switched_off_again_is_stale(actor: Actor):
    tool = make_tool()
    switches.switch(tool, on=False, actor=actor)
    tool.refresh_from_db()
    seen = tool.switched_at
    switches.switch(tool, on=True, actor=actor, seen=seen)
    switches.switch(tool, on=False, actor=actor, because="Again.")
    with pytest.raises(switches.Stale):
        switches.switch(tool, on=True, actor=actor, seen=seen)
    tool.refresh_from_db()
    assert not tool.enabled


def test_the_desk_is_switched_off_once_and_on_by_who_saw_that(actor: Actor):
    assert switches.halt(actor, "Something is wrong.")
    assert switches.halt(actor, "Me too.") is False
    first = Halt.standing().get()
    assert (first.began_by_label, first.because) == (actor.label, "Something is wrong.")
    assert switches.end_halt(first.pk, actor)
    assert switches.end_halt(first.pk, actor) is False
    assert switches.halt(actor)
    with pytest.raises(switches.Stale):
        switches.end_halt(first.pk, actor)
    assert Halt.standing().exists()
    assert actions() == ["desk.switched_off", "desk.switched_on", "desk.switched_off"]


def at_once(act: Callable[[], Any]) -> list[Any]:
    def one(_number: int) -> Any:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(4)))


def test_of_several_who_switch_at_once_one_does(committed: None):
    actor = Actor.of(make_user(name="admin"), "admin")
    tool = make_tool()
    assert sorted(at_once(lambda: switches.switch(tool, on=False, actor=actor))) == [False, False, False, True]
    assert sorted(at_once(lambda: switches.halt(actor))) == [False, False, False, True]
    halt = Halt.standing().get()
    assert sorted(at_once(lambda: switches.end_halt(halt.pk, actor))) == [False, False, False, True]
    assert actions() == ["tool.switched_off", "desk.switched_off", "desk.switched_on"]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"halted": True, "agent_enabled": False}, "The desk is switched off: no call is started."),
        ({"halted": False, "agent_enabled": False}, "This agent is switched off."),
        ({"halted": False}, "The tool pay is switched off."),
    ],
)
def test_it_says_what_is_off_in_plain_words(db: None, state: dict[str, bool], text: str):
    assert switches.why_off(Tool(name="pay", enabled=False), **state) == text


def test_nothing_is_off_where_all_is_on(db: None):
    assert switches.why_off(Tool(name="pay"), halted=False) == ""
