"""The planner as a chat model, and the choice of another one."""

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from tests.examples.conftest import Shop
from tests.examples.running import plain_graph

MESSAGES: list[BaseMessage] = [
    SystemMessage("You help.\n\nSign every e-mail as: The shop"),
    HumanMessage("Ticket: T-9\nFrom: Ann Lee <ann@lee.example>\nDate: 2026-01-05\nSubject: Hi\n\nPlease cancel order 12345."),
]


def _model() -> Any:
    from support.model import SupportPlanner
    from support.tools import TOOLS

    return SupportPlanner(token_delay=0).bind_tools(TOOLS)


def test_it_streams_word_by_word_and_ends_with_call_usage_and_name() -> None:
    chunks = list(_model().stream(MESSAGES))
    words = [chunk.content for chunk in chunks if chunk.content]
    assert words == ["I", " look", " up", " the", " sender,", " ann@lee.example."]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [
        ("search_customer_by_email", {"email": "ann@lee.example"})
    ]
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 6
    assert whole.response_metadata["model_name"] == "support-planner-1"


def test_it_says_the_same_streamed_asynchronously_or_at_once() -> None:
    async def gather() -> list[AIMessageChunk]:
        return [chunk async for chunk in _model().astream(MESSAGES)]

    streamed = asyncio.run(gather())
    whole = streamed[0]
    for chunk in streamed[1:]:
        whole += chunk
    invoked = _model().invoke(MESSAGES)
    assert isinstance(invoked, AIMessage)
    assert (whole.content, whole.usage_metadata) == (invoked.content, invoked.usage_metadata)
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [
        (call["name"], call["args"]) for call in invoked.tool_calls
    ]


def test_it_waits_between_words_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import support.model

    slept: list[float] = []
    monkeypatch.setattr("support.model.time.sleep", slept.append)
    monkeypatch.setenv("SUPPORT_TOKEN_DELAY", "0.25")
    chunks = list(support.model.SupportPlanner().stream(MESSAGES))
    assert set(slept) == {0.25}
    assert len(slept) >= sum(bool(chunk.content) for chunk in chunks)


def test_it_streams_tokens_out_of_the_graph_and_counts_usage(shop: Shop) -> None:
    from support.tickets import load_tickets

    usage = UsageMetadataCallbackHandler()
    stream = plain_graph().stream(load_tickets()[0].run_input(), {"callbacks": [usage]}, stream_mode="messages")
    pieces = [message.content for message, _ in stream if isinstance(message, AIMessageChunk) and message.content]
    assert len(pieces) > 40
    assert "I look up the sender, mara.lindqvist@example.com." in "".join(map(str, pieces))
    assert usage.usage_metadata["support-planner-1"]["total_tokens"] > 100


def test_it_gives_each_call_an_id_of_its_own() -> None:
    ids = {_model().invoke(MESSAGES).tool_calls[0]["id"] for _ in range(20)}
    assert len(ids) == 20


def test_it_says_which_tool_it_misses_instead_of_calling_it() -> None:
    from support.model import SupportPlanner
    from support.tools import TOOLS

    message = SupportPlanner(token_delay=0).bind_tools(TOOLS[1:]).invoke(MESSAGES)
    assert message.tool_calls == []
    assert "search_customer_by_email" in str(message.content)


def test_it_takes_the_signature_and_the_return_days_from_the_prompt_only() -> None:
    from support.planner.rules import read_rules

    rules = read_rules("- Returns: within 14 days after delivery.\n\nSign every e-mail as: Corner Shop")
    assert (rules.return_days, rules.signature) == (14, "Corner Shop")
    assert read_rules("").return_days is None


def test_it_swaps_in_any_chat_model_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import support.model

    other = GenericFakeChatModel(messages=iter([]))
    asked: list[str] = []

    def init_chat_model(name: str) -> Any:
        asked.append(name)
        return other

    monkeypatch.setattr(support.model, "init_chat_model", init_chat_model)
    monkeypatch.setenv("AGENTDESK_MODEL", "anthropic:some-model")
    assert support.model.chat_model() is other
    assert asked == ["anthropic:some-model"]
    monkeypatch.delenv("AGENTDESK_MODEL")
    assert isinstance(support.model.chat_model(), support.model.SupportPlanner)
