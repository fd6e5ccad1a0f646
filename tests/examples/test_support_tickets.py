"""All tickets from beginning to end, as they are and rewritten."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLE, Shop
from tests.examples.rewriting import Rewriter
from tests.examples.running import READS, Conversation, rejected, rejected_in_words, run

# What each ticket leads to, in order; an e-mail with the paragraphs between greeting and signature.
EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
SHOP = json.loads((EXAMPLE / "support" / "shop.json").read_text(encoding="utf-8"))
TICKETS = json.loads((EXAMPLE / "support" / "tickets.json").read_text(encoding="utf-8"))


def _outline(conversation: Conversation) -> list[list[Any]]:
    """The calls that change something, without the wording that no one relies on."""
    outlined = []
    for name, args in conversation.deeds:
        kept = {key: value for key, value in args.items() if key not in {"reason", "subject", "body"}}
        if name == "send_email":
            kept["says"] = args["body"].split("\n\n")[1:-1]
        outlined.append([name, kept])
    return outlined


def _run_all(tickets: list[dict[str, Any]]) -> dict[str, Conversation]:
    from support.tickets import Ticket

    return {ticket["id"]: run(Ticket.model_validate(ticket).run_input()) for ticket in tickets}


def test_it_has_at_least_forty_tickets_that_are_all_different() -> None:
    assert len({ticket["id"] for ticket in TICKETS}) >= 40
    assert len({ticket["body"] for ticket in TICKETS}) == len(TICKETS)
    assert set(EXPECTED) == {ticket["id"] for ticket in TICKETS}


def test_it_works_through_all_tickets(shop: Shop) -> None:
    conversations = _run_all(TICKETS)
    assert {number: _outline(one) for number, one in conversations.items()} == EXPECTED
    for number, conversation in conversations.items():
        assert conversation.calls[0][0] == "search_customer_by_email", number
        for name, _ in conversation.deeds:
            assert len(conversation.why(name).split()) >= 5, f"{number} gives no reason for {name}"
    mails = shop.mails()
    assert sorted(str(mail["To"]) for mail in mails) == sorted(
        args["to"] for calls in EXPECTED.values() for name, args in calls if name == "send_email"
    )
    # The one refund that the shop refused is the invented amount; all others are in the books, once.
    asked = [args for calls in EXPECTED.values() for name, args in calls if name == "issue_refund"]
    booked = shop.rows("SELECT order_id, amount::text FROM support.refunds WHERE idempotency_key IS NULL")
    assert sorted(booked) == sorted((args["order_id"], args["amount"]) for args in asked if args["amount"] != "9999.00")
    overdrawn = "SELECT o.id FROM support.orders o WHERE paid < (SELECT sum(amount) FROM support.refunds WHERE order_id = o.id)"
    assert shop.rows(overdrawn) == []


@pytest.mark.parametrize("seed", [11, 12])
def test_it_acts_on_the_new_names_ids_and_amounts_when_all_of_them_change(shop: Shop, seed: int) -> None:
    from support.tickets import Ticket

    rewriter = Rewriter(seed, *(json.dumps(data, ensure_ascii=False) for data in (SHOP, TICKETS, EXPECTED)))
    tickets = rewriter.data(TICKETS)
    shop.seed(shop=rewriter.data(SHOP), tickets=[Ticket.model_validate(ticket) for ticket in tickets])
    conversations = _run_all(tickets)
    assert {number: _outline(one) for number, one in conversations.items()} == rewriter.data(EXPECTED)
    said = json.dumps([one.calls for one in conversations.values()], ensure_ascii=False)
    assert [word for word in rewriter.words if word in said] == []


@pytest.mark.parametrize(
    ("form", "reason"),
    [(rejected, ""), (rejected_in_words, "Only 5.00, the rest was agreed by phone"), (rejected, "Not without a photo")],
)
def test_it_never_repeats_a_rejected_call(shop: Shop, form: Any, reason: str) -> None:
    from support.tickets import load_tickets

    for ticket in load_tickets():
        conversation = run(
            ticket.run_input(), lambda call: form(call, reason) if call["name"] not in READS | {"escalate_ticket"} else None
        )
        deeds = [json.dumps(call, sort_keys=True) for call in conversation.deeds]
        assert len(deeds) == len(set(deeds)), ticket.id
        # It does not give up in silence either: a person of the shop gets the ticket.
        assert conversation.deeds[-1][0] == "escalate_ticket" or "colleague" in conversation.last, ticket.id
    assert shop.mails() == []


def test_it_stays_an_ordinary_project_that_knows_nothing_of_the_desk() -> None:
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"agentdesk", "approvals", "runs", "tests"}, path


def test_it_loads_without_a_database_and_without_settings() -> None:
    code = "import support.agent, django.conf as c; assert not c.settings.configured; print(support.agent.graph.name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=EXAMPLE, env={"PATH": ""}, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("support", 0), done.stderr


def test_it_names_its_graph_in_a_langgraph_json_that_leads_to_it() -> None:
    manifest = json.loads((EXAMPLE / "langgraph.json").read_text(encoding="utf-8"))
    path, _, attribute = manifest["graphs"]["support"]["path"].partition(":")
    assert manifest["dependencies"] == ["."]
    assert f"\n{attribute} = " in (EXAMPLE / path).read_text(encoding="utf-8")
