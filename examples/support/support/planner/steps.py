"""The next step of a conversation: read first, then do what the ticket calls for, then write one e-mail.

Everything is worked out anew from the messages each time, so a run that stopped anywhere goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import BaseMessage, SystemMessage
from pydantic import ValidationError

from support.planner.history import Attempt, Call, Ending, History, read_history
from support.planner.letters import email, paragraphs, summary
from support.planner.reading import Case, Wish, named_titles, read_case
from support.planner.rules import ShopRules, read_rules
from support.planner.settling import Settled, settle
from support.planner.wants import Facts, Plan, Want, plan
from support.results import Customer, CustomerFound, OrderFound, OrdersFound, Reading


@dataclass(frozen=True)
class Step:
    """What the model says, and the calls it makes with it."""

    text: str
    calls: tuple[Call, ...] = ()


def next_step(messages: Sequence[BaseMessage]) -> Step:
    """What to do next, from the prompt, the ticket and the results in these messages alone."""
    rules = read_rules("\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage)))
    case, history = read_case(messages), read_history(messages)
    if not case.email:
        return Step("This message has no sender that I could answer. Please give me a ticket with a From line.")
    facts = _look_up(case, history)
    if isinstance(facts, Step):
        return facts
    return _act(case, rules, history, plan(case, rules, facts))


def _look_up(case: Case, history: History) -> Step | Facts:
    """Read the customer and the orders; a step while something is still to be read."""
    search = _read(history, Call("search_customer_by_email", {"email": case.email}))
    if isinstance(search, Call):
        return Step(f"I look up the sender, {case.email}.", (search,))
    found = _result(CustomerFound, search)
    if isinstance(found, str):
        return Facts(trouble=f"The customer could not be looked up: {found}")
    customer = found.customer
    if customer is None or case.hostile or case.wish in {Wish.POLICY, Wish.THANKS, Wish.UNKNOWN}:
        return Facts(customer)
    order_ids: Sequence[str] | Step | Facts = case.order_ids or _choose_order(case, history, customer)
    if isinstance(order_ids, Step | Facts):
        return order_ids
    return _read_orders(history, customer, order_ids)


def _choose_order(case: Case, history: History, customer: Customer) -> list[str] | Step | Facts:
    """The order that a ticket without a number is about: the only one, or the only one that fits."""
    listed = _read(history, Call("list_orders", {"customer_id": customer.id}))
    if isinstance(listed, Call):
        return Step("The ticket names no order, so I look at the customer's orders.", (listed,))
    found = _result(OrdersFound, listed)
    if isinstance(found, str):
        return Facts(customer, trouble=f"The orders could not be listed: {found}")
    orders = found.orders
    named = set(named_titles(case.text, [title for order in orders for title in order.titles]))
    fitting = [order for order in orders if named & set(order.titles)]
    if not fitting and case.wish in {Wish.CANCEL, Wish.ADDRESS}:
        fitting = [order for order in orders if order.status == "processing"]
    fitting = fitting or orders
    return [fitting[0].id] if len(fitting) == 1 else Facts(customer, which_order=True)


def _read_orders(history: History, customer: Customer, order_ids: Sequence[str]) -> Step | Facts:
    reads = [_read(history, Call("get_order", {"order_id": order_id})) for order_id in order_ids]
    open_calls = tuple(read for read in reads if isinstance(read, Call))
    if open_calls:
        return Step(f"I read order {' and '.join(call.args['order_id'] for call in open_calls)}.", open_calls)
    results = [_result(OrderFound, read) for read in reads if isinstance(read, Attempt)]
    if troubles := [result for result in results if isinstance(result, str)]:
        return Facts(customer, trouble=f"An order could not be read: {troubles[0]}")
    found = [result.order for result in results if isinstance(result, OrderFound)]
    own = tuple(order for order in found if order and order.customer_id == customer.id)
    return Facts(
        customer,
        orders=own,
        strange_ids=tuple(order_id for order_id in order_ids if order_id not in {order.id for order in own}),
    )


def _result[R: Reading](kind: type[R], attempt: Attempt) -> R | str:
    """What a reading tool returned, or why there is no result to go by."""
    if attempt.ending is not Ending.RESULT:
        return attempt.words or "no reason given"
    try:
        return kind.model_validate(attempt.data)
    except ValidationError:
        return f"the result of {attempt.call.name} is not in the form it should have"


def _read(history: History, call: Call) -> Attempt | Call:
    """What a reading call gave; the call itself while it is still to be made. A passing failure is tried once more."""
    made = history.of(call.name, **call.args)
    if not made:
        return history.refusal_of(call) or call
    return call if made[-1].retryable and len(made) == 1 else made[-1]


def _act(case: Case, rules: ShopRules, history: History, made: Plan) -> Step:
    settled, open_wants = _settle_all(made.wants, history)
    if open_wants:
        return Step(" ".join(want.why for want in open_wants), tuple(want.call for want in open_wants))
    handover = [*made.handover, *(reason for one in settled if (reason := one.handover_reason()))]
    escalated = history.of("escalate_ticket")
    if handover and not escalated and (step := _escalate(case, history, " ".join(handover))):
        return step
    mails = history.of("send_email")
    if not mails or (mails[-1].retryable and len(mails) == 1):
        message = paragraphs(made, settled, escalated)
        call = email(case, rules, message)
        if message and not history.refusal_of(call):
            return Step(f"I tell {case.name or case.email}: {' '.join(message)}", (call,))
    elif mails[-1].ending in {Ending.REFUSED, Ending.FAILED} and not escalated:
        words = mails[-1].words or "no reason given"
        if step := _escalate(case, history, f"The e-mail to {case.email} was not sent: {words}"):
            return step
    return Step(summary(case, settled, escalated, mails))


def _settle_all(wants: Sequence[Want], history: History) -> tuple[list[Settled], list[Want]]:
    """Which wants are settled, and which calls are to be made now; what follows a deed waits for it."""
    settled: list[Settled] = []
    open_wants: list[Want] = []
    for first in wants:
        want: Want | None = first
        while want is not None:
            state = settle(want, history)
            if isinstance(state, Want):
                open_wants.append(state)
                break
            settled.append(state)
            want = want.then if state.ending is Ending.RESULT else None
    return settled, open_wants


def _escalate(case: Case, history: History, reason: str) -> Step | None:
    """Hand the ticket over, if it has a number and nobody refused exactly that."""
    urgency = "high" if case.threat or case.hostile else "normal"
    call = Call("escalate_ticket", {"ticket_id": case.ticket_id, "reason": reason[:1000], "urgency": urgency})
    if not case.ticket_id or history.refusal_of(call):
        return None
    return Step(f"A person has to settle this. {reason}", (call,))
