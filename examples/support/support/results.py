"""What the tools return: plain models, so that a model and a person read the same words.

A reading says `found`, a deed says `done`. What went wrong is an `error`, never an exception.
"""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

FaultKind = Literal[
    "not_found",
    "already_shipped",
    "already_cancelled",
    "amount_too_high",
    "amount_too_low",
    "currency_mismatch",
    "key_reused",
    "mail_failed",
    "unavailable",
    "outcome_unknown",
]


def two_places(value: object) -> object:
    """Money as text with two decimal places; what is no amount is left for the schema to refuse."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return value
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", str(value)):
        return value
    return f"{Decimal(str(value)):.2f}"


# The pattern stands first: the schema that models and forms read shows only what the text must look like in the end.
Money = Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{2}$"), BeforeValidator(two_places)]


class Fault(BaseModel):
    """A failure in words that help: what happened, whether trying again can help, what to do instead."""

    kind: FaultKind
    message: str
    retryable: bool
    hint: str


class ShopError(Exception):
    """The shop cannot do what was asked; carries the fault to report."""

    def __init__(self, kind: FaultKind, message: str, hint: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.fault = Fault(kind=kind, message=message, retryable=retryable, hint=hint)


class Reading(BaseModel):
    """The result of looking something up."""

    found: bool = False
    error: Fault | None = None


class Deed(BaseModel):
    """The result of changing something."""

    done: bool = False
    error: Fault | None = None


class Customer(BaseModel):
    """A customer of the shop."""

    id: str
    name: str
    email: str
    since: date


class Address(BaseModel):
    """Where an order goes."""

    recipient: str
    street: str
    postal_code: str
    city: str
    country: str


class OrderSummary(BaseModel):
    """One line of a customer's order list."""

    id: str
    status: str
    placed_on: date
    currency: str
    paid: Money
    titles: list[str]


class OrderLine(BaseModel):
    """One item of an order; `amount` is quantity times unit price."""

    line: int
    title: str
    quantity: int
    unit_price: Money
    amount: Money


class Order(BaseModel):
    """An order with everything needed to decide about it; `refundable` is paid minus refunded."""

    id: str
    customer_id: str
    status: str
    placed_on: date
    delivered_on: date | None = None
    tracking: str | None = None
    currency: str
    shipping_fee: Money
    total: Money
    paid: Money
    refunded: Money
    refundable: Money
    address: Address
    lines: list[OrderLine]


class Refund(BaseModel):
    """Money that went back; `repeated` when the same request had already been carried out."""

    id: str
    order_id: str
    amount: Money
    currency: str
    still_refundable: Money
    repeated: bool


class CustomerFound(Reading):
    customer: Customer | None = None


class OrdersFound(Reading):
    orders: list[OrderSummary] = []


class OrderFound(Reading):
    order: Order | None = None


class Refunded(Deed):
    refund: Refund | None = None


class AddressChanged(Deed):
    order_id: str
    address: Address
    previous: Address


class Cancelled(Deed):
    order_id: str
    refundable: Money
    currency: str


class Mailed(Deed):
    to: str
    subject: str
    message_id: str


class Escalated(Deed):
    ticket_id: str
    urgency: str
