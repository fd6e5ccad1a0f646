"""The timeline of a run: work to scale, each wait for people folded to one width however long it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.templatetags.desk import human
from runs.models import Run, Step
from runs.states import StepKind
from runs.web.story import Line, lines

LANES = 80
FOLD = 12.0  # percent of the width that a folded wait takes
FOLDS = 48.0  # percent that all of them take at most
LEAST = 0.4  # percent; shorter work would not be seen

ICONS = {StepKind.MODEL: "agent", StepKind.TOOL: "record", StepKind.PAUSE: "person", StepKind.NODE: "right"}
TONES = {StepKind.MODEL: "live", StepKind.TOOL: "", StepKind.NODE: "", StepKind.PAUSE: "wait"}

type Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Lane:
    """One bar. ``x`` and ``width`` are percents of the whole width; ``seconds`` what it took."""

    name: str
    icon: str
    tone: str
    x: float
    width: float
    seconds: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class Fold:
    """A wait on the scale, in percent, and how long it was."""

    x: float
    width: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """``work`` is the length of the scale in seconds of work. ``cut`` counts lanes that are not shown."""

    lanes: list[Lane]
    folds: list[Fold]
    work: float
    cut: int


class Scale:
    """Where a moment stands: work counts by the second, each wait by one folded width."""

    def __init__(self, start: datetime, end: datetime, waits: Sequence[Interval]) -> None:
        self.start, self.waits = start, waits
        self.fold = min(FOLD, FOLDS / len(waits)) if waits else 0.0
        self.work = max((end - start).total_seconds() - sum((b - a).total_seconds() for a, b in waits), 0.001)
        self.second = (100.0 - self.fold * len(waits)) / self.work

    def x(self, at: datetime) -> float:
        """Percent from the left."""
        worked, folded = (at - self.start).total_seconds(), 0.0
        for begin, end in self.waits:
            if at <= begin:
                break
            length = (end - begin).total_seconds()
            inside = min((at - begin).total_seconds(), length)
            worked -= inside
            folded += self.fold * (inside / length if length else 1.0)
        return max(0.0, min(100.0, worked * self.second + folded))


def timeline(run: Run) -> Timeline | None:
    """The timeline as of now, or None before anything happened. At most five queries."""
    told = lines(list(run.steps.exclude(kind__in=[StepKind.DECISION, StepKind.LIMIT, StepKind.ERROR]).order_by("id")))
    now = run.finished_at or timezone.now()
    parents = {line.step.parent_key for line in told}
    spans = [(line, span) for line in told if line.step.key not in parents and (span := _span(line, now)) is not None]
    if not spans:
        return None
    start, end = min(span[0] for _line, span in spans), max(span[1] for _line, span in spans)
    scale = Scale(start, end, _merged([span for line, span in spans if line.step.kind == StepKind.PAUSE]))
    shown = sorted(spans, key=lambda one: one[1][0])
    folds = [Fold(scale.x(a), scale.fold, (b - a).total_seconds()) for a, b in scale.waits]
    return Timeline([_lane(*one, scale) for one in shown[:LANES]], folds, scale.work, max(0, len(shown) - LANES))


def _span(line: Line, now: datetime) -> Interval | None:
    """When it was at work. A call that waited for people worked only while its tool ran."""
    if line.call is not None:
        call = line.call.call
        return None if call.started_at is None else (call.started_at, max(call.started_at, call.ended_at or now))
    return (line.step.started_at, max(line.step.started_at, line.step.ended_at or now))


def _merged(waits: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for begin, end in sorted(waits):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > begin:
            merged.append((begin, end))
    return merged


def _lane(line: Line, span: Interval, scale: Scale) -> Lane:
    kind = StepKind(line.step.kind)
    left, right = scale.x(span[0]), scale.x(span[1])
    width = max(right - left, LEAST)
    return Lane(
        name=_name(line.step, kind), icon=ICONS[kind], tone=TONES[kind], x=min(left, 100.0 - width), width=width,
        seconds=(span[1] - span[0]).total_seconds(), is_open=line.is_open,
    )  # fmt: skip


def _name(step: Step, kind: StepKind) -> str:
    match kind:
        case StepKind.MODEL:
            return _("Model")
        case StepKind.PAUSE:
            return _("Waits for people")
        case StepKind.TOOL:
            return human(str(step.data.get("tool") or step.name))
    return human(step.name)
