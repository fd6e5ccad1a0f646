"""What a ticket calls for, given what was read about it: calls to make, things to tell, things to hand over."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from support.planner.history import Call
from support.planner.reading import Case, Wish, best_rule, days_before, named_titles, new_address, share_of, wants_everything
from support.planner.rules import ShopRules
from support.results import Customer, Order, OrderLine


@dataclass(frozen=True)
class Facts:
    """What the reading tools told; `trouble` is what kept one of them from telling."""

    customer: Customer | None = None
    orders: tuple[Order, ...] = ()
    strange_ids: tuple[str, ...] = ()
    which_order: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Want:
    """A call that should be made, why, and what should follow when it was done."""

    call: Call
    why: str
    then: "Want | None" = None


@dataclass
class Plan:
    """Calls to make, sentences for the customer, and reasons to hand the ticket to a person."""

    wants: list[Want] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    handover: list[str] = field(default_factory=list)


def plan(case: Case, rules: ShopRules, facts: Facts) -> Plan:
    """Decide what the ticket calls for. Pure: the same ticket and facts give the same plan."""
    made = Plan()
    if facts.trouble:
        made.handover.append(facts.trouble)
    elif case.hostile:
        made.handover.append(_hostility(case))
    elif case.wish is Wish.THANKS:
        made.notes.append("Thank you for telling us.")
    elif case.wish is Wish.POLICY:
        _answer_from_rules(made, case, rules)
    elif case.wish is Wish.UNKNOWN:
        made.handover.append(f"It is not clear what the sender wants. They write: “{_beginning(case.body)}”")
    elif facts.customer is None:
        made.notes.append(
            f"We do not know the address {case.email}. Please write from the address you ordered with, "
            "or tell us which one that is."
        )
    else:
        _plan_orders(made, case, rules, facts, facts.customer)
    return made


def _plan_orders(made: Plan, case: Case, rules: ShopRules, facts: Facts, customer: Customer) -> None:
    if facts.which_order:
        made.notes.append("Please tell us the number of the order you mean.")
    for order_id in facts.strange_ids:
        made.notes.append(f"We find no order {order_id} under your address. Please check the number.")
    for order in facts.orders:
        match case.wish:
            case Wish.CANCEL:
                _cancel(made, case, order)
            case Wish.ADDRESS:
                _change_address(made, case, order, customer)
            case Wish.STATUS:
                made.notes.append(_status(order, rules))
            case Wish.DOUBLE_CHARGE:
                _second_charge(made, case, order)
            case _:
                _refund(made, case, rules, order)


def _cancel(made: Plan, case: Case, order: Order) -> None:
    if order.status == "cancelled":
        made.notes.append(f"Order {order.id} is cancelled already; {_money(order, order.refunded)} was refunded.")
    elif order.status != "processing":
        made.notes.append(
            f"Order {order.id} has left our warehouse, so we cannot cancel it any more. You can send it back after it arrives."
        )
    else:
        follow = None
        if Decimal(order.refundable):
            why = f"Order {order.id} is cancelled before shipping, so everything paid goes back."
            reason = f"Order {order.id} cancelled before shipping"
            follow = _refund_want(order, Decimal(order.refundable), reason, why)
        reason = f"Asked for by the customer in ticket {case.ticket_id}" if case.ticket_id else "Asked for by the customer"
        made.wants.append(
            Want(
                Call("cancel_order", {"order_id": order.id, "reason": reason}),
                f"{case.name or case.email} asks to cancel order {order.id}. "
                "It has not shipped, so cancelling is free of charge.",
                follow,
            )
        )


def _change_address(made: Plan, case: Case, order: Order, customer: Customer) -> None:
    if order.status != "processing":
        made.notes.append(
            f"Order {order.id} has left our warehouse, so we cannot change its address any more. "
            f"Its tracking number is {order.tracking}."
            if order.tracking
            else f"Order {order.id} is {order.status}, so we cannot change its address any more."
        )
        return
    address = new_address(case, customer.name)
    if address is None:
        made.notes.append(
            f"To change the address of order {order.id} we need the new one in full: "
            "recipient, street, postal code, city and country."
        )
        return
    now = order.address
    made.wants.append(
        Want(
            Call("change_address", {"order_id": order.id, **address}),
            f"{case.name or case.email} asks to send order {order.id} to another address. "
            f"It has not shipped and goes to {now.street}, {now.postal_code} {now.city} so far.",
        )
    )


def _second_charge(made: Plan, case: Case, order: Order) -> None:
    surplus = Decimal(order.paid) - Decimal(order.refunded) - Decimal(order.total)
    if surplus > 0:
        why = (
            f"Order {order.id} costs {_money(order, order.total)}, but {_money(order, order.paid)} was paid. "
            "The difference goes back."
        )
        made.wants.append(_refund_want(order, surplus, f"Order {order.id} was paid twice", why))
    else:
        made.notes.append(
            f"For order {order.id} we received {_money(order, order.paid)} and refunded {_money(order, order.refunded)}; "
            "no second payment remains with us. A charge that is only reserved disappears from your statement by itself."
        )


def _refund(made: Plan, case: Case, rules: ShopRules, order: Order) -> None:
    left = Decimal(order.refundable)
    age = days_before(case, order.delivered_on)
    if order.status in {"processing", "shipped"}:
        made.notes.append(
            f"Order {order.id} has not arrived yet. We can refund it when it has come back to us, "
            "or cancel it as long as it is not shipped."
        )
    elif left == 0:
        made.notes.append(f"Order {order.id} is refunded already: {_money(order, order.refunded)} went back to you.")
    elif age is not None and rules.return_days is not None and age > rules.return_days:
        made.notes.append(
            f"Order {order.id} was delivered on {order.delivered_on}, {_days(age)} before you wrote. "
            f"We refund within {rules.return_days} days after delivery, so we cannot do it any more."
        )
    else:
        amount, basis = _amount(case, order)
        claim = "reports a faulty, wrong or missing item of" if case.wish is Wish.FAULTY else "wants money back for"
        arrived = f", delivered {_days(age)} before the ticket" if age is not None else ""
        why = f"{case.name or case.email} {claim} order {order.id}{arrived}. {basis}"
        made.wants.append(_refund_want(order, amount, _reason(case, order), why))


def _amount(case: Case, order: Order) -> tuple[Decimal, str]:
    """How much to refund, and the sentence that says where the amount comes from."""
    left, currency = Decimal(order.refundable), order.currency
    if case.asked is not None:
        basis = f"The sender names the amount of {case.asked} {currency} themselves"
        if case.asked > left:
            return case.asked, f"{basis}, but only {left} {currency} of this order can still be refunded: look closely."
        return case.asked, f"{basis}; {left} {currency} of this order can still be refunded."
    if wants_everything(case):
        return left, f"They ask for everything paid, and {left} {currency} can still be refunded."
    titles = named_titles(case.text, [line.title for line in order.lines])
    lines = [line for line in order.lines if line.title in titles]
    whole = len(lines) in {0, len(order.lines)}
    if whole and (case.wish is not Wish.FAULTY or (not lines and len(order.lines) > 1)):
        return left, f"Everything paid that was not refunded yet goes back: {left} {currency}."
    priced = [_price(case, line) for line in lines or order.lines]
    amount, what = sum((price for price, _ in priced), Decimal(0)), " and ".join(name for _, name in priced)
    if "half" in case.text.lower().split():
        amount, what = (amount / 2).quantize(Decimal("0.01"), ROUND_HALF_UP), f"half of {what}"
    return min(amount, left), f"The amount is the price of {what}; {left} {currency} can still be refunded."


def _price(case: Case, line: OrderLine) -> tuple[Decimal, str]:
    count = share_of(case.text, line.title)
    if count is None or count >= line.quantity:
        return Decimal(line.amount), f"{line.quantity} × {line.title}"
    return count * Decimal(line.unit_price), f"{count} of {line.quantity} × {line.title}"


def _refund_want(order: Order, amount: Decimal, reason: str, why: str) -> Want:
    args = {"order_id": order.id, "amount": f"{amount:.2f}", "currency": order.currency, "reason": reason}
    return Want(Call("issue_refund", args), why)


def _reason(case: Case, order: Order) -> str:
    words = "Faulty, wrong or missing item" if case.wish is Wish.FAULTY else "Refund asked for by the customer"
    return f"{words}, order {order.id}" + (f", ticket {case.ticket_id}" if case.ticket_id else "")


def _status(order: Order, rules: ShopRules) -> str:
    match order.status:
        case "shipped":
            tracking = f" Its tracking number is {order.tracking}." if order.tracking else ""
            time = rules.by_topic.get("Delivery time")
            return f"Order {order.id} is on its way.{tracking}" + (f" Delivery takes {time}" if time else "")
        case "delivered":
            return f"Order {order.id} was delivered on {order.delivered_on}."
        case "cancelled":
            return f"Order {order.id} is cancelled; {_money(order, order.refunded)} was refunded."
        case _:
            return f"Order {order.id} is being prepared and has not shipped yet."


def _answer_from_rules(made: Plan, case: Case, rules: ShopRules) -> None:
    topic = best_rule(case, rules.by_topic)
    if topic:
        made.notes.append(f"{topic}: {rules.by_topic[topic]}")
    else:
        made.handover.append(f"The shop rules do not answer this question: “{_beginning(case.body)}”")


def _hostility(case: Case) -> str:
    kind = "insults and legal threats" if case.threat else "insults"
    return f"The ticket carries {kind}; a person should answer it. They write: “{_beginning(case.body)}”"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _money(order: Order, amount: str) -> str:
    return f"{amount} {order.currency}"


def _beginning(text: str, length: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length].rsplit(' ', 1)[0]} …"
