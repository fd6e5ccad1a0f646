"""Graphs of outsiders, one for each family of payloads: started, asked about in the browser, answered by its form, ended."""

import json
import re
from collections.abc import Callable, Generator
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from agentdesk.people.models import User
from approvals.models import Approval, Decision, Rule
from approvals.policy.versions import publish
from runs import lifecycle
from runs.models import Run
from tests.desk import Desk
from tests.e2e.conftest import SOON, act, approve, fact, panel, read_why

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

type Form = Callable[[Page], None]


def send(page: Page) -> None:
    panel(page).get_by_role("button", name="Send the answer").click()


def book_more_seats(page: Page) -> None:
    form = act(page, "Modify")
    form.get_by_label("Seats").fill("3")
    form.get_by_role("button", name="Show the JSON that this sends").click()
    expect(form.get_by_label("The JSON that this sends")).to_contain_text('"seats": "3"')
    form.get_by_role("button", name="Approve with 1 change").click()


def ignore(page: Page) -> None:
    form = act(page, "Reject")
    form.get_by_label("Reason").fill("not now")
    form.get_by_role("button", name="Reject").click()


def review(page: Page) -> None:
    panel(page).get_by_label("Score").fill("9")
    panel(page).get_by_label("Words").fill("fine")
    panel(page).get_by_label("Publish").select_option("Yes")
    send(page)
    expect(panel(page)).to_contain_text("At most 5.")
    panel(page).get_by_label("Score").fill("4")
    send(page)


def transfer_less(page: Page) -> None:
    form = act(page, "Modify")
    form.get_by_label("Amount").fill("30")
    form.get_by_role("button", name="Approve with 1 change").click()


def ship_less(page: Page) -> None:
    form = act(page, "Modify")
    form.get_by_label("Parcels").fill("1")
    sent = shown(form)
    assert (sent["decision"], sent["details"], sent["decided_by"]) == ("modify", {"order": "A-1", "parcels": 1}, "Robin Vale")
    form.get_by_role("button", name="Approve with 1 change").click()
    expect(panel(page, "Outcome")).to_be_visible(timeout=SOON)
    assert str(Decision.objects.latest("decided_at").pk) == sent["decision_id"]


def answer_all(page: Page) -> None:
    panel(page).get_by_label("What is it called?").fill("Tent")
    panel(page).get_by_label("Which colour?").select_option("red")
    panel(page).get_by_label("S", exact=True).check()
    panel(page).get_by_label("L", exact=True).check()
    send(page)


def say_no(page: Page) -> None:
    panel(page).get_by_label("No", exact=True).check()
    panel(page).get_by_role("button", name="Show the JSON that this sends").click()
    expect(panel(page).get_by_label("The JSON that this sends")).to_have_text("false")
    send(page)


def pick(page: Page) -> None:
    panel(page).get_by_label("Friday at noon").check()
    send(page)


def fill_in(page: Page) -> None:
    panel(page).get_by_label("Your address").fill("ada@example.com")
    panel(page).get_by_label("Guests").fill("2")
    send(page)


def correct(page: Page) -> None:
    form = act(page, "Modify")
    form.get_by_label("Subject").fill("Good day")
    form.get_by_role("button", name="Approve with 1 change").click()


def write(page: Page) -> None:
    panel(page).get_by_label("Your answer").fill("It is fine.")
    send(page)


TEA = {"topic": "tea"}
FAMILIES: list[tuple[str, Form, Any]] = [
    ("p-inbox", book_more_seats, "booked 3 seats"),
    ("p-inbox-bare", ignore, {"type": "ignore", "args": None}),
    ("p-pydantic", review, "4/5 fine True"),
    ("p-ag-ui", transfer_less, "sent 30"),
    ("p-ask-user", answer_all, ["Tent", "red", '["S", "L"]', ""]),
    ("p-approval", ship_less, "1 parcels of tea, by Robin Vale"),
    ("p-question", say_no, "no"),
    ("p-options", pick, "a2"),
    ("p-fields", fill_in, {"email": "ada@example.com", "guests": 2}),
    ("p-draft", correct, {"subject": "Good day", "body": "About tea.", "to": ["ada@example.com"]}),
    ("p-text", write, "It is fine."),
    ("p-odd", approve, "dict of ['day', 'parcel', 'said', 'scan']"),
]


def test_each_family_goes_from_start_to_end_by_its_form(desk, open_as):
    operator, reviewer = open_as(desk, "operator", "/"), open_as(desk, "reviewer", "/")
    runs = [(start(operator, agent, TEA), agent, form, result) for agent, form, result in FAMILIES]
    for run, _agent, form, _result in runs:
        (approval,) = asked_by(reviewer, run)
        open_question(reviewer, run)
        expect(reviewer.get_by_text(f"read as {approval.adapter}")).to_be_visible()
        form(reviewer)
        expect(panel(reviewer, "Outcome")).to_be_visible(timeout=SOON)
    for run, agent, _form, result in runs:
        assert (agent, ended(operator, run)["result"]) == (agent, result)


