"""Small graphs that ask people, each as an outsider would write it: nothing here knows the desk."""

import datetime as dt
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypedDict

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel, Field, field_validator


class State(TypedDict, total=False):
    topic: str
    result: Any


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node(node.__name__, node)
    builder.add_edge(START, node.__name__)
    builder.add_edge(node.__name__, END)
    return builder.compile()


# --- Agent Inbox ------------------------------------------------------------------------------------------------------------

FLIGHT: dict[str, Any] = {
    "action_request": {"action": "book_flight", "args": {"to": "Oslo", "seats": 2}},
    "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
    "description": "# Book a flight\nTwo seats to Oslo.",
}


def book(state: State) -> State:
    """The pattern of Agent Inbox's README: a list goes in, the first of a list comes out."""
    response = interrupt([FLIGHT])[0]
    match response["type"]:
        case "accept":
            return {"result": f"booked {FLIGHT['action_request']['args']['seats']} seats"}
        case "edit":
            return {"result": f"booked {int(response['args']['args']['seats'])} seats"}
        case "response":
            return {"result": f"told: {response['args']}"}
    return {"result": f"ignored, {response['args']}"}


def book_bare(state: State) -> State:
    """The same, asked without the list."""
    (response,) = interrupt(FLIGHT)
    return {"result": response}


# --- response_schema --------------------------------------------------------------------------------------------------------


class Review(BaseModel):
    score: int = Field(ge=1, le=5, description="From 1, poor, to 5.")
    words: str
    publish: bool = False

    @field_validator("words")
    @classmethod
    def no_shouting(cls, words: str) -> str:
        if words.isupper():
            raise ValueError("do not shout")
        return words


class Rating(TypedDict):
    score: int


@dataclass
class Verdict:
    kind: Literal["good", "bad"]
    note: str = ""


def review(state: State) -> State:
    given: Review = interrupt({"task": "Review the text.", "text": state["topic"]}, response_schema=Review)
    return {"result": f"{given.score}/5 {given.words} {given.publish}"}


def rate(state: State) -> State:
    return {"result": interrupt(state["topic"], response_schema=Rating)["score"]}


def judge(state: State) -> State:
    return {"result": interrupt(state["topic"], response_schema=Verdict).kind}


def count(state: State) -> State:
    return {"result": interrupt(state["topic"], response_schema={"type": "integer", "minimum": 0})}


# --- AG-UI and deepagents ---------------------------------------------------------------------------------------------------


def transfer(state: State) -> State:
    edited = {
        "type": "object",
        "properties": {"to": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["to", "amount"],
    }
    args = {"to": "ada", "amount": 40}
    answer = interrupt(
        {
            "reason": "tool_call",
            "message": "Send the money?",
            "toolCallId": "call-1",
            "metadata": {"args": args},
            "responseSchema": {
                "type": "object",
                "properties": {"approved": {"type": "boolean"}, "editedArgs": edited},
                "required": ["approved"],
            },
        }
    )
    if answer.get("__agui_cancelled__") or not answer["approved"]:
        return {"result": "not sent"}
    return {"result": f"sent {answer.get('editedArgs', args)['amount']}"}


def ask_user(state: State) -> State:
    questions = [
        {"question": "What is it called?", "type": "text"},
        {"question": "Which colour?", "type": "multiple_choice", "choices": [{"value": "red"}, {"value": "blue"}]},
        {"question": "Which sizes?", "type": "multi_select", "choices": [{"value": "S"}, {"value": "M"}, {"value": "L"}]},
        {"question": "Anything else?", "type": "text", "required": False},
    ]
    answer = interrupt({"type": "ask_user", "questions": questions, "tool_call_id": "call-1"})
    return {"result": answer["answers"] if answer.get("status") == "answered" else "cancelled"}


# --- questions that people write as they come -------------------------------------------------------------------------------


def confirm(state: State) -> State:
    answer = interrupt({"question": f"Go on with {state['topic']}?", "context": {"cost": 12}})
    return {"result": "yes" if answer is True else "no" if answer is False else f"words: {answer}"}


def choose(state: State) -> State:
    options = [{"id": "a1", "label": "Tomorrow at nine"}, {"id": "a2", "label": "Friday at noon"}]
    return {"result": interrupt({"message": "Pick one of these.", "slots": options})}


def fill(state: State) -> State:
    fields = [
        {"name": "email", "type": "email", "label": "Your address"},
        {"name": "guests", "type": "number", "required": True},
        {"name": "vegan", "type": "boolean", "required": False},
    ]
    return {"result": interrupt({"prompt": "Some details are missing.", "input_fields": fields})}


def edit(state: State) -> State:
    draft = {"subject": "Hello", "body": f"About {state['topic']}.", "to": ["ada@example.com"]}
    return {"result": interrupt(draft)}


def tell(state: State) -> State:
    return {"result": interrupt(f"What do you think of {state['topic']}?")}


@dataclass
class Parcel:
    label: str
    due: dt.datetime
    price: Decimal


def odd(state: State) -> State:
    """What JSON does not hold: shown to people all the same."""
    parcel = Parcel("P-1", dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC), Decimal("12.50"))
    answer = interrupt({"parcel": parcel, "scan": b"\x00\xff", "said": AIMessage("Shall I?"), "day": dt.date(2026, 2, 1)})
    return {"result": f"{type(answer).__name__} of {sorted(answer)}" if isinstance(answer, dict) else repr(answer)}


