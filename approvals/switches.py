"""Kill switches: a tool, an agent, the whole desk. Off takes effect at the next gate, for calls that were approved too.

The desk may also be put in dry run: then writes are said and not done.

Switching off is always right and never refused as stale; switching on is, when somebody has switched off again meanwhile.
"""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from approvals.models import Halt, Rehearsal, Tool
from approvals.models.switches import DeskWide

HALTED = "The desk is switched off: no call is started."


class Stale(Exception):
    """Somebody has switched it off, or begun a dry run, again since it was shown."""

    def __init__(self, told: str = "") -> None:
        super().__init__(told or _("Somebody switched it off again since you opened this page. Look at it once more."))


@transaction.atomic
def switch(thing: Any, *, on: bool, actor: Actor, because: str = "", seen: datetime | None = None) -> bool:
    """Switch a row with ``enabled`` and the parts of ``Switched`` (a tool or an agent, read before). ``seen``: its
    ``switched_at`` on the screen. False: it was so already. Raises Stale."""
    rows = type(thing).objects.filter(pk=thing.pk)
    standing = rows.select_for_update(of=("self",)).values("enabled", "switched_at").get()
    if standing["enabled"] == on:
        return False
    if on and standing["switched_at"] != seen:
        raise Stale
    now = timezone.now()
    rows.update(enabled=on, switched_at=now, switched_by_label=actor.label[:200], switched_because=because[:300])
    kind = str(type(thing)._meta.model_name)
    record(
        f"{kind}.switched_{'on' if on else 'off'}", actor=actor, object_type=kind, object_id=thing.pk, object_label=str(thing),
        team_id=thing.team_id, before={"enabled": not on}, after={"enabled": on, "because": because[:300]},
    )  # fmt: skip
    return True


def halt(actor: Actor, because: str = "") -> bool:
    """Switch the whole desk off. False: it was off already."""
    return _begin(Halt, "desk.switched_off", actor, because)


def end_halt(halt_id: Any, actor: Actor) -> bool:
    """Switch the desk on again, as the one who saw this halt meant it. False: it was over already. Raises Stale when there is
    another one by now."""
    return _end(Halt, halt_id, "desk.switched_on", actor)


def rehearse(actor: Actor, because: str = "") -> bool:
    """Put the whole desk in dry run: from the next gate on nothing is written. False: it was already."""
    return _begin(Rehearsal, "desk.dry_run_began", actor, because)


def end_rehearsal(rehearsal_id: Any, actor: Actor) -> bool:
    """End the dry run of the desk, as the one who saw this one meant it. False: it was over already. Raises Stale when there is
    another one by now."""
    again = _("Somebody began another dry run since you opened this page. Look at it once more.")
    return _end(Rehearsal, rehearsal_id, "desk.dry_run_ended", actor, again)


def _begin(kind: type[DeskWide], action: str, actor: Actor, because: str) -> bool:
    try:
        with transaction.atomic():
            standing = kind._default_manager.create(began_by_label=actor.label[:200], because=because[:300])
            _enter(action, standing, actor, {"because": because[:300]})
    except IntegrityError:
        if not kind.standing().exists():
            raise
        return False
    return True


@transaction.atomic
def _end(kind: type[DeskWide], pk: Any, action: str, actor: Actor, again: str = "") -> bool:
    ended = kind.standing().filter(pk=pk).update(ended_at=timezone.now(), ended_by_label=actor.label[:200])
    if not ended:
        if kind.standing().exists():
            raise Stale(again)
        return False
    _enter(action, kind._default_manager.get(pk=pk), actor, {})
    return True


def why_off(tool: Tool, *, halted: bool, agent_enabled: bool = True) -> str:
    """Why a call of the tool may not start, for the model to read; empty when nothing is switched off."""
    if halted:
        return HALTED
    if not agent_enabled:
        return "This agent is switched off."
    return "" if tool.enabled else f"The tool {tool.name} is switched off."


def _enter(action: str, standing: DeskWide, actor: Actor, after: dict[str, Any]) -> None:
    record(action, actor=actor, object_type="desk", object_id=standing.pk, object_label="AgentDesk", after=after)
