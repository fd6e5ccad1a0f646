"""The example under the desk: unchanged, gated from outside, deciding nothing itself."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from runs.engine import process
from runs.models import Run, ToolCall
from tests.examples.conftest import EXAMPLE, Shop
from tests.runs.engine.conftest import Engine


@pytest.fixture
def desk(committed: None, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    # A graph that was built before the gate was installed has none, and the desk would start none of its tools.
    monkeypatch.delitem(sys.modules, "support.agent", raising=False)
    with override_settings(AGENTS=[str(EXAMPLE / "langgraph.json")]):
        try:
            yield Engine(tmp_path / "effects.jsonl")
        finally:
            process.close()


def _start(desk: Engine, number: str = "T-1001", **options: Any) -> Run:
    from support.tickets import load_tickets

    return desk.start("support", next(one for one in load_tickets() if one.id == number).run_input(), **options)


def _decide(desk: Engine, run: Run, verdict: str, **what: Any) -> Run:
    (approval,) = desk.pending(run)
    desk.decide(approval, verdict, **what)
    return desk.advance(run)


def _approve_all(desk: Engine, run: Run) -> Run:
    while pending := desk.pending(run):
        for approval in pending:
            desk.decide(approval)
        desk.advance(run)
    return run


def test_it_waits_before_a_refund_with_the_agents_reason_and_its_labels(desk: Engine, shop: Shop) -> None:
    run = _approve_reads(desk, _start(desk))
    (approval,) = desk.pending(run)
    assert (approval.action, approval.risk, approval.effect) == ("issue_refund", "high", "irreversible")
    assert "Mara Lindqvist reports a faulty, wrong or missing item of order 48102" in approval.reason
    assert shop.rows("SELECT * FROM support.refunds WHERE order_id = '48102'") == []


def test_it_refunds_what_was_decided_and_says_so(desk: Engine, shop: Shop) -> None:
    run = _approve_reads(desk, _start(desk))
    changed = {"order_id": "48102", "amount": "200.00", "currency": "EUR", "reason": "Shade only"}
    run = _decide(desk, run, "modify", args=changed)
    run = _approve_all(desk, run)
    assert run.status == "succeeded"
    (row,) = shop.rows("SELECT amount::text, reason, idempotency_key FROM support.refunds WHERE order_id = '48102'")
    call = ToolCall.objects.get(run=run, tool="issue_refund")
    assert row == ("200.00", "Shade only", str(call.pk))
    (mail,) = shop.mails()
    assert "We have refunded 200.00 EUR for order 48102." in mail.get_content()


def test_it_reads_the_reason_of_a_rejection(desk: Engine, shop: Shop) -> None:
    run = _approve_reads(desk, _start(desk))
    run = _approve_all(desk, _decide(desk, run, "reject", message="We need a photo first."))
    assert run.status == "succeeded"
    assert shop.rows("SELECT * FROM support.refunds WHERE order_id = '48102'") == []
    (mail,) = shop.mails()
    assert "cannot do it as asked: We need a photo first." in mail.get_content().replace("\n", " ")


def test_it_goes_on_with_the_answer_of_a_person(desk: Engine, shop: Shop) -> None:
    run = _approve_reads(desk, _start(desk))
    run = _approve_all(desk, _decide(desk, run, "respond", answer="Finance paid this out yesterday."))
    assert run.status == "succeeded"
    (mail,) = shop.mails()
    assert "Finance paid this out yesterday." in mail.get_content()


def test_it_changes_nothing_in_a_dry_run(desk: Engine, shop: Shop) -> None:
    run = _approve_all(desk, _start(desk, "T-1004", dry_run=True))
    assert run.status == "succeeded"
    assert shop.mails() == []
    assert shop.rows("SELECT status FROM support.orders WHERE id = '47990'") == [("processing",)]


def _approve_reads(desk: Engine, run: Run) -> Run:
    """Look-ups are asked for too as long as no rule allows them."""
    while (pending := desk.pending(run)) and pending[0].effect == "read":
        for approval in pending:
            desk.decide(approval)
        desk.advance(run)
    return run
