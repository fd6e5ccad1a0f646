"""The states of an approval and the ways between them. Pure: no database."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    PENDING = "pending", _("Pending")
    HELD = "held", _("Held")  # decided, and may still be recalled until its decision's release_at
    DECIDED = "decided", _("Decided")
    EXPIRED = "expired", _("Expired")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    SUPERSEDED = "superseded", _("Superseded")


class Verdict(TextChoices):
    """What a decision says. Asking the agent back executes nothing: its next call of the action follows this one. The last two
    are the desk's own, never a person's choice."""

    APPROVE = "approve", _("Approve")
    MODIFY = "modify", _("Modify")
    REJECT = "reject", _("Reject")
    RESPOND = "respond", _("Respond")
    ASK = "ask", _("Ask the agent")
    EXPIRE = "expire", _("Expire")
    WITHDRAW = "withdraw", _("Withdraw")


class Kind(TextChoices):
    """What is asked: leave for a tool call, an answer to an agent's interrupt, or what became of a call in doubt."""

    TOOL_CALL = "tool_call", _("Tool call")
    INTERRUPT = "interrupt", _("Question of the agent")
    IN_DOUBT = "in_doubt", _("Call in doubt")


class Risk(TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")
    CRITICAL = "critical", _("Critical")

    @property
    def rank(self) -> int:
        return list(Risk).index(self)


PEOPLES_VERDICTS = (Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT, Verdict.RESPOND, Verdict.ASK)
REFUSING = frozenset({Verdict.REJECT, Verdict.ASK})  # one such vote is enough, and nothing is executed
OPEN = frozenset({Status.PENDING, Status.HELD})

ALLOWED: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.HELD, Status.DECIDED, Status.EXPIRED, Status.WITHDRAWN, Status.SUPERSEDED}),
    Status.HELD: frozenset({Status.PENDING, Status.DECIDED, Status.WITHDRAWN, Status.SUPERSEDED}),
    Status.DECIDED: frozenset({Status.PENDING, Status.SUPERSEDED}),  # asked again: the decision is void, version n+1
    Status.EXPIRED: frozenset({Status.PENDING}),
    Status.WITHDRAWN: frozenset(),
    Status.SUPERSEDED: frozenset(),
}


def sources_of(target: Status) -> list[Status]:
    """The states from which ``target`` may be reached."""
    return [state for state, targets in ALLOWED.items() if target in targets]