def test_two_reviewers_decide_different_actions_of_one_batch_and_the_agent_gets_one_ordered_answer(desk, open_as):
    operator = open_as(desk, "operator", "/")
    first, second = open_as(desk, "reviewer", "/"), open_as(desk, "second", "/")
    run = start(operator, "hitl", script(pay("ada", "1.00"), pay("bob", "2.00")))
    asked_by(first, run, 2)

    open_question(first, run, "Pay 2.00 to bob")
    expect(first.get_by_text("read as langchain-batched")).to_be_visible()
    form = act(first, "Reject")
    form.get_by_label("Reason").fill("not Bob")
    assert shown(form) == {"decisions": ["‹not decided yet: pay›", {"type": "reject", "message": "not Bob"}]}
    expect(form.get_by_text("is not known yet")).to_be_visible()
    form.get_by_role("button", name="Reject").last.click()
    expect(panel(first, "Outcome")).to_contain_text("Rejected by Robin Vale")
    operator.goto(run)
    expect(fact(operator, "State")).to_have_text("Waiting for people")

    open_question(second, run, "Pay 1.00 to ada")
    read_why(second)
    panel(second).get_by_role("textbox", name="Reason, kept on record").fill("Ada is owed this.")
    assert shown(panel(second)) == {"decisions": [{"type": "approve"}, {"type": "reject", "message": "not Bob"}]}
    panel(second).get_by_role("button", name="Approve pay 1.00").click()
    expect(panel(second, "Outcome")).to_contain_text("Approved by Sam Ashby")

    said = ended(operator, run)["messages"]
    told = [message["content"] for message in said if message["type"] == "tool"]
    assert sorted(("paid 1.00 to ada" in text, "not Bob" in text) for text in told) == [(False, True), (True, False)]
    calls = operator.get_by_role("table", name="Tool calls of this run, in order")
    expect(calls.get_by_role("row").filter(has_text="ada")).to_contain_text("Succeeded")
    expect(calls.get_by_role("row").filter(has_text="Succeeded")).to_have_count(1)


@pytest.fixture
def gate_lets_it_pass(desk: Desk) -> Generator[None]:
    """The rules allow the payment, so that it is the agent's own middleware that asks."""
    rule = Rule.objects.create(name="The middleware asks", agent="hitl-per-call", action="pay", verdict="allow")
    publish(None, "for a middleware that asks by itself")
    yield
    rule.delete()
    publish(None, "the middleware has asked")


def test_a_call_that_is_asked_about_by_itself_runs_when_its_form_said_so(desk, gate_lets_it_pass, open_as):
    operator, reviewer = open_as(desk, "operator", "/"), open_as(desk, "reviewer", "/")
    run = start(operator, "hitl-per-call", script(pay("carol", "3.00"), pay("dave", "4.00")))
    asked_by(reviewer, run, 2)
    open_question(reviewer, run, "Pay 3.00 to carol")
    expect(reviewer.get_by_text("read as langchain-per-call")).to_be_visible()
    read_why(reviewer)
    panel(reviewer).get_by_role("textbox", name="Reason, kept on record").fill("As agreed.")
    assert shown(panel(reviewer)) == {"type": "approve"}
    panel(reviewer).get_by_role("button", name="Approve pay 3.00").click()
    expect(panel(reviewer, "Outcome")).to_contain_text("Approved by Robin Vale")
    open_question(reviewer, run, "Pay 4.00 to dave")
    form = act(reviewer, "Respond")
    form.get_by_label("Your answer").fill("paid in cash")
    assert shown(form) == {"type": "respond", "message": "paid in cash"}
    send(reviewer)
    expect(panel(reviewer, "Outcome")).to_contain_text("Answered by Robin Vale")
    said = ended(operator, run)["messages"]
    told = [message["content"] for message in said if message["type"] == "tool"]
    assert (len(told), "paid 3.00 to carol" in told[0], "paid in cash" in told[1]) == (2, True, True)


