"""Graphs that published packages make: deepagents, langgraph-supervisor, langgraph-swarm, langchain-mcp-adapters."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm


class Player(BaseChatModel):
    """Plays the part ``name`` of the script that the first message is: ``{name: [[{"name", "args"}, …], …]}``. It makes the
    calls of its first turn that are not made yet, and says "done" after the last."""

    name: str = "main"

    @property
    def _llm_type(self) -> str:
        return "player"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        turns = _script(messages).get(self.name, [])
        made = {call["id"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls}
        for turn, calls in enumerate(turns):
            wanted = [{**call, "id": f"{self.name}-{turn}-{n}", "type": "tool_call"} for n, call in enumerate(calls)]
            if not made & {call["id"] for call in wanted}:
                return _says(AIMessage(f"{self.name}, turn {turn}", tool_calls=wanted))
        return _says(AIMessage(f"{self.name} is done"))


def _says(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


def _script(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    for message in messages:
        if isinstance(message, HumanMessage) and str(message.content).startswith("{"):
            script: dict[str, Any] = json.loads(str(message.content))
            return script
    return {}


@tool
def pay(to: str, amount: str) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


@tool
def book(what: str) -> str:
    """Book something."""
    return f"booked {what}"


deep = create_deep_agent(model=Player(), tools=[pay], interrupt_on={"pay": True})
deep_with_subagent = create_deep_agent(
    model=Player(),
    tools=[],
    subagents=[
        {"name": "clerk", "description": "Pays.", "system_prompt": "Pay.", "tools": [pay], "model": Player(name="clerk")}
    ],
)

_payer = create_agent(Player(name="payer"), [pay], name="payer")
_booker = create_agent(Player(name="booker"), [book], name="booker")
supervisor = create_supervisor([_payer, _booker], model=Player(name="boss"))

_alice = create_agent(Player(name="alice"), [book, create_handoff_tool(agent_name="bob")], name="alice")
_bob = create_agent(Player(name="bob"), [pay, create_handoff_tool(agent_name="alice")], name="bob")
swarm = create_swarm([_alice, _bob], default_active_agent="alice")


async def mcp() -> Any:
    """An agent with the tools of an MCP server, a program beside this file."""
    server = {"command": sys.executable, "args": [str(Path(__file__).with_name("mcp_server.py"))], "transport": "stdio"}
    client = MultiServerMCPClient({"stock": server})  # type: ignore[dict-item]  # a TypedDict each
    return create_agent(Player(), await client.get_tools())
