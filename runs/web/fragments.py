"""The parts of a run's page that are pushed. One function each makes them for the page, for an answer and for a push, and
nothing of the viewer is in them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk.live import registry
from agentdesk.people.models import User
from runs.limits import name_of
from runs.models import Run, Step, ToolCall
from runs.states import LIVE, RunStatus, StepKind
from runs.web import changes
from runs.web.arguments import text_of
from runs.web.calls import CallRow, loaded
from runs.web.story import Line, lines, waited

ICONS = {
    RunStatus.QUEUED: "clock", RunStatus.RUNNING: "spin", RunStatus.WAITING: "pause", RunStatus.SUCCEEDED: "check",
    RunStatus.FAILED: "cross", RunStatus.CANCELLED: "minus", RunStatus.STOPPED: "stop",
}  # fmt: skip
TONES = {RunStatus.RUNNING: "live", RunStatus.WAITING: "live", RunStatus.SUCCEEDED: "ok", RunStatus.FAILED: "bad"}


@dataclass(frozen=True, slots=True)
class State:
    """A run's status as icon, word and tone."""

    word: str
    icon: str
    tone: str
    spins: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the story. ``waited`` is in seconds; ``waits_since`` is set while the run waits, ``worked_since`` while
    its first stretch of work goes on. All of it changes only when the run's revision rises."""

    state: State
    worked_since: datetime | None
    waited: float
    waits_since: datetime | None
    result: str
    stopped_because: str
    is_live: bool


def state_of(run: Run) -> State:
    status = RunStatus(run.status)
    return State(str(status.label), ICONS[status], TONES.get(status, ""), status == RunStatus.RUNNING)


def render_run(run: Run) -> SafeString:
    """State, times, error and result of a run. Its agent must be loaded for constant queries."""
    return render_to_string("runs/_run.html", {"run": run, "head": _head(run)})


def render_line(line: Line) -> SafeString:
    """One line of the story."""
    return render_to_string("runs/_step.html", {"step": line.step, "line": line})


def render_step(step: Step) -> SafeString:
    """One line of the story, alone."""
    return render_line(lines([step])[0])


def render_call(call: ToolCall) -> SafeString:
    """One row of the tool-call table."""
    return render_to_string("runs/_call.html", {"call": call, "row": CallRow(call)})


def register() -> None:
    """Tell the live registry what of a run is pushed."""
    registry.register("run", _visible_runs, _push_run, changes.runs)
    registry.register("step", _visible_steps, _push_step, changes.steps)
    registry.register("call", _visible_calls, _push_call, changes.calls)


def _head(run: Run) -> Head:
    seconds, since = waited(run.steps.filter(kind=StepKind.PAUSE).values_list("started_at", "ended_at"))
    return Head(
        state=state_of(run),
        worked_since=run.started_at if run.status == RunStatus.RUNNING and run.attempt == 1 else None,
        waited=seconds,
        waits_since=since if run.status == RunStatus.WAITING else None,
        result=_result(run.output),
        stopped_because=_stopped_because(run),
        is_live=run.status in LIVE,
    )


def _result(output: Any) -> str:
    """The last message of a conversation, or the whole output."""
    if output is None:
        return ""
    messages = output.get("messages") if isinstance(output, dict) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    return text_of(output if content is None else content)


def _stopped_because(run: Run) -> str:
    if run.status != RunStatus.STOPPED:
        return ""
    reason, _colon, limit = run.stop_reason.partition(":")
    match reason:
        case "limit":
            return _("It reached its limit: %(limit)s.") % {"limit": name_of(limit)}
        case "expired":
            return _("Nobody decided in time.")
        case "poison":
            return _("Workers died under it again and again.")
        case "restored":
            return _("The desk was restored from a backup, and this run was at work when that was made.")
        case "unavailable":
            return _("The database refused its work again and again.")
        case "incompatible":
            return _("The agent's code has changed so that it cannot continue.")
        case "blocked":
            return _("It was blocked.")
    return run.stop_reason


def _push_run(id: str, version: int) -> tuple[int, str] | None:
    run = Run.objects.select_related("agent").filter(pk=id).first()
    return None if run is None else (run.revision, render_run(run))


def _push_step(id: str, version: int) -> tuple[int, str] | None:
    step = Step.objects.filter(pk=id).first()
    return None if step is None else (step.revision, render_step(step))


def _push_call(id: str, version: int) -> tuple[int, str] | None:
    call = loaded().filter(pk=id).first()
    return None if call is None else (call.revision, render_call(call))


def _visible_runs(users: Collection[User], ids: Collection[str]) -> dict[UUID, set[str]]:
    return _by_team(users, [(str(run), team) for run, team in Run.objects.filter(pk__in=ids).values_list("pk", "team")])


def _visible_steps(users: Collection[User], ids: Collection[str]) -> dict[UUID, set[str]]:
    return _by_team(users, [(str(step), team) for step, team in Step.objects.filter(pk__in=ids).values_list("pk", "run__team")])


def _visible_calls(users: Collection[User], ids: Collection[str]) -> dict[UUID, set[str]]:
    rows = ToolCall.objects.filter(pk__in=ids).values_list("pk", "run__team")
    return _by_team(users, [(str(call), team) for call, team in rows])


def _by_team(users: Collection[User], rows: Collection[tuple[str, UUID]]) -> dict[UUID, set[str]]:
    """What of ``rows`` (id and team) each user sees, as :meth:`Run.objects.visible_to` would say."""
    return {
        user.pk: {id for id, team in rows if (user.is_superuser and user.is_active) or team in user.team_ids()}
        for user in users
    }
