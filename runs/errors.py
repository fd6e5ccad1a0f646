"""What can go wrong with a run. The docstring of each is its message."""

from typing import Any


class RunError(Exception):
    """The run could not do that."""

    code = "run_error"
    status = 400

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.facts = facts


class UnknownAgent(RunError):
    """There is no such agent."""

    code = "unknown_agent"
    status = 404


class AgentUnavailable(RunError):
    """This agent cannot run now."""

    code = "agent_unavailable"
    status = 409


class NotAllowed(RunError):
    """You may not do that."""

    code = "not_allowed"
    status = 403


class InvalidInput(RunError):
    """The input is not valid."""

    code = "invalid_input"
    status = 422


class InvalidLimit(RunError):
    """This limit cannot be granted."""

    code = "invalid_limit"
    status = 422


class InvalidScope(RunError):
    """The scope is not valid."""

    code = "invalid_scope"
    status = 422


class InvalidReason(RunError):
    """Say why."""

    code = "invalid_reason"
    status = 422


class UnknownCall(RunError):
    """There is no such call."""

    code = "unknown_call"
    status = 404


class NotUndoable(RunError):
    """This cannot be undone."""

    code = "not_undoable"
    status = 409


class NotOffered(RunError):
    """The checkpointer of this desk does not do that."""

    code = "not_offered"
    status = 409


class Pruned(RunError):
    """The run's checkpoints were taken away: it cannot go on."""

    code = "pruned"
    status = 409


class InputTooLarge(RunError):
    """The input is too large."""

    code = "input_too_large"
    status = 413


class UnknownCheckpoint(RunError):
    """The run has no such checkpoint."""

    code = "unknown_checkpoint"
    status = 404


class NotPoisoned(RunError):
    """No stored answer keeps this run from going on."""

    code = "not_poisoned"
    status = 409


class NotLive(RunError):
    """The run has ended."""

    code = "not_live"
    status = 409


class NotEnded(RunError):
    """The run has not ended."""

    code = "not_ended"
    status = 409
