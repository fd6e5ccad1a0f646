"""Which adapter reads a payload."""

from runs.interrupts.anything import Anything
from runs.interrupts.approval_required import ApprovalRequired
from runs.interrupts.base import Adapter, Payload
from runs.interrupts.langchain import Batched, PerCall

ADAPTERS: tuple[Adapter, ...] = (Batched(), PerCall(), ApprovalRequired(), Anything())


def adapter_for(payload: Payload) -> Adapter:
    """The first that fits; the last one fits everything."""
    return next(adapter for adapter in ADAPTERS if adapter.fits(payload))
