"""The e-mail to the customer, and the closing words of a run."""

from collections.abc import Sequence

from support.planner.history import Attempt, Call, Ending
from support.planner.reading import Case
from support.planner.rules import ShopRules
from support.planner.settling import Settled
from support.planner.wants import Plan


def paragraphs(made: Plan, settled: Sequence[Settled], escalated: Sequence[Attempt]) -> list[str]:
    """What the customer is told: what was done, with the amounts the tools returned, and what happens next."""
    told = [*(_outcome(one) for one in settled), *made.notes]
    if answer := next((one.words for one in escalated if one.ending is Ending.ANSWER), ""):
        told.append(f"A colleague looked at your message: {answer}")
    elif any(one.ending is Ending.RESULT for one in escalated):
        told.append("A colleague will look at your message and write to you.")
    return told


def email(case: Case, rules: ShopRules, told: Sequence[str]) -> Call:
    """The one e-mail that ends a ticket."""
    greeting = f"Hello {case.name}," if case.name else "Hello,"
    body = "\n\n".join([greeting, *told, f"Kind regards\n{rules.signature}"])
    subject = f"Re: {case.subject}" if case.subject else f"Your message {case.ticket_id}".strip()
    return Call("send_email", {"to": case.email, "subject": subject[:200], "body": body})


def summary(case: Case, settled: Sequence[Settled], escalated: Sequence[Attempt], mails: Sequence[Attempt]) -> str:
    """What happened, for whoever reads the run."""
    told = [_outcome(one) for one in settled]
    if any(one.ending is Ending.RESULT for one in escalated):
        told.append("The ticket is with a colleague now.")
    if any(one.ending is Ending.RESULT for one in mails):
        told.append(f"{case.email} was told by e-mail.")
    elif any(one.ending is Ending.ANSWER for one in mails):
        told.append(f"Instead of the e-mail, a person wrote: {mails[-1].words}")
    else:
        told.append(f"No e-mail went to {case.email}.")
    return " ".join(told)


def _outcome(one: Settled) -> str:
    order_id = one.asked.args.get("order_id", "")
    match one.ending:
        case Ending.RESULT:
            return _deed(one)
        case Ending.ANSWER:
            return f"A colleague took care of order {order_id}: {one.words}"
        case Ending.REFUSED if one.words:
            return f"We looked at your request for order {order_id} and cannot do it as asked: {one.words}"
        case _:
            return f"We could not finish your request for order {order_id} yet."


def _deed(one: Settled) -> str:
    """Said from the result, not from what was asked: a person may have changed the call in between."""
    match one.asked.name, one.data:
        case "issue_refund", {"refund": {"amount": amount, "currency": currency, "order_id": order_id}}:
            return f"We have refunded {amount} {currency} for order {order_id}."
        case "change_address", {"order_id": order_id, "address": dict(to)}:
            lines = [to.get("recipient"), to.get("street"), f"{to.get('postal_code')} {to.get('city')}", to.get("country")]
            return f"Order {order_id} will now be delivered to {', '.join(str(line) for line in lines)}."
        case "cancel_order", {"order_id": order_id}:
            return f"Order {order_id} is cancelled."
        case _:
            return f"Your request for order {one.asked.args.get('order_id', '')} is settled."
