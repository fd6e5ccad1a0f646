"""What can go wrong with a run. ``text`` is what people read, in their own language; ``code`` is for programs and ``status``
the HTTP answer."""

from typing import Any

from django.utils.translation import gettext_lazy as _


class RunError(Exception):
    text = _("The run could not do that.")
    code = "run_error"
    status = 400

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message or self.text)
        self.facts = facts


class UnknownAgent(RunError):
    text = _("There is no such agent.")
    code = "unknown_agent"
    status = 404


class AgentUnavailable(RunError):
    text = _("This agent cannot run now.")
    code = "agent_unavailable"
    status = 409


class NotAllowed(RunError):
    text = _("You may not do that.")
    code = "not_allowed"
    status = 403


class InvalidInput(RunError):
    text = _("The input is not valid.")
    code = "invalid_input"
    status = 422


class InvalidLimit(RunError):
    text = _("This limit cannot be granted.")
    code = "invalid_limit"
    status = 422


class InvalidScope(RunError):
    text = _("The scope is not valid.")
    code = "invalid_scope"
    status = 422


class InvalidReason(RunError):
    text = _("Say why.")
    code = "invalid_reason"
    status = 422


class UnknownCall(RunError):
    text = _("There is no such call.")
    code = "unknown_call"
    status = 404


class NotUndoable(RunError):
    text = _("This cannot be undone.")
    code = "not_undoable"
    status = 409


class NotOffered(RunError):
    text = _("The checkpointer of this desk does not do that.")
    code = "not_offered"
    status = 409


class Pruned(RunError):
    text = _("The run's checkpoints were taken away: it cannot go on.")
    code = "pruned"
    status = 409


class InputTooLarge(RunError):
    text = _("The input is too large.")
    code = "input_too_large"
    status = 413


class UnknownCheckpoint(RunError):
    text = _("The run has no such checkpoint.")
    code = "unknown_checkpoint"
    status = 404


class NotPoisoned(RunError):
    text = _("No stored answer keeps this run from going on.")
    code = "not_poisoned"
    status = 409


class NotLive(RunError):
    text = _("The run has ended.")
    code = "not_live"
    status = 409


class NotEnded(RunError):
    text = _("The run has not ended.")
    code = "not_ended"
    status = 409
