"""Which adapter reads a payload."""

import logging

from runs.interrupts.agui import AgUi
from runs.interrupts.anything import Anything, WholeObject
from runs.interrupts.approval_required import ApprovalRequired
from runs.interrupts.ask_user import AskUser
from runs.interrupts.base import Adapter, Payload, Question
from runs.interrupts.inbox import AgentInbox
from runs.interrupts.langchain import Batched, PerCall
from runs.interrupts.questions import Fields, Options, Text, YesNoOrText
from runs.interrupts.schemas import Pinned, ResponseSchema

log = logging.getLogger(__name__)

# Families with an answer of their own, then what the graph or an admin says about the answer, then what the payload looks like.
ADAPTERS: tuple[Adapter, ...] = (
    Batched(), PerCall(), AgentInbox(), AskUser(), AgUi(),
    ResponseSchema(), Pinned(),
    ApprovalRequired(), Fields(), Options(), YesNoOrText(), Text(), WholeObject(), Anything(),
)  # fmt: skip


def read(payload: Payload) -> tuple[Adapter, list[Question]]:
    """The first adapter that can read the payload, with its questions. The last one reads everything."""
    for adapter in ADAPTERS[:-1]:
        try:
            if adapter.fits(payload):
                return adapter, adapter.questions(payload)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            # It looks like that family and lacks a part of it; it is still shown, by the next that can.
            log.info("%s does not read the payload of %s: %r", adapter.name, payload.node, error)
    return ADAPTERS[-1], ADAPTERS[-1].questions(payload)


def named(name: str) -> Adapter:
    """The adapter that an approval has on record. Raises LookupError for one that this release does not have."""
    for adapter in ADAPTERS:
        if adapter.name == name:
            return adapter
    raise LookupError(f"there is no adapter {name!r}")
