"""The shop's tables, reached through one small connection pool per process.

The pool opens with the first query, never at import: a graph is loaded in many processes that ask nothing.
"""

import atexit
import os
import threading
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from support.results import Address, Customer, Order, OrderLine, OrderSummary, Refund, ShopError, two_places

type Connection = psycopg.Connection[DictRow]
type Pool = ConnectionPool[Connection]

_pools: dict[tuple[int, str], Pool] = {}
_opening = threading.Lock()

_ORDER = """
    SELECT o.*,
           o.shipping_fee + (SELECT sum(l.quantity * l.unit_price) FROM support.order_lines l WHERE l.order_id = o.id)
               AS total,
           coalesce((SELECT sum(r.amount) FROM support.refunds r WHERE r.order_id = o.id), 0) AS refunded
    FROM support.orders o WHERE o.id = %s
"""


def database_url() -> str:
    """Where the tables are; SUPPORT_DATABASE_URL goes before DATABASE_URL. Raises RuntimeError when neither is set."""
    url = os.environ.get("SUPPORT_DATABASE_URL") or os.environ.get("DATABASE_URL")
    if not url:
        raise RuntimeError("Set SUPPORT_DATABASE_URL or DATABASE_URL to the PostgreSQL database of the shop.")
    return url


def pool() -> Pool:
    """This process's pool; a forked child gets one of its own."""
    key = (os.getpid(), database_url())
    with _opening:
        if key not in _pools:
            opened: Pool = ConnectionPool(
                key[1],
                min_size=0,
                max_size=4,
                timeout=10,
                kwargs={"row_factory": dict_row, "connect_timeout": 5},
                check=ConnectionPool.check_connection,
                open=True,
                name="support",
            )
            atexit.register(opened.close)
            _pools[key] = opened
        return _pools[key]


def customer_by_email(email: str) -> Customer | None:
    """The customer with this address, whatever the case of its letters."""
    with pool().connection() as connection:
        row = connection.execute("SELECT * FROM support.customers WHERE email = %s", [email.strip().lower()]).fetchone()
    return Customer.model_validate(row) if row else None


def orders_of(customer_id: str) -> list[OrderSummary] | None:
    """The customer's orders, newest first; None when there is no such customer."""
    with pool().connection() as connection:
        if not connection.execute("SELECT 1 FROM support.customers WHERE id = %s", [customer_id]).fetchone():
            return None
        rows = connection.execute(
            """SELECT o.*, (SELECT array_agg(l.title ORDER BY l.line) FROM support.order_lines l
                            WHERE l.order_id = o.id) AS titles
               FROM support.orders o WHERE o.customer_id = %s ORDER BY o.placed_on DESC, o.id DESC""",
            [customer_id],
        ).fetchall()
    return [OrderSummary.model_validate(row) for row in rows]


def order_by_id(order_id: str) -> Order | None:
    """The order with its lines and what was refunded of it."""
    with pool().connection() as connection:
        return _read_order(connection, order_id)


def refund(order_id: str, amount: str, currency: str, reason: str, *, key: str | None) -> Refund:
    """Pay money of an order back, at most what is left of the payment.

    The order stays locked meanwhile, so two refunds cannot both see the same rest. A `key` that was used before gives
    the refund it made. Raises ShopError.
    """
    with pool().connection() as connection:
        order = _locked_order(connection, order_id)
        _refuse_other_currency(order, currency)
        if key and (earlier := _refund_by_key(connection, key)):
            return _repeated(order, earlier, amount)
        rest = _left_after(order, amount)
        row = _one(
            connection.execute(
                """INSERT INTO support.refunds (order_id, amount, reason, idempotency_key)
                   VALUES (%s, %s, %s, %s) RETURNING id::text""",
                [order_id, amount, reason, key],
            )
        )
    return Refund(
        id=row["id"],
        order_id=order_id,
        amount=amount,
        currency=currency,
        still_refundable=rest,
        repeated=False,
    )


def would_refund(order_id: str, amount: str, currency: str) -> Refund:
    """The refund that would be made now, without an id. Raises ShopError."""
    with pool().connection() as connection:
        order = _locked_order(connection, order_id)
    _refuse_other_currency(order, currency)
    rest = _left_after(order, amount)
    return Refund(id="", order_id=order_id, amount=amount, currency=currency, still_refundable=rest, repeated=False)


def _refuse_other_currency(order: Order, currency: str) -> None:
    if order.currency != currency:
        raise ShopError(
            "currency_mismatch",
            f"Order {order.id} was paid in {order.currency}, not in {currency}.",
            f"Ask again in {order.currency}.",
        )


