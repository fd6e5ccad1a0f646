"""Create the shop's tables and fill them: `python -m support.seed`. Running it again changes nothing.

The tables belong to the role of SUPPORT_DATABASE_OWNER_URL or DATABASE_OWNER_URL; the role that the agent connects as
(SUPPORT_DATABASE_URL or DATABASE_URL) is granted what the tools need and no more.
"""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from support.store import database_url
from support.tickets import Ticket, load_tickets

SCHEMA = Path(__file__).with_name("schema.sql")
SHOP = Path(__file__).with_name("shop.json")

type Row = dict[str, Any]

_INSERTS = {
    "customers": """INSERT INTO support.customers (id, name, email, since)
        VALUES (%(id)s, %(name)s, %(email)s, %(since)s) ON CONFLICT (id) DO NOTHING""",
    "orders": """INSERT INTO support.orders (id, customer_id, status, placed_on, delivered_on, tracking, currency,
            shipping_fee, paid, recipient, street, postal_code, city, country)
        VALUES (%(id)s, %(customer)s, %(status)s, %(placed_on)s, %(delivered_on)s, %(tracking)s, %(currency)s,
            %(shipping_fee)s, %(paid)s, %(recipient)s, %(street)s, %(postal_code)s, %(city)s, %(country)s)
        ON CONFLICT (id) DO NOTHING""",
    "order_lines": """INSERT INTO support.order_lines (order_id, line, title, quantity, unit_price)
        VALUES (%(order_id)s, %(line)s, %(title)s, %(quantity)s, %(unit_price)s) ON CONFLICT (order_id, line) DO NOTHING""",
    "refunds": """INSERT INTO support.refunds (order_id, amount, reason, idempotency_key)
        VALUES (%(order_id)s, %(amount)s, %(reason)s, %(key)s) ON CONFLICT (idempotency_key) DO NOTHING""",
    "tickets": """INSERT INTO support.tickets (id, sender, received_on, subject, body)
        VALUES (%(id)s, %(sender)s, %(received_on)s, %(subject)s, %(body)s) ON CONFLICT (id) DO NOTHING""",
}

_GRANTS = """
    GRANT USAGE ON SCHEMA support TO {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA support TO {role};
    GRANT INSERT ON support.refunds TO {role};
    GRANT UPDATE ON support.orders, support.tickets TO {role};
"""


def seed(url: str, *, role: str | None = None, shop: Row | None = None, tickets: list[Ticket] | None = None) -> None:
    """Create and fill the tables in the database at `url`, and let `role` use them.

    `shop` and `tickets` default to the files beside this module. Rows that exist stay as they are.
    """
    shop = shop or json.loads(SHOP.read_bytes())
    tickets = load_tickets() if tickets is None else tickets
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA.read_bytes())
        cursor.executemany(_INSERTS["customers"], shop["customers"])
        cursor.executemany(_INSERTS["orders"], list(_orders(shop)))
        cursor.executemany(_INSERTS["order_lines"], list(_lines(shop)))
        cursor.executemany(_INSERTS["refunds"], list(_refunds(shop)))
        cursor.executemany(_INSERTS["tickets"], [ticket.model_dump() for ticket in tickets])
        if role:
            cursor.execute(SQL(_GRANTS).format(role=Identifier(role)))


def _orders(shop: Row) -> Iterator[Row]:
    customers = {customer["id"]: customer for customer in shop["customers"]}
    for order in shop["orders"]:
        customer = customers[order["customer"]]
        street, postal_code, city, country = customer["address"].split("|")
        total = sum((Decimal(price) * quantity for _, quantity, price in order["lines"]), Decimal(order["shipping_fee"]))
        yield {
            "delivered_on": None,
            "tracking": None,
            "paid": total,
            **order,
            "recipient": customer["name"],
            "street": street,
            "postal_code": postal_code,
            "city": city,
            "country": country,
        }


def _lines(shop: Row) -> Iterator[Row]:
    for order in shop["orders"]:
        for line, (title, quantity, price) in enumerate(order["lines"], start=1):
            yield {"order_id": order["id"], "line": line, "title": title, "quantity": quantity, "unit_price": price}


def _refunds(shop: Row) -> Iterator[Row]:
    for order in shop["orders"]:
        for number, (amount, reason) in enumerate(order.get("refunds", []), start=1):
            # A key of its own lets a second seeding recognise the refund.
            yield {"order_id": order["id"], "amount": amount, "reason": reason, "key": f"seed-{order['id']}-{number}"}


def main() -> None:
    """Seed the database that the environment names."""
    app_url = database_url()
    owner_url = os.environ.get("SUPPORT_DATABASE_OWNER_URL") or os.environ.get("DATABASE_OWNER_URL") or app_url
    seed(owner_url, role=str(conninfo_to_dict(app_url).get("user") or "") or None)
    print("The support tables are ready.")


if __name__ == "__main__":
    main()
