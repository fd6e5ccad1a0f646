"""What runs do when they hear of a decision: look at the run behind it soon."""

from typing import Any

from agentdesk.live.push import hint
from approvals.signals import decided
from runs.lifecycle import SOURCE
from runs.queues import ADVANCE


def connect() -> None:
    decided.connect(advance_soon, dispatch_uid="runs.advance_soon")


def advance_soon(*, source: str, source_ref: str, **facts: Any) -> None:
    if source == SOURCE:
        hint(ADVANCE, source_ref)
