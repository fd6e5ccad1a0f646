"""What the verbs tell the rest of the program, after their transaction has committed. Receivers run in the process of the
verb, must be quick, and may be told twice."""

from typing import Any

from django.db import transaction
from django.dispatch import Signal

from approvals import notices
from approvals.models import Approval

# provides: approval_id (UUID), source, source_ref
requested = Signal()
decided = Signal()
reminded = Signal()  # nobody has decided, and the time to remind has come

_ANNOUNCED = {requested: notices.tell_asked, decided: notices.tell_decided, reminded: notices.tell_reminded}


def tell(signal: Signal, approval: Approval, *, again: bool = False) -> None:
    """Send ``signal`` about ``approval`` once the current transaction has committed. A receiver's error is logged by Django
    and stops neither the others nor the caller: the sweep tells ``again``. The first time it is also announced
    to people and places outside, as part of the transaction (:mod:`approvals.notices`)."""
    if not again:
        _ANNOUNCED[signal](approval)
    facts: dict[str, Any] = {"approval_id": approval.pk, "source": approval.source, "source_ref": approval.source_ref}
    transaction.on_commit(lambda: signal.send_robust(sender=Approval, **facts))
