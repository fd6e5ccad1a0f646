"""What was tried so far in a conversation, and how each call ended."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

# A person's refusal carries a reason that may be told; a rule that forbids, or time that ran out, is a failure.
_REFUSAL = re.compile(r"\b(reject|declin)", re.I)
_REASON = re.compile(r"\b(?:reason|reject\w*|declin\w*)\b[^:]*:\s*(?P<reason>\S.*)", re.I | re.S)


class Ending(StrEnum):
    """How a call ended: the tool's own result, a person's words instead of it, a refusal, or a failure."""

    RESULT = "result"
    ANSWER = "answer"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Call:
    """A tool call: proposed, or made earlier."""

    name: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """A call that was made. `words` is the reason of a refusal, a person's answer, or a failure's message."""

    call: Call
    ending: Ending
    data: dict[str, Any]
    words: str
    retryable: bool
    current: bool


@dataclass(frozen=True)
class History:
    """All calls of a conversation, oldest first; `current` ones came after the last message of a person."""

    attempts: tuple[Attempt, ...]

    def of(self, name: str, **args: Any) -> list[Attempt]:
        """The current attempts of a tool whose arguments contain these."""
        return [
            attempt
            for attempt in self.attempts
            if attempt.current and attempt.call.name == name and args.items() <= attempt.call.args.items()
        ]

    def times(self, call: Call) -> int:
        """How often exactly this call was made."""
        return sum(attempt.call == call for attempt in self.attempts)

    def refusal_of(self, call: Call) -> Attempt | None:
        """The refusal of exactly this call, at any time."""
        refused = (one for one in self.attempts if one.call == call and one.ending is Ending.REFUSED)
        return next(refused, None)


def read_history(messages: Sequence[BaseMessage]) -> History:
    """Pair each tool call with its result."""
    last_human = max((at for at, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
    attempts: list[Attempt] = []
    for at, message in enumerate(messages):
        if isinstance(message, AIMessage) and message.tool_calls:
            results = _results_after(messages[at + 1 :])
            attempts += [
                _attempt(Call(call["name"], call["args"]), results[call["id"]], current=at > last_human)
                for call in message.tool_calls
                if call["id"] in results
            ]
    return History(tuple(attempts))


def _results_after(messages: Sequence[BaseMessage]) -> dict[str | None, ToolMessage]:
    """The results that follow a message up to the next one of the model: call ids may come again later."""
    own = takewhile(lambda message: not isinstance(message, AIMessage), messages)
    return {message.tool_call_id: message for message in own if isinstance(message, ToolMessage)}


def _attempt(call: Call, message: ToolMessage, *, current: bool) -> Attempt:
    text = str(message.text).strip()
    data = _json_object(text)
    fault = data.get("error")
    if message.status == "error" or fault:
        # A structured error says by its kind what it is; its words may quote anything.
        said = str(fault.get("kind", "")) if isinstance(fault, dict) else text
        if said == "dry_run":  # go on as if it had been done, so that a dry run shows the whole way
            return Attempt(call, Ending.RESULT, {}, "", False, current)
        ending = Ending.REFUSED if _REFUSAL.search(said) else Ending.FAILED
        retryable = isinstance(fault, dict) and fault.get("retryable") is True
        return Attempt(call, ending, data, _reason(text, fault), retryable, current)
    if "found" in data or "done" in data:
        return Attempt(call, Ending.RESULT, data, "", False, current)
    # Neither a result of the tool nor an error: a person answered in its place.
    words = data.get("answer") or data.get("message") or text.strip('"')
    return Attempt(call, Ending.ANSWER, data, str(words), False, current)


def _json_object(text: str) -> dict[str, Any]:
    """The result in the text: the JSON object that says found, done or error, else the first one, else nothing.

    Whoever stands between a tool and the model may add a notice before or after the result, with JSON of its own.
    """
    objects = list(_json_objects(text))
    return next((one for one in objects if one.keys() & {"found", "done", "error"}), objects[0] if objects else {})


def _json_objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            yield value
        except ValueError:
            end = at + 1
        at = text.find("{", end)


def _reason(text: str, fault: object) -> str:
    """Why a call was refused or failed; empty for a refusal without a reason."""
    if isinstance(fault, dict):
        if reason := fault.get("reason"):
            return str(reason).strip()
        kind, said = str(fault.get("kind", "")), str(fault.get("message") or "")
    else:
        kind, said = text, fault if isinstance(fault, str) else text
    if not _REFUSAL.search(kind):
        return said.strip()
    found = _REASON.search(said)
    return found["reason"].strip().strip('"“”') if found else ""