# --- approval_required ------------------------------------------------------------------------------------------------------


def ship(state: State) -> State:
    details = {"order": "A-1", "parcels": 2}
    answer = interrupt({"type": "approval_required", "action": "ship_order", "details": details, "risk_level": "low"})
    if not answer["approved"]:
        return {"result": f"{answer['decision']}: {answer['message']}"}
    return {"result": f"{answer['details']['parcels']} parcels of {state['topic']}, by {answer['decided_by']}"}


# --- a payload that does not tell what its answer looks like ----------------------------------------------------------------


def seat(state: State) -> State:
    """Text that has to be a number: nobody could know it without the admin's word."""
    return {"result": interrupt(f"How many seats for {state['topic']}?") + 1}


# --- threads that an answer poisons -----------------------------------------------------------------------------------------


def age(state: State) -> State:
    """Not a word in the payload that only digits will do."""
    return {"result": int(interrupt("How old are you?"))}


def two(state: State) -> State:
    first = interrupt("First?")
    second = interrupt("Second?")
    return {"result": [first, second]}


inbox, inbox_bare = _graph(book), _graph(book_bare)
pydantic_schema, typed_dict_schema, dataclass_schema, json_schema = _graph(review), _graph(rate), _graph(judge), _graph(count)
ag_ui, deep = _graph(transfer), _graph(ask_user)
question, options, fields, draft, text, not_json = map(_graph, (confirm, choose, fill, edit, tell, odd))
approval_required, untold = _graph(ship), _graph(seat)
poisoned, twice = _graph(age), _graph(two)


class Both(TypedDict, total=False):
    topic: str
    left: Any
    right: Any


def left(state: Both) -> Both:
    return {"left": interrupt("left?")}


def right(state: Both) -> Both:
    return {"right": interrupt("right?")}


def wandering(state: Both) -> Both:
    """Asks in other words each time that its node runs."""
    return {"right": interrupt({"question": "right?", "asked_at": time.monotonic_ns()})}


_both = StateGraph(Both)
for _node in (left, right):
    _both.add_node(_node.__name__, _node)
    _both.add_edge(START, _node.__name__)
    _both.add_edge(_node.__name__, END)
both = _both.compile()

_wanders = StateGraph(Both)
for _node in (left, wandering):
    _wanders.add_node(_node.__name__, _node)
    _wanders.add_edge(START, _node.__name__)
    _wanders.add_edge(_node.__name__, END)
wanders = _wanders.compile()
