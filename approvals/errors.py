"""What can go wrong with an approval. ``text`` is what people read, in their own language; ``code`` is for programs and
``status`` the HTTP answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

from agentdesk.english import later

if TYPE_CHECKING:
    from approvals.models import Approval, Decision


class ApprovalError(Exception):
    text = _("The approval could not be changed.")
    code: ClassVar[str] = "approval_error"
    status: ClassVar[int] = 409

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.text)  # each time it is read, in the language of whoever reads it


class NotFound(ApprovalError):
    text = _("There is no such approval.")
    code = "not_found"
    status = 404


class UnknownAgent(ApprovalError):
    text = _("There is no agent of that name.")
    code = "unknown_agent"
    status = 404


class NotAllowed(ApprovalError):
    text = _("You may not decide this.")
    code = "not_allowed"
    status = 403


class NotProved(NotAllowed):
    text = _("Confirm first that it is you; then decide again. What you typed is kept.")
    code = "not_proved"


class Expired(ApprovalError):
    text = _("Nobody decided in time: this has expired.")
    code = "expired"


class KeyReused(ApprovalError):
    text = _("This request key belongs to another question.")
    code = "key_reused"


class Consumed(ApprovalError):
    text = _("The decision was already carried out.")
    code = "consumed"


class Released(ApprovalError):
    text = _("This decision is not held any more: it cannot be taken back.")
    code = "released"


class Taken(ApprovalError):
    text = _("Somebody else was first.")
    code = "taken"


class TooLarge(ApprovalError):
    text = _("The question is too large.")
    code = "too_large"
    status = 413


class NotCurrent(ApprovalError):
    text = _("This has changed since it was shown. Look at it again, then decide.")
    code = "not_current"

    def __init__(self, approval: "Approval", message: str = "") -> None:
        super().__init__(message)
        self.approval = approval


class AlreadyDecided(ApprovalError):
    """Somebody else was first. ``decision`` says who decided what, and when."""

    code = "already_decided"

    def __init__(self, approval: "Approval", decision: "Decision") -> None:
        when = decision.decided_at.strftime("%Y-%m-%d %H:%M:%S")
        who = decision.decided_by_label
        text = _("Already decided: {verdict} by {who} at {when} UTC.")
        super().__init__(later(lambda: text.format(verdict=decision.get_verdict_display(), who=who, when=when)))
        self.approval = approval
        self.decision = decision


class Invalid(ApprovalError):
    """What was sent is not valid. ``errors`` maps dotted paths (empty: the whole) to what is wrong there."""

    code = "invalid"
    status = 422

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        self.errors = dict(errors)
        parts = [f"{path}: {' '.join(texts)}" if path else " ".join(texts) for path, texts in self.errors.items()]
        super().__init__("; ".join(parts))


class InvalidAnswer(Invalid):
    """A decision that the asker could not take."""

    code = "invalid_answer"


class InvalidAsk(Invalid):
    """A question that nobody could answer."""

    code = "invalid_ask"