def test_an_admin_pins_an_answer_and_the_question_gets_its_form(desk, open_as):
    admin = open_as(desk, "admin", "/")
    admin.get_by_label("Menu of Ada Quill").click()
    admin.get_by_role("link", name="Administration").click()
    admin.get_by_role("link", name="Pinned answers", exact=True).first.click()
    admin.get_by_role("link", name="Add pinned answer").click()
    admin.get_by_label("Agent:").select_option(label="P seats agent")
    admin.get_by_label("Node:").fill("seat")
    admin.get_by_label("Schema:").fill('{"type": "integer", "minimum": 1, "title": "Seats"}')
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_text("was added successfully")).to_be_visible()

    operator, reviewer = open_as(desk, "operator", "/"), open_as(desk, "reviewer", "/")
    run = start(operator, "p-seats", TEA)
    open_question(reviewer, run)
    expect(reviewer.get_by_text("read as pinned")).to_be_visible()
    seats = panel(reviewer).get_by_label("Seats")
    seats.fill("0")
    send(reviewer)
    expect(panel(reviewer)).to_contain_text("At least 1.")
    seats.fill("3")
    assert shown(panel(reviewer)) == 3
    send(reviewer)
    expect(panel(reviewer, "Outcome")).to_be_visible(timeout=SOON)
    assert ended(operator, run)["result"] == 4


def start(page: Page, agent: str, run_input: dict[str, Any]) -> str:
    """Start the agent by the form for that; return the address of the run's page."""
    name = f"{agent.capitalize().replace('-', ' ')} agent"
    page.goto("/runs/")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_role("main").get_by_role("link", name=name, exact=True).click()
    words = run_input["messages"][0]["content"] if "messages" in run_input else None
    page.get_by_label("What should the agent do" if words else "Input", exact=True).fill(words or json.dumps(run_input))
    page.get_by_role("button", name=f"Start {name}").click()
    expect(page.get_by_role("heading", name="Story")).to_be_visible()
    return page.url


def pay(to: str, amount: str) -> dict[str, Any]:
    return {"name": "pay", "args": {"to": to, "amount": amount}}


def script(*calls: dict[str, Any]) -> dict[str, Any]:
    """What the scripted model is to do: these calls in one turn."""
    return {"messages": [{"role": "user", "content": json.dumps({"turns": [calls]})}]}


def asked_by(page: Page, address: str, number: int = 1) -> list[Approval]:
    pending = Approval.objects.filter(source_ref=run_of(address), status="pending")
    wait_for(page, lambda: pending.count() == number)
    return list(pending)


def run_of(address: str) -> str:
    return address.rstrip("/").rsplit("/", 1)[1]


def open_question(page: Page, address: str, sentence: str = "") -> None:
    """From the run's page to what it asks: the one question, or that one of several."""
    if not sentence:
        asked_by(page, address)
    page.goto(address)
    facts = page.get_by_role("complementary", name="Facts")
    link = facts.get_by_role("list").get_by_role("link", name=sentence or re.compile("."))
    link.first.click()
    expect(panel(page)).to_be_visible()


def shown(form: Any) -> Any:
    """The JSON that the form shows before it is sent."""
    form.get_by_role("button", name="Show the JSON that this sends").first.click()
    text = form.get_by_label("The JSON that this sends")
    expect(text).to_be_visible()
    return json.loads(text.inner_text())


def ended(page: Page, address: str) -> dict[str, Any]:
    """Wait on the run's page until it has ended well; return what the graph put out."""
    page.goto(address)
    expect(fact(page, "State")).to_have_text("Succeeded", timeout=SOON)
    output = Run.objects.get(pk=run_of(address)).output
    assert isinstance(output, dict)
    return output


def test_an_operator_asks_again_what_poisoned_a_thread_and_the_run_ends_well(desk, open_as):
    run = lifecycle.start("p-age", {"topic": "tea"}, actor=Actor.of(User.objects.get(username="operator"), "cli"))
    assert flush()
    reviewer = open_as(desk, "reviewer", "/")
    answer(reviewer, run, "forty")
    operator = open_as(desk, "operator", reverse("runs:detail", args=[run.pk]))
    expect(operator.get_by_text("The thread keeps the answer")).to_be_visible(timeout=SOON)
    operator.get_by_role("button", name="Ask again").click()
    expect(operator.get_by_text("The answer is void. The run asks anew.")).to_be_visible(timeout=SOON)
    answer(reviewer, run, "40")
    wait_for(reviewer, lambda: Run.objects.filter(pk=run.pk, status="succeeded").exists())
    assert Approval.objects.filter(source_ref=str(run.pk), status="superseded").count() == 1


def answer(page: Page, run: Run, words: str) -> None:
    wait_for(page, lambda: Approval.objects.filter(source_ref=str(run.pk), status="pending").exists())
    approval = Approval.objects.get(source_ref=str(run.pk), status="pending")
    page.goto(reverse("approvals:detail", args=[approval.pk]))
    panel(page).get_by_label("Your answer").fill(words)
    send(page)
    expect(panel(page, "Outcome")).to_be_visible(timeout=SOON)


def wait_for(page: Page, condition: Callable[[], bool]) -> None:
    """Look until it is so. The page's own clock waits, so that its events are handled meanwhile."""
    for _turn in range(SOON // 100):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not become so in time")
