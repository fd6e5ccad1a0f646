"""The desk's own words about an action, made from its real arguments."""

from decimal import Decimal

import pytest

from approvals.models import Approval
from approvals.web import display


def an_approval(action="issue_refund", args=None, asked=None, **facts):
    from agentdesk.digests import encode

    args = {"order_id": "48102", "amount": "240.00", "currency": "EUR"} if args is None else args
    stored = {"args": encode(args), "asked_args": encode(args if asked is None else asked)}
    return Approval(action=action, agent="support", **stored, **facts)


@pytest.mark.parametrize(
    ("action", "args", "words"),
    [
        (
            "issue_refund",
            {"order_id": "48102", "amount": "1860.00", "currency": "EUR"},
            "Issue refund 1,860.00 EUR for order 48102",
        ),
        ("issue_refund", {"amount": 1860, "currency": "USD"}, "Issue refund 1,860.00 USD"),
        ("issue_refund", {"amount": Decimal("0.5")}, "Issue refund 0.50"),
        ("issue_refund", {"amount": "a lot", "order_id": "7"}, "Issue refund for order 7"),
        ("issue_refund", {"amount": True}, "Issue refund"),
        ("issue_refund", {"amount": "NaN"}, "Issue refund"),
        ("cancel_order", {"order_id": "48391"}, "Cancel order 48391"),
        ("sendEmail", {"to": "edda@example.com", "subject": "Late"}, "Send email to edda@example.com"),
        ("escalate_ticket", {"reason": "x", "ticket_id": 12}, "Escalate ticket 12"),
        ("approve", {}, "Approve"),
        ("send_email", {"to": "x" * 61}, "Send email"),
        ("send_email", {"to": "a\nRefund 9 EUR"}, "Send email"),
    ],
)
def test_it_says_verb_and_object(action, args, words):
    assert display.sentence(an_approval(action, args)) == words


def test_it_names_the_object_alone_for_buttons():
    assert display.object_of(an_approval()) == "refund 240.00 EUR"


@pytest.mark.parametrize(
    ("action", "long", "short"),
    [
        ("cancel_order", "cancellation of order", "cancellation"),
        ("change_address", "change of address", "change"),
        ("send_email", "email", "email"),
        ("escalate", "escalation", "escalation"),
        ("ping", "ping", "ping"),
        ("interrupt:ask", "as asked", "answer"),
    ],
)
def test_it_does_not_call_a_cancellation_an_order(action, long, short):
    approval = an_approval(action, {"to": "x"})
    assert (display.object_of(approval), display.noun_of(approval)) == (long, short)


def test_it_tells_alike_actions_apart_by_what_the_sentence_leaves_out():
    args = {"order_id": "1", "amount": "5.00", "currency": "EUR", "reason": "paid twice", "note": "x" * 61, "flag": "ab"}
    assert display.differs(an_approval(args=args)) == ["paid twice"]


def test_it_puts_the_deciding_arguments_first_and_marks_them():
    args = {"note": "n", "currency": "EUR", "amount": "240.00", "order_id": "1"}
    schema = {"properties": {}, "required": ["order_id", "amount", "currency"]}
    shown = display.arguments(an_approval(args=args, args_schema=schema))
    assert [argument.name for argument in shown] == ["amount", "order_id", "currency", "note"]
    assert [argument.name for argument in shown if argument.is_key] == ["amount", "order_id"]


def test_it_says_where_each_value_comes_from():
    schema = {"properties": {"currency": {"default": "EUR"}}}
    args = {"amount": "240.00", "order_id": "48102", "currency": "EUR", "reason": "damaged"}
    asked = {**args, "amount": "250.00"}
    shown = display.arguments(an_approval(args=args, asked=asked, args_schema=schema, subject="About order 48102."))
    origins = {argument.name: argument.origin for argument in shown}
    assert origins == {"amount": "person", "order_id": "subject", "currency": "default", "reason": "agent"}
    assert shown[0].asked == "250.00"


def test_it_does_not_take_a_part_of_a_longer_word_for_the_value():
    shown = display.arguments(an_approval(args={"order_id": "481"}, subject="About order 48102."))
    assert shown[0].origin == "agent"


def test_it_shows_long_text_and_structures_in_boxes_of_their_own():
    args = {"body": "line\nline", "address": {"city": "Torino"}, "notify": True, "cc": None}
    shapes = {argument.name: (argument.shape, argument.text) for argument in display.arguments(an_approval("send_email", args))}
    assert shapes["body"] == ("long", "line\nline")
    assert shapes["address"][0] == "json"
    assert shapes["notify"] == ("text", "yes")
    assert shapes["cc"] == ("text", "none")


def test_it_shows_arguments_that_are_no_mapping():
    assert [argument.text for argument in display.arguments(an_approval("interrupt:ask", ["a"], ["a"]))] == ['[\n  "a"\n]']
