"""Where a wanted call stands: still to be made, done, answered by a person, refused, or failed."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from support.planner.history import Attempt, Call, Ending, History
from support.planner.reading import offered_amount
from support.planner.wants import Want


@dataclass(frozen=True)
class Settled:
    """A want that is over. `asked` is the last call made for it, `data` its result, `words` what a person said."""

    asked: Call
    ending: Ending
    data: dict[str, Any]
    words: str

    def handover_reason(self) -> str:
        """Why a person should take the ticket now; empty when none has to."""
        name, order_id = self.asked.name, self.asked.args.get("order_id", "")
        if self.ending is Ending.FAILED:
            return f"{name} for order {order_id} failed: {self.words or 'no reason given'}"
        if self.ending is Ending.REFUSED and not self.words:
            return f"{name} for order {order_id} was rejected without a reason."
        return ""


def settle(want: Want, history: History) -> Settled | Want:
    """The end of a want, or the call to make for it now. A call that was refused is never made again as it was."""
    attempts = history.of(want.call.name, order_id=want.call.args["order_id"])
    if not attempts:
        refusal = history.refusal_of(want.call)
        return Settled(want.call, refusal.ending, {}, refusal.words) if refusal else want
    last = attempts[-1]
    if last.ending is Ending.FAILED and last.retryable and history.times(last.call) == 1:
        return Want(last.call, f"The last try failed for a passing reason ({last.words}), so I try once more.")
    if last.ending is Ending.REFUSED and (call := _as_offered(last)) and not history.times(call):
        return Want(call, f"A person rejected {last.call.args['amount']} and wrote: “{last.words}” This follows it.")
    return Settled(last.call, last.ending, last.data, last.words)


def _as_offered(refused: Attempt) -> Call | None:
    """The same refund with the amount that the refusal names; None when it names none."""
    if refused.call.name != "issue_refund":
        return None
    offered = offered_amount(refused.words)
    if offered is None or not 0 < offered < Decimal(refused.call.args["amount"]):
        return None
    return Call("issue_refund", {**refused.call.args, "amount": f"{offered:.2f}"})