def _left_after(order: Order, amount: str) -> str:
    """What could still be refunded after a refund of `amount`. Raises ShopError."""
    if not _cents(amount):
        raise ShopError("amount_too_low", "A refund of nothing is none.", "Ask for an amount above zero.")
    rest = _cents(order.refundable) - _cents(amount)
    if rest < 0:
        raise ShopError(
            "amount_too_high",
            f"Only {order.refundable} {order.currency} of order {order.id} can be refunded, not {amount}.",
            "Ask for what is left, or tell the customer.",
        )
    return f"{rest // 100}.{rest % 100:02}"


def order_to_change(order_id: str) -> Order:
    """An order that may still be changed. Raises ShopError."""
    with pool().connection() as connection:
        order = _locked_order(connection, order_id)
    _refuse_unless_processing(order)
    return order


def change_address(order_id: str, address: Address) -> tuple[Address, Address]:
    """Send an order elsewhere while it is not shipped; returns the new and the previous address. Raises ShopError."""
    with pool().connection() as connection:
        order = _locked_order(connection, order_id)
        _refuse_unless_processing(order)
        connection.execute(
            """UPDATE support.orders SET recipient = %(recipient)s, street = %(street)s,
                   postal_code = %(postal_code)s, city = %(city)s, country = %(country)s WHERE id = %(id)s""",
            {**address.model_dump(), "id": order_id},
        )
    return address, order.address


def cancel(order_id: str, reason: str) -> Order:
    """Cancel an order that is not shipped. Its money is another matter: see `refund`. Raises ShopError."""
    with pool().connection() as connection:
        order = _locked_order(connection, order_id)
        _refuse_unless_processing(order)
        connection.execute(
            "UPDATE support.orders SET status = 'cancelled', cancel_reason = %s WHERE id = %s", [reason, order_id]
        )
    return order


def escalate(ticket_id: str, reason: str, urgency: str) -> None:
    """Hand a ticket to the people of the shop. Raises ShopError."""
    with pool().connection() as connection:
        changed = connection.execute(
            "UPDATE support.tickets SET status = 'escalated', escalation_reason = %s, urgency = %s WHERE id = %s",
            [reason, urgency, ticket_id],
        )
        if changed.rowcount == 0:
            raise ShopError("not_found", f"There is no ticket {ticket_id}.", "Check the ticket's number.")


def _read_order(connection: Connection, order_id: str) -> Order | None:
    row = connection.execute(_ORDER, [order_id]).fetchone()
    if row is None:
        return None
    lines = connection.execute(
        "SELECT *, quantity * unit_price AS amount FROM support.order_lines WHERE order_id = %s ORDER BY line",
        [order_id],
    ).fetchall()
    return Order.model_validate(
        {
            **row,
            "refundable": max(row["paid"] - row["refunded"], 0),
            "address": Address.model_validate(row),
            "lines": [OrderLine.model_validate(line) for line in lines],
        }
    )


def _locked_order(connection: Connection, order_id: str) -> Order:
    connection.execute("SELECT 1 FROM support.orders WHERE id = %s FOR UPDATE", [order_id])
    order = _read_order(connection, order_id)
    if order is None:
        raise ShopError("not_found", f"There is no order {order_id}.", "Check the order's number.")
    return order


def _refuse_unless_processing(order: Order) -> None:
    if order.status == "cancelled":
        raise ShopError("already_cancelled", f"Order {order.id} is cancelled already.", "Tell the customer.")
    if order.status != "processing":
        raise ShopError(
            "already_shipped",
            f"Order {order.id} has left the warehouse: it is {order.status}.",
            "Tell the customer that a return is possible after delivery.",
        )


def _refund_by_key(connection: Connection, key: str) -> DictRow | None:
    return connection.execute(
        "SELECT id::text, order_id, amount FROM support.refunds WHERE idempotency_key = %s", [key]
    ).fetchone()


def _repeated(order: Order, earlier: dict[str, Any], amount: str) -> Refund:
    if earlier["order_id"] != order.id or two_places(earlier["amount"]) != amount:
        raise ShopError(
            "key_reused",
            "The idempotency key of this call belongs to another refund.",
            "Ask for the refund in a call of its own.",
        )
    return Refund(
        id=earlier["id"],
        order_id=order.id,
        amount=amount,
        currency=order.currency,
        still_refundable=order.refundable,
        repeated=True,
    )


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def _one(cursor: psycopg.Cursor[DictRow]) -> DictRow:
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("The database returned no row where it always returns one.")
    return row
