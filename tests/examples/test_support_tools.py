"""The tools against real tables: what they do, and how they say what they cannot do."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from langchain_core.messages import ToolMessage
from psycopg_pool import PoolTimeout

from tests.examples.conftest import Shop
from tests.services import SUPERUSER_URL, worker_name

type Call = Callable[..., dict[str, Any]]

REFUND = {"order_id": "48102", "amount": "100.00", "currency": "EUR", "reason": "Broken"}
ADDRESS = {"recipient": "R", "street": "S 1", "postal_code": "1000", "city": "C", "country": "Norway"}


def test_it_finds_a_customer_whatever_the_case_of_the_address(call: Call) -> None:
    found = call("search_customer_by_email", email=" Mara.Lindqvist@Example.com")
    assert found["customer"] == {
        "id": "C-1001",
        "name": "Mara Lindqvist",
        "email": "mara.lindqvist@example.com",
        "since": "2023-04-11",
    }
    assert call("search_customer_by_email", email="nobody@example.com") == {"found": False}


def test_it_lists_a_customers_orders_newest_first(call: Call) -> None:
    listed = call("list_orders", customer_id="C-1021")
    assert [(order["id"], order["titles"]) for order in listed["orders"]] == [
        ("48222", ["Milk frother"]),
        ("48051", ["Coffee machine"]),
    ]
    assert call("list_orders", customer_id="C-0") == {"found": False, "orders": []}


def test_it_reads_an_order_with_lines_payment_and_refunds(call: Call) -> None:
    order = call("get_order", order_id="48119")["order"]
    assert {key: order[key] for key in ("total", "paid", "refunded", "refundable", "shipping_fee", "delivered_on")} == {
        "total": "295.80",
        "paid": "295.80",
        "refunded": "0.00",
        "refundable": "295.80",
        "shipping_fee": "9.90",
        "delivered_on": "2026-11-11",
    }
    assert [(line["title"], line["quantity"], line["amount"]) for line in order["lines"]] == [
        ("Linen curtain", 2, "240.00"),
        ("Curtain rod", 1, "45.90"),
    ]
    assert order["address"]["city"] == "Porto"
    assert call("get_order", order_id="1") == {"found": False}


def test_it_refunds_and_keeps_count_of_what_is_left(call: Call, shop: Shop) -> None:
    refund = call("issue_refund", **REFUND)["refund"]
    assert (refund["amount"], refund["still_refundable"], refund["repeated"]) == ("100.00", "140.00", False)
    again = call("issue_refund", **{**REFUND, "amount": "139.99"})["refund"]
    assert again["still_refundable"] == "0.01"
    assert call("get_order", order_id="48102")["order"]["refunded"] == "239.99"
    assert shop.rows("SELECT count(*) FROM support.refunds WHERE order_id = '48102'") == [(2,)]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"order_id": "1"}, "not_found"),
        ({"amount": "240.01"}, "amount_too_high"),
        ({"currency": "USD"}, "currency_mismatch"),
    ],
)
def test_it_refuses_a_refund_that_cannot_be_right(call: Call, shop: Shop, change: dict[str, str], kind: str) -> None:
    result = call("issue_refund", **{**REFUND, **change})
    assert (result["done"], result["error"]["kind"], result["error"]["retryable"]) == (False, kind, False)
    assert result["error"]["message"]
    assert result["error"]["hint"]
    assert shop.rows("SELECT * FROM support.refunds WHERE order_id = '48102'") == []


@pytest.mark.parametrize(("given", "read"), [(45, "45.00"), (45.5, "45.50"), ("45", "45.00"), ("45.5", "45.50")])
def test_it_reads_an_amount_however_a_model_writes_it(call: Call, given: Any, read: str) -> None:
    assert call("issue_refund", **{**REFUND, "amount": given})["refund"]["amount"] == read


@pytest.mark.parametrize("amount", ["-1.00", "1.001", "1e3", "", "all", True, None, "0x10", "１.00"])
def test_it_does_not_start_with_an_amount_that_is_none(call: Call, shop: Shop, amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        call("issue_refund", **{**REFUND, "amount": amount})
    assert shop.rows("SELECT * FROM support.refunds WHERE order_id = '48102'") == []


def test_it_refuses_to_refund_nothing(call: Call) -> None:
    assert call("issue_refund", **{**REFUND, "amount": "0.00"})["error"]["kind"] == "amount_too_low"


def test_it_refunds_once_for_one_key(call: Call, shop: Shop) -> None:
    first = call("issue_refund", key="run-1", **REFUND)["refund"]
    second = call("issue_refund", key="run-1", **REFUND)["refund"]
    assert (second["id"], second["repeated"], second["still_refundable"]) == (first["id"], True, "140.00")
    assert shop.rows("SELECT count(*) FROM support.refunds WHERE order_id = '48102'") == [(1,)]


def test_it_refuses_a_key_that_belongs_to_another_refund(call: Call) -> None:
    call("issue_refund", key="run-1", **REFUND)
    assert call("issue_refund", key="run-1", **{**REFUND, "amount": "5.00"})["error"]["kind"] == "key_reused"
    other = {"order_id": "48119", "amount": "100.00", "currency": "EUR", "reason": "Broken"}
    assert call("issue_refund", key="run-1", **other)["error"]["kind"] == "key_reused"


def test_it_never_pays_back_more_than_was_paid_when_calls_race(call: Call, shop: Shop) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: call("issue_refund", **REFUND), range(8)))
    assert sorted(result["done"] for result in results) == [False] * 6 + [True] * 2
    assert shop.rows("SELECT sum(amount)::text FROM support.refunds WHERE order_id = '48102'") == [("200.00",)]


def test_it_pays_once_when_calls_with_one_key_race(call: Call, shop: Shop) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: call("issue_refund", key="run-1", **REFUND), range(8)))
    assert sum(result["refund"]["repeated"] for result in results) == 7
    assert shop.rows("SELECT sum(amount)::text FROM support.refunds WHERE order_id = '48102'") == [("100.00",)]


def test_it_changes_the_address_until_the_order_ships(call: Call) -> None:
    changed = call("change_address", order_id="48140", **ADDRESS)
    assert (changed["done"], changed["address"], changed["previous"]["city"]) == (True, ADDRESS, "Berlin")
    assert call("get_order", order_id="48140")["order"]["address"] == ADDRESS
    assert call("change_address", order_id="48201", **ADDRESS)["error"]["kind"] == "already_shipped"
    assert call("change_address", order_id="1", **ADDRESS)["error"]["kind"] == "not_found"


def test_it_cancels_until_the_order_ships(call: Call) -> None:
    assert call("cancel_order", order_id="47990", reason="Asked")["refundable"] == "675.00"
    assert call("get_order", order_id="47990")["order"]["status"] == "cancelled"
    assert call("cancel_order", order_id="47990", reason="Asked")["error"]["kind"] == "already_cancelled"
    assert call("cancel_order", order_id="48201", reason="Asked")["error"]["kind"] == "already_shipped"
    assert call("change_address", order_id="47990", **ADDRESS)["error"]["kind"] == "already_cancelled"
    assert call("cancel_order", order_id="1", reason="Asked")["error"]["kind"] == "not_found"


def test_it_escalates_a_ticket(call: Call, shop: Shop) -> None:
    assert call("escalate_ticket", ticket_id="T-1001", reason="Threats", urgency="high")["done"] is True
    row = "SELECT status, urgency, escalation_reason FROM support.tickets WHERE id = 'T-1001'"
    assert shop.rows(row) == [("escalated", "high", "Threats")]
    assert call("escalate_ticket", ticket_id="T-0", reason="x", urgency="low")["error"]["kind"] == "not_found"


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("search_customer_by_email", {"email": "mara.lindqvist@example.com"}),
        ("list_orders", {"customer_id": "C-1001"}),
        ("get_order", {"order_id": "48102"}),
        ("issue_refund", REFUND),
        ("change_address", {"order_id": "48140", **ADDRESS}),
        ("cancel_order", {"order_id": "47990", "reason": "Asked"}),
        ("escalate_ticket", {"ticket_id": "T-1001", "reason": "x", "urgency": "low"}),
    ],
)
def test_it_reports_a_database_that_fails(call: Call, shop: Shop, tool: str, args: dict[str, Any]) -> None:
    with psycopg.connect(shop.owner_url) as connection:
        connection.execute("DROP SCHEMA support CASCADE")
    error = call(tool, **args)["error"]
    assert (error["kind"], error["retryable"]) == ("unavailable", True)
    assert "UndefinedTable" in error["message"]


def test_it_does_not_claim_to_know_what_became_of_a_refund_when_the_connection_is_lost(call: Call, shop: Shop) -> None:
    with psycopg.connect(shop.owner_url) as blocker, ThreadPoolExecutor(1) as thread:
        blocker.execute("SELECT 1 FROM support.orders WHERE id = '48102' FOR UPDATE")
        refund = thread.submit(call, "issue_refund", **REFUND)
        _terminate_the_waiting_backend()
        error = refund.result(timeout=20)["error"]
    assert (error["kind"], error["retryable"]) == ("outcome_unknown", False)


def test_it_lets_a_deed_be_tried_again_when_no_connection_was_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    from support.tools import cancel_order

    def no_pool() -> None:
        raise PoolTimeout("couldn't get a connection")

    monkeypatch.setattr("support.store.pool", no_pool)
    error = cancel_order("47990", "Asked")["error"]
    assert (error["kind"], error["retryable"]) == ("unavailable", True)


def _terminate_the_waiting_backend() -> None:
    waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with psycopg.connect(os.environ[SUPERUSER_URL], autocommit=True) as connection:
        for _ in range(200):
            if connection.execute(waiting, [f"support_{worker_name()}"]).fetchall() == [(True,)]:
                return
            time.sleep(0.05)
    raise AssertionError("no backend waited for the locked order")


def test_it_gives_each_tool_a_form_that_people_can_read() -> None:
    from support.tools import TOOLS

    for tool in TOOLS:
        schema: Any = tool.tool_call_schema.model_json_schema()  # type: ignore[union-attr]
        assert tool.description.endswith(".")
        assert "config" not in schema["properties"]
        for field in schema["properties"].values():
            assert field["title"]
            assert field["description"]
            assert field["type"] == "string"
        if "amount" in schema["properties"]:
            # LangChain rebuilds the schema; without the pattern nobody could tell that this text is money.
            assert schema["properties"]["amount"]["pattern"] == r"^[0-9]{1,9}\.[0-9]{2}$"
        assert tool.metadata is not None
        assert set(tool.metadata) - {"results", "data", "dry_run", "undo"} == {"effect", "risk", "egress", "idempotent"}
    assert {tool.name for tool in TOOLS if tool.metadata and tool.metadata["effect"] == "read"} == {
        "search_customer_by_email",
        "list_orders",
        "get_order",
    }


def test_it_gives_results_to_a_model_as_json(call: Call, shop: Shop) -> None:
    from support.tools import TOOLS, get_order

    assert get_order("48102") == call("get_order", order_id="48102")
    tool = next(tool for tool in TOOLS if tool.name == "get_order")
    message = tool.invoke({"name": "get_order", "args": {"order_id": "48102"}, "id": "c1", "type": "tool_call"})
    assert isinstance(message, ToolMessage)
    assert str(message.content).startswith('{"found": true, "order": {"id": "48102"')


def test_it_seeds_again_without_changing_anything(call: Call, shop: Shop) -> None:
    from support.seed import seed

    call("issue_refund", **REFUND)
    call("cancel_order", order_id="47990", reason="Asked")
    tables = ("customers", "orders", "order_lines", "refunds", "tickets")
    before = {table: sorted(map(str, shop.rows(f"SELECT * FROM support.{table}"))) for table in tables}  # noqa: S608
    seed(shop.owner_url, role=shop.app_role)
    after = {table: sorted(map(str, shop.rows(f"SELECT * FROM support.{table}"))) for table in tables}  # noqa: S608
    assert before == after
    assert all(before.values())


def test_it_lets_the_agents_role_do_no_more_than_the_tools_need(shop: Shop) -> None:
    from support.store import database_url

    for statement in (
        "DELETE FROM support.refunds",
        "UPDATE support.refunds SET amount = 1",
        "UPDATE support.customers SET name = 'x'",
        "INSERT INTO support.orders (id) VALUES ('x')",
        "TRUNCATE support.tickets",
        "CREATE TABLE support.more (id int)",
    ):
        with psycopg.connect(database_url()) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_it_says_what_to_set_when_no_database_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.store import database_url

    monkeypatch.delenv("SUPPORT_DATABASE_URL")
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(RuntimeError, match="SUPPORT_DATABASE_URL or DATABASE_URL"):
        database_url()


def test_a_dry_run_says_what_would_happen_and_writes_nothing(call: Call, shop: Shop) -> None:
    from support.tools import would_change_address, would_refund

    before = call("get_order", order_id="48102")["order"]
    assert would_refund(**REFUND)["refund"] == {
        "id": "", "order_id": "48102", "amount": "100.00", "currency": "EUR",
        "still_refundable": f"{float(before['refundable']) - 100:.2f}", "repeated": False,
    }  # fmt: skip
    assert would_refund(**{**REFUND, "amount": "99999.00"})["error"]["kind"] == "amount_too_high"
    assert would_change_address("48201", **ADDRESS)["error"]["kind"] == "already_shipped"
    elsewhere = call("get_order", order_id="48140")["order"]
    would = would_change_address("48140", **ADDRESS)
    assert (would["address"], would["previous"], would["done"]) == (ADDRESS, elsewhere["address"], False)
    assert [call("get_order", order_id=number)["order"] for number in ("48102", "48140")] == [before, elsewhere]


def test_a_changed_address_is_changed_back(call: Call, shop: Shop) -> None:
    from support.results import Address
    from support.tools import undo_change_address

    before = call("get_order", order_id="48140")["order"]["address"]
    changed = call("change_address", order_id="48140", **ADDRESS)
    undone = undo_change_address("48140", Address.model_validate(changed["previous"]))
    assert (undone["done"], undone["address"]) == (True, before)
    assert call("get_order", order_id="48140")["order"]["address"] == before
