"""Running the example's graph in this process, with a script in place of the people who decide."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.prebuilt.tool_node import ToolNode

from tests.examples.conftest import EXAMPLE

READS = {"search_customer_by_email", "list_orders", "get_order"}

type Decide = Callable[[dict[str, Any]], ToolMessage | dict[str, Any] | None]


@dataclass
class Conversation:
    """The messages of a run, and the calls in them as (tool, arguments)."""

    messages: list[BaseMessage] = field(default_factory=list)

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (call["name"], call["args"])
            for message in self.messages
            if isinstance(message, AIMessage)
            for call in message.tool_calls
        ]

    @property
    def deeds(self) -> list[tuple[str, dict[str, Any]]]:
        return [(name, args) for name, args in self.calls if name not in READS]

    def why(self, tool: str) -> str:
        """The text of the message that proposed the first call of this tool."""
        return next(
            str(message.text)
            for message in self.messages
            if isinstance(message, AIMessage) and any(call["name"] == tool for call in message.tool_calls)
        )

    @property
    def last(self) -> str:
        return str(self.messages[-1].text)


class _Person(AgentMiddleware[Any, Any, Any]):
    """Stands where a person decides; the script changes from run to run, the graph is built once."""

    decide: Decide | None = None

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        call = request.tool_call
        answer = self.decide({"name": call["name"], "args": call["args"], "id": call["id"]}) if self.decide else None
        if isinstance(answer, ToolMessage):
            return answer
        return handler(request if answer is None else request.override(tool_call={**call, "args": answer}))


_person = _Person()


@cache
def plain_graph() -> Any:
    """The example's graph as it is outside the desk, whose gate may be installed in this process by now."""
    from support.model import SupportPlanner
    from support.tools import TOOLS

    prompt = (EXAMPLE / "support" / "prompt.md").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToolNode, "__init__", inspect.unwrap(ToolNode.__init__))
        return create_agent(SupportPlanner(token_delay=0), TOOLS, system_prompt=prompt, middleware=[_person])


def run(given: dict[str, Any], decide: Decide | None = None) -> Conversation:
    """Run the graph; `decide` may answer a call with a message, or change it by giving other arguments."""
    _person.decide = decide
    try:
        return Conversation(plain_graph().invoke(given, {"recursion_limit": 60})["messages"])
    finally:
        _person.decide = None


def rejected(call: dict[str, Any], reason: str = "") -> ToolMessage:
    """A rejection in the structured form."""
    said = f"Ada rejected this call of {call['name']}. It was not executed." + (f" Reason: {reason}" if reason else "")
    fault = {"kind": "rejected", "message": said, "retryable": False, "hint": "Do not repeat it with the same arguments."}
    return ToolMessage(json.dumps({"error": fault}), name=call["name"], tool_call_id=call["id"], status="error")


def rejected_in_words(call: dict[str, Any], reason: str = "") -> ToolMessage:
    """A rejection as LangChain's own middleware words it."""
    said = (
        f"User rejected the tool call for `{call['name']}` with reason: {reason}"
        if reason
        else f"User rejected the tool call for `{call['name']}` with id {call['id']}. The tool was not executed."
    )
    return ToolMessage(said, name=call["name"], tool_call_id=call["id"], status="error")


def answered(call: dict[str, Any], words: str) -> ToolMessage:
    """A person's words in place of the tool's result."""
    return ToolMessage(words, name=call["name"], tool_call_id=call["id"])
