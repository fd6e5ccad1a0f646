"""What the agent can do. Each tool checks its arguments, never raises, and says what it does to the world.

The labels in `metadata` are for whoever decides which calls a person must see: `effect` (read, write or irreversible),
`egress` (does something leave the shop), `idempotent` (may the same call run twice), `risk`, `results` (of what kind what it
returns is: a record of the shop, or untrusted content) and `data` (the label of what it reads, or may send).
"""

import logging
from collections.abc import Callable
from typing import Any, Literal

import psycopg
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field

from support import mail, store
from support.results import (
    Address,
    AddressChanged,
    Cancelled,
    CustomerFound,
    Deed,
    Escalated,
    Fault,
    Mailed,
    Money,
    OrderFound,
    OrdersFound,
    Reading,
    Refunded,
    ShopError,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Currency = Literal["CHF", "DKK", "EUR", "GBP", "JPY", "NOK", "PLN", "SEK", "USD"]
Effect = Literal["read", "write", "irreversible"]
Risk = Literal["low", "medium", "high", "critical"]
DATA = "customer data"

_ORDER_ID = Field(title="Order", description="The order's number, e.g. 10042", min_length=1, max_length=20)
_EMAIL = r"^[^@\s<>,]+@[^@\s<>,]+\.[^@\s<>,]+$"


class SearchCustomer(BaseModel):
    """Find a customer by e-mail address."""

    email: str = Field(title="E-mail address", description="The address the customer writes from", max_length=200)


class ListOrders(BaseModel):
    """List a customer's orders, newest first."""

    customer_id: str = Field(title="Customer", description="The customer's id as search_customer_by_email returns it")


class GetOrder(BaseModel):
    """Read one order: items, payment, refunds, delivery."""

    order_id: str = _ORDER_ID


class IssueRefund(BaseModel):
    """Pay money of an order back to the customer. This cannot be taken back."""

    order_id: str = _ORDER_ID
    amount: Money = Field(title="Amount", description="Decimal amount with two places, at most what is refundable")
    currency: Currency = Field(title="Currency", description="The currency the order was paid in")
    reason: str = Field(title="Reason", description="Why, in a sentence, for the books", min_length=1, max_length=500)


class ChangeAddress(BaseModel):
    """Change where an order is delivered, as long as it is not shipped."""

    order_id: str = _ORDER_ID
    recipient: str = Field(title="Recipient", description="Who receives the parcel", min_length=1, max_length=120)
    street: str = Field(title="Street", description="Street and house number", min_length=1, max_length=120)
    postal_code: str = Field(title="Postal code", description="Postal code, as written there", max_length=20)
    city: str = Field(title="City", description="City, with state or region if needed", min_length=1, max_length=80)
    country: str = Field(title="Country", description="Country, in words", min_length=1, max_length=60)


class CancelOrder(BaseModel):
    """Cancel an order that is not shipped. Refunds nothing by itself."""

    order_id: str = _ORDER_ID
    reason: str = Field(title="Reason", description="Why the order is cancelled", min_length=1, max_length=500)


class SendEmail(BaseModel):
    """Send an e-mail in the name of the shop."""

    to: str = Field(title="To", description="One e-mail address", pattern=_EMAIL, max_length=200)
    subject: str = Field(title="Subject", description="Subject, one line", pattern=r"^[^\r\n]*$", max_length=200)
    body: str = Field(
        title="Text",
        description="The whole text, with greeting and signature",
        min_length=1,
        max_length=10_000,
    )


class EscalateTicket(BaseModel):
    """Hand the ticket to the people of the shop."""

    ticket_id: str = Field(title="Ticket", description="The ticket's number, e.g. T-17", min_length=1, max_length=20)
    reason: str = Field(title="Reason", description="What a person has to settle", min_length=1, max_length=1000)
    urgency: Literal["low", "normal", "high"] = Field(title="Urgency", description="How soon somebody should look")


def search_customer_by_email(email: str) -> Json:
    return _answer(Reading, lambda: _found_customer(email))


def list_orders(customer_id: str) -> Json:
    return _answer(Reading, lambda: _found_orders(customer_id))


def get_order(order_id: str) -> Json:
    return _answer(Reading, lambda: _found_order(order_id))


def issue_refund(order_id: str, amount: str, currency: str, reason: str, config: RunnableConfig) -> Json:
    key = _idempotency_key(config)
    return _answer(Deed, lambda: Refunded(done=True, refund=store.refund(order_id, amount, currency, reason, key=key)))


def change_address(order_id: str, recipient: str, street: str, postal_code: str, city: str, country: str) -> Json:
    wanted = Address(recipient=recipient, street=street, postal_code=postal_code, city=city, country=country)

    def change() -> AddressChanged:
        address, previous = store.change_address(order_id, wanted)
        return AddressChanged(done=True, order_id=order_id, address=address, previous=previous)

    return _answer(Deed, change)


def would_change_address(order_id: str, recipient: str, street: str, postal_code: str, city: str, country: str) -> Json:
    """What a change would do: nothing is written."""
    wanted = Address(recipient=recipient, street=street, postal_code=postal_code, city=city, country=country)

    def look() -> AddressChanged:
        previous = store.order_to_change(order_id).address
        return AddressChanged(order_id=order_id, address=wanted, previous=previous)

    return _answer(Deed, look)


def undo_change_address(order_id: str, previous: Address) -> Json:
    """Send an order where it was to go before its address was changed, as long as it is not shipped."""
    return change_address(order_id, **previous.model_dump())


def would_refund(order_id: str, amount: str, currency: str, reason: str) -> Json:
    """What a refund would do: nothing is paid."""
    return _answer(Deed, lambda: Refunded(refund=store.would_refund(order_id, amount, currency)))


def cancel_order(order_id: str, reason: str) -> Json:
    def cancel() -> Cancelled:
        order = store.cancel(order_id, reason)
        return Cancelled(done=True, order_id=order_id, refundable=order.refundable, currency=order.currency)

    return _answer(Deed, cancel)


def send_email(to: str, subject: str, body: str, config: RunnableConfig) -> Json:
    key = _idempotency_key(config)
    return _answer(Deed, lambda: Mailed(done=True, to=to, subject=subject, message_id=mail.send(to, subject, body, key=key)))


def escalate_ticket(ticket_id: str, reason: str, urgency: str) -> Json:
    def escalate() -> Escalated:
        store.escalate(ticket_id, reason, urgency)
        return Escalated(done=True, ticket_id=ticket_id, urgency=urgency)

    return _answer(Deed, escalate)


def _found_customer(email: str) -> CustomerFound:
    customer = store.customer_by_email(email)
    return CustomerFound(found=customer is not None, customer=customer)


def _found_orders(customer_id: str) -> OrdersFound:
    orders = store.orders_of(customer_id)
    return OrdersFound(found=orders is not None, orders=orders or [])


def _found_order(order_id: str) -> OrderFound:
    order = store.order_by_id(order_id)
    return OrderFound(found=order is not None, order=order)


def _answer(kind: type[Reading] | type[Deed], act: Callable[[], Reading | Deed]) -> Json:
    """Run the act; report what it returned, or what went wrong, as plain JSON."""
    result: Reading | Deed
    try:
        result = act()
    except ShopError as error:
        result = kind(error=error.fault)
    except psycopg.Error as error:
        logger.exception("The shop's database did not answer")
        result = kind(error=_database_fault(error, is_deed=kind is Deed))
    return result.model_dump(mode="json", exclude_none=True)


def _database_fault(error: Exception, *, is_deed: bool) -> Fault:
    """What can be said after a database error; a connection lost within a deed may have carried it out."""
    was_connected = not isinstance(error, PoolTimeout)
    if is_deed and was_connected and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Fault(
            kind="outcome_unknown",
            message="The connection to the shop's database was lost: nobody can tell whether this was carried out.",
            retryable=False,
            hint="Read the order before anything else, or escalate.",
        )
    return Fault(
        kind="unavailable",
        message=f"The shop's database did not answer: {type(error).__name__}.",
        retryable=True,
        hint="Try again once, then escalate.",
    )


def _idempotency_key(config: RunnableConfig) -> str | None:
    """The key that a runner may pass with a call, so that repeating the call repeats nothing."""
    key = config.get("configurable", {}).get("idempotency_key")
    return str(key) if key else None


def _tool(
    act: Callable[..., Json],
    args: type[BaseModel],
    effect: Effect,
    risk: Risk,
    *,
    egress: bool,
    idempotent: bool,
    **more: str | Callable[..., Json],
) -> BaseTool:
    """``more``: further labels, and the hooks ``dry_run`` and ``undo``, functions that a desk may call."""
    return StructuredTool.from_function(
        act,
        args_schema=args,
        description=args.__doc__,
        metadata={"effect": effect, "risk": risk, "egress": egress, "idempotent": idempotent, **more},
    )


TOOLS: list[BaseTool] = [
    # What a customer writes of herself, such as her name, is no record of the shop: nothing is promised of where it comes from.
    _tool(search_customer_by_email, SearchCustomer, "read", "low", egress=False, idempotent=True, data=DATA),
    _tool(list_orders, ListOrders, "read", "low", egress=False, idempotent=True, results="record", data=DATA),
    _tool(get_order, GetOrder, "read", "low", egress=False, idempotent=True, results="record", data=DATA),
    # Repeating a refund is safe only with an idempotency key, so the label promises nothing.
    _tool(issue_refund, IssueRefund, "irreversible", "high", egress=False, idempotent=False, dry_run=would_refund),
    _tool(
        change_address,
        ChangeAddress,
        "write",
        "medium",
        egress=False,
        idempotent=True,
        dry_run=would_change_address,
        undo=undo_change_address,
    ),
    _tool(cancel_order, CancelOrder, "irreversible", "medium", egress=False, idempotent=True),
    _tool(send_email, SendEmail, "irreversible", "medium", egress=True, idempotent=False, data=DATA),
    _tool(escalate_ticket, EscalateTicket, "write", "low", egress=False, idempotent=True),
]
