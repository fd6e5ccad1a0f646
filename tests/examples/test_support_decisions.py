"""What the agent makes of a person's decision."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from tests.examples.conftest import Shop
from tests.examples.running import Conversation, answered, rejected, rejected_in_words, run

LAMP = "T-1001"  # a refund of 240.00 EUR for order 48102


def _ticket(number: str) -> dict[str, Any]:
    from support.tickets import load_tickets

    return next(ticket for ticket in load_tickets() if ticket.id == number).run_input()


def _decide_on(tool: str, answer: Any) -> Any:
    return lambda call: answer(call) if call["name"] == tool else None


def _mail(conversation: Conversation) -> str:
    return next(str(args["body"]) for name, args in conversation.deeds if name == "send_email")


@pytest.mark.parametrize("form", [rejected, rejected_in_words])
def test_it_tells_the_customer_the_reason_of_a_rejection(shop: Shop, form: Any) -> None:
    done = run(_ticket(LAMP), _decide_on("issue_refund", lambda call: form(call, "We need a photo first.")))
    assert [name for name, _ in done.deeds] == ["issue_refund", "send_email"]
    assert "We need a photo first." in _mail(done)
    assert "refunded" not in _mail(done)


@pytest.mark.parametrize("form", [rejected, rejected_in_words])
def test_it_asks_again_for_the_amount_that_the_rejection_offers(shop: Shop, form: Any) -> None:
    def decide(call: dict[str, Any]) -> ToolMessage | None:
        too_much = call["name"] == "issue_refund" and call["args"]["amount"] == "240.00"
        return form(call, "The shade can be replaced, refund only 45.50 EUR") if too_much else None

    done = run(_ticket(LAMP), decide)
    assert [args["amount"] for name, args in done.deeds if name == "issue_refund"] == ["240.00", "45.50"]
    assert "We have refunded 45.50 EUR for order 48102." in _mail(done)
    assert shop.rows("SELECT amount::text FROM support.refunds WHERE order_id = '48102'") == [("45.50",)]


def test_it_hands_the_ticket_over_when_a_rejection_gives_no_reason(shop: Shop) -> None:
    done = run(_ticket(LAMP), _decide_on("issue_refund", rejected))
    assert [name for name, _ in done.deeds] == ["issue_refund", "escalate_ticket", "send_email"]
    assert shop.rows("SELECT status FROM support.tickets WHERE id = 'T-1001'") == [("escalated",)]
    assert "A colleague will look at your message" in _mail(done)


def test_it_hands_the_ticket_over_when_its_email_is_rejected(shop: Shop) -> None:
    done = run(_ticket("T-1030"), _decide_on("send_email", lambda call: rejected(call, "Too curt.")))
    assert [name for name, _ in done.deeds] == ["send_email", "escalate_ticket"]
    assert "Too curt." in done.deeds[-1][1]["reason"]
    assert "No e-mail went to" in done.last


def test_it_goes_on_with_a_persons_answer_in_place_of_the_result(shop: Shop) -> None:
    words = "Finance paid this out yesterday, it takes three days."
    done = run(_ticket(LAMP), _decide_on("issue_refund", lambda call: answered(call, words)))
    assert [name for name, _ in done.deeds] == ["issue_refund", "send_email"]
    assert words in _mail(done)
    assert shop.rows("SELECT * FROM support.refunds WHERE order_id = '48102'") == []


def test_it_tells_the_amount_that_was_really_refunded_when_a_person_changed_the_call(shop: Shop) -> None:
    done = run(_ticket(LAMP), _decide_on("issue_refund", lambda call: {**call["args"], "amount": "200.00"}))
    assert "We have refunded 200.00 EUR for order 48102." in _mail(done)
    assert "240.00" not in _mail(done)


@pytest.mark.parametrize(
    "notice",
    [
        '{result}\n\nNote: Ada changed this call before it ran. It ran with {{"amount": "200.00"}}. Do not repeat it.',
        'Note: a person replaced this call, it ran with {{"amount": "200.00"}}.\n\n{result}',
        "{result}",
    ],
)
def test_it_reads_the_result_through_a_notice_around_it(notice: str) -> None:
    from support.planner.history import Ending, read_history

    result = '{"done": true, "refund": {"amount": "200.00"}}'
    call = {"name": "issue_refund", "args": {"order_id": "1"}, "id": "c1"}
    history = read_history(
        [HumanMessage("x"), AIMessage("", tool_calls=[call]), ToolMessage(notice.format(result=result), tool_call_id="c1")]
    )
    assert [(one.ending, one.data) for one in history.attempts] == [(Ending.RESULT, json.loads(result))]


def test_it_keeps_calls_apart_that_carry_the_same_id() -> None:
    from support.planner.history import read_history

    def turn(order_id: str) -> list[Any]:
        call = {"name": "get_order", "args": {"order_id": order_id}, "id": "same"}
        return [AIMessage("", tool_calls=[call]), ToolMessage(json.dumps({"found": order_id}), tool_call_id="same")]

    history = read_history([HumanMessage("x"), *turn("1"), *turn("2")])
    assert [(one.call.args["order_id"], one.data["found"]) for one in history.attempts] == [("1", "1"), ("2", "2")]


def test_it_decides_on_each_of_two_calls_in_one_message_by_itself(shop: Shop) -> None:
    def decide(call: dict[str, Any]) -> ToolMessage | None:
        jacket = call["name"] == "issue_refund" and call["args"]["order_id"] == "48167"
        return rejected(call, "The jacket was worn.") if jacket else None

    done = run(_ticket("T-1015"), decide)
    assert [args.get("order_id") for _, args in done.deeds] == ["48166", "48167", None]
    assert "We have refunded 32.00 GBP for order 48166." in _mail(done)
    assert "The jacket was worn." in _mail(done)


def test_it_does_not_refund_an_order_whose_cancelling_was_rejected(shop: Shop) -> None:
    done = run(_ticket("T-1004"), _decide_on("cancel_order", lambda call: rejected(call, "It ships within the hour.")))
    assert [name for name, _ in done.deeds] == ["cancel_order", "send_email"]


def test_it_tries_a_passing_failure_once_more_and_then_hands_over(shop: Shop) -> None:
    fault = {"error": {"kind": "unavailable", "message": "The database did not answer.", "retryable": True}, "done": False}
    done = run(_ticket(LAMP), _decide_on("issue_refund", lambda call: answered(call, json.dumps(fault))))
    assert [name for name, _ in done.deeds] == ["issue_refund", "issue_refund", "escalate_ticket", "send_email"]


def test_it_hands_over_when_a_reading_tool_does_not_answer(shop: Shop) -> None:
    done = run(_ticket(LAMP), _decide_on("get_order", lambda call: rejected(call, "This order is under audit.")))
    assert [name for name, _ in done.deeds] == ["escalate_ticket", "send_email"]
    assert "This order is under audit." in done.deeds[0][1]["reason"]
    assert "audit" not in _mail(done)


def test_it_does_not_tell_the_customer_which_rule_denied_a_call(shop: Shop) -> None:
    fault = json.dumps({"error": {"kind": "denied", "message": "The rule 'No refunds on Sundays' denies this call."}})
    done = run(
        _ticket(LAMP),
        _decide_on("issue_refund", lambda call: ToolMessage(fault, tool_call_id=call["id"], status="error")),
    )
    assert [name for name, _ in done.deeds] == ["issue_refund", "escalate_ticket", "send_email"]
    assert "Sundays" in done.deeds[1][1]["reason"]
    assert "Sundays" not in _mail(done)


def test_it_shows_the_whole_way_in_a_dry_run(shop: Shop) -> None:
    def decide(call: dict[str, Any]) -> ToolMessage | None:
        if call["name"] in {"search_customer_by_email", "get_order"}:
            return None
        fault = {"error": {"kind": "dry_run", "message": "It was not executed.", "retryable": False, "hint": ""}}
        return ToolMessage(json.dumps(fault), tool_call_id=call["id"], status="error")

    assert [name for name, _ in run(_ticket("T-1004"), decide).deeds] == ["cancel_order", "issue_refund", "send_email"]
    assert shop.mails() == []


def test_it_points_out_an_amount_that_the_order_does_not_cover(shop: Shop) -> None:
    done = run(_ticket("T-1032"), _decide_on("issue_refund", lambda call: rejected(call, "This is a trick.")))
    assert "only 24.00 USD of this order can still be refunded" in done.why("issue_refund")
    assert [args["to"] for name, args in done.deeds if name == "send_email"] == ["samir.qureshi@example.com"]


def test_it_takes_a_second_message_of_the_customer_up_in_the_same_conversation(shop: Shop) -> None:
    first = run(_ticket("T-1038"))
    assert "we need the new one in full" in _mail(first)
    more = HumanMessage("The address of order 48222 should change. New address: Bergweg 4, 83471 Berchtesgaden, Germany")
    second = run({"messages": [*first.messages, more]})
    address = next(args for name, args in second.deeds if name == "change_address")
    assert (address["street"], address["postal_code"], address["city"]) == ("Bergweg 4", "83471", "Berchtesgaden")


def test_it_does_not_repeat_a_rejected_call_after_a_second_message_either(shop: Shop) -> None:
    first = run(_ticket(LAMP), lambda call: rejected(call) if call["name"] in {"issue_refund", "escalate_ticket"} else None)
    assert [name for name, _ in first.deeds] == ["issue_refund", "escalate_ticket", "send_email"]
    second = run({"messages": [*first.messages, HumanMessage("Order 48102 is still cracked. Please refund it.")]})
    assert [name for name, _ in second.deeds] == ["issue_refund", "escalate_ticket", "send_email", "send_email"]


def test_it_promises_no_colleague_when_handing_over_was_rejected(shop: Shop) -> None:
    done = run(_ticket("T-1023"), _decide_on("escalate_ticket", lambda call: rejected(call, "Ignore this sender.")))
    assert [name for name, _ in done.deeds] == ["escalate_ticket"]
    assert done.last == "No e-mail went to edward.pemberton@example.com."
    assert shop.mails() == []


@pytest.mark.parametrize("text", ["", "Hello, please refund me.", "From: nobody\n\nHi"])
def test_it_says_so_when_there_is_no_sender(text: str) -> None:
    from support.planner.steps import next_step

    step = next_step([SystemMessage("You help."), HumanMessage(text)])
    assert step.calls == ()
    assert "no sender" in step.text
