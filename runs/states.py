"""The states of runs, steps and tool calls, and the ways between them. Pure: no database."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class RunStatus(TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waiting for people")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    STOPPED = "stopped", _("Stopped")


class StepKind(TextChoices):
    NODE = "node", _("Node")
    MODEL = "model", _("Model call")
    TOOL = "tool", _("Tool call")
    PAUSE = "pause", _("Pause")
    DECISION = "decision", _("Decision")
    LIMIT = "limit", _("Limit")
    ERROR = "error", _("Error")


class StepStatus(TextChoices):
    OPEN = "open", _("Open")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    LOST = "lost", _("Lost")  # its attempt died; a later attempt went on


class CallStatus(TextChoices):
    PROPOSED = "proposed", _("Proposed")
    DENIED = "denied", _("Denied")
    WAITING = "waiting", _("Waiting for people")
    APPROVED = "approved", _("Approved")
    EXECUTING = "executing", _("Executing")
    PAUSED = "paused", _("Paused")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    REJECTED = "rejected", _("Rejected")
    EXPIRED = "expired", _("Expired")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    IN_DOUBT = "in_doubt", _("In doubt")
    SIMULATED = "simulated", _("Simulated")
    UNDONE = "undone", _("Undone")


ENDED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STOPPED})
LIVE = frozenset(RunStatus) - ENDED

RUN_ALLOWED: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.STOPPED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.WAITING, RunStatus.SUCCEEDED, RunStatus.FAILED}
        | {RunStatus.CANCELLED, RunStatus.STOPPED}
    ),
    RunStatus.WAITING: frozenset({RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.CANCELLED, RunStatus.STOPPED}),
    RunStatus.SUCCEEDED: frozenset({RunStatus.QUEUED}),  # new input on the same thread
    RunStatus.FAILED: frozenset({RunStatus.QUEUED}),  # continued by an operator
    RunStatus.CANCELLED: frozenset(),
    RunStatus.STOPPED: frozenset({RunStatus.QUEUED}),  # continued after a limit was raised
}

CALL_ENDED = frozenset(
    {CallStatus.DENIED, CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.REJECTED, CallStatus.EXPIRED}
    | {CallStatus.WITHDRAWN, CallStatus.SIMULATED, CallStatus.UNDONE}
)
CALL_ALLOWED: dict[CallStatus, frozenset[CallStatus]] = {
    CallStatus.PROPOSED: frozenset({CallStatus.DENIED, CallStatus.WAITING, CallStatus.APPROVED}),
    CallStatus.WAITING: frozenset(
        {CallStatus.APPROVED, CallStatus.REJECTED, CallStatus.EXPIRED, CallStatus.WITHDRAWN, CallStatus.SUCCEEDED}
        | {CallStatus.DENIED}
    ),
    CallStatus.APPROVED: frozenset(
        {CallStatus.EXECUTING, CallStatus.DENIED, CallStatus.WAITING, CallStatus.WITHDRAWN, CallStatus.SIMULATED}
        | {CallStatus.IN_DOUBT}  # restored from a backup: it may have run since
        | {CallStatus.FAILED}  # the circuit of its tool is open
    ),
    CallStatus.EXECUTING: frozenset(
        {CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.PAUSED, CallStatus.IN_DOUBT, CallStatus.EXECUTING}
        | {CallStatus.DENIED}  # before it is started again
    ),
    CallStatus.PAUSED: frozenset(
        {CallStatus.EXECUTING, CallStatus.WITHDRAWN, CallStatus.DENIED} | {CallStatus.IN_DOUBT}  # a dry run began meanwhile
    ),
    CallStatus.IN_DOUBT: frozenset({CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.APPROVED, CallStatus.DENIED}),
    CallStatus.SUCCEEDED: frozenset({CallStatus.UNDONE}),
    **{ended: frozenset() for ended in CALL_ENDED if ended != CallStatus.SUCCEEDED},
}


def run_sources_of(target: RunStatus) -> list[RunStatus]:
    """The states from which a run may reach ``target``."""
    return [state for state, targets in RUN_ALLOWED.items() if target in targets]


def call_sources_of(target: CallStatus) -> list[CallStatus]:
    """The states from which a tool call may reach ``target``."""
    return [state for state, targets in CALL_ALLOWED.items() if target in targets]
