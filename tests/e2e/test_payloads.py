"""Graphs of outsiders, one for each family of payloads: started, asked about in the browser, answered by its form, ended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from agentdesk.audit.record import Actor
from agentdesk.live.push import flush
from agentdesk.people.models import User
from approvals.models import Approval
from runs import lifecycle
from runs.models import Run
from tests.e2e.conftest import SOON, act, panel

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


def approve(page: Page) -> None:
    panel(page).get_by_role("button", name="Approve as asked").click()


FAMILIES: list[tuple[str, Form, Any]] = [
    ("p-inbox", book_more_seats, "booked 3 seats"),
    ("p-inbox-bare", ignore, {"type": "ignore", "args": None}),
    ("p-pydantic", review, "4/5 fine True"),
    ("p-ag-ui", transfer_less, "sent 30"),
    ("p-ask-user", answer_all, ["Tent", "red", '["S", "L"]', ""]),
    ("p-question", say_no, "no"),
    ("p-options", pick, "a2"),
    ("p-fields", fill_in, {"email": "ada@example.com", "guests": 2}),
    ("p-draft", correct, {"subject": "Good day", "body": "About tea.", "to": ["ada@example.com"]}),
    ("p-text", write, "It is fine."),
    ("p-odd", approve, "dict of ['day', 'parcel', 'said', 'scan']"),
]


def test_each_family_goes_from_start_to_end_by_its_form(desk, open_as):
    operator = Actor.of(User.objects.get(username="operator"), "cli")
    runs = [lifecycle.start(agent, {"topic": "tea"}, actor=operator) for agent, _form, _result in FAMILIES]
    assert flush()
    page = open_as(desk, "reviewer", "/")
    for run, (_agent, form, _result) in zip(runs, FAMILIES, strict=True):
        wait_for(page, lambda run=run: Approval.objects.filter(source_ref=str(run.pk), status="pending").exists())
        approval = Approval.objects.get(source_ref=str(run.pk))
        page.goto(reverse("approvals:detail", args=[approval.pk]))
        expect(page.get_by_title("How the payload was read")).to_have_text(f"read as {approval.adapter}")
        form(page)
        expect(panel(page, "Outcome")).to_be_visible(timeout=SOON)
    for run, (agent, _form, result) in zip(runs, FAMILIES, strict=True):
        wait_for(page, lambda run=run: not Run.objects.live().filter(pk=run.pk).exists())
        run.refresh_from_db()
        assert (agent, run.status, (run.output or {}).get("result")) == (agent, "succeeded", result), run.traceback


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
