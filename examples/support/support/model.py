"""The chat model: any that LangChain knows, or a planner by rules that needs neither a key nor the internet."""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from langchain.chat_models import init_chat_model
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from support.planner.steps import Step, next_step


def chat_model() -> BaseChatModel:
    """The model that AGENTDESK_MODEL names as provider:name, else the planner."""
    name = os.environ.get("AGENTDESK_MODEL")
    return init_chat_model(name) if name else SupportPlanner()


def _delay() -> float:
    return float(os.environ.get("SUPPORT_TOKEN_DELAY", "0.01"))


class SupportPlanner(BaseChatModel):
    """Plans by rules from the system prompt, the ticket and the tool results; it knows nothing else.

    Streams word by word, `token_delay` seconds apart, and reports usage counted in words.
    """

    model_name: str = "support-planner-1"
    token_delay: float = Field(default_factory=_delay, ge=0)

    @property
    def _llm_type(self) -> str:
        return "support-planner"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider="support", ls_model_name=self.model_name, ls_model_type="chat")

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A model that may call these tools."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        step = _offered(next_step(messages), kwargs.get("tools"))
        message = AIMessage(
            content=step.text,
            tool_calls=[tool_call(name=call.name, args=call.args, id=_call_id()) for call in step.calls],
            usage_metadata=_usage(messages, step),
            response_metadata=self._response(step),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kwargs.get("tools")):
            time.sleep(self.token_delay)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kwargs.get("tools")):
            await asyncio.sleep(self.token_delay)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _chunks(self, messages: list[BaseMessage], tools: list[dict[str, Any]] | None) -> Iterator[ChatGenerationChunk]:
        """The answer in pieces: its words, then its calls, then what it cost."""
        step = _offered(next_step(messages), tools)
        for word in _words(step.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        for index, call in enumerate(step.calls):
            arguments = json.dumps(call.args, ensure_ascii=False)
            piece = tool_call_chunk(name=call.name, args=arguments, id=_call_id(), index=index)
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[piece]))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=_usage(messages, step),
                response_metadata=self._response(step),
                chunk_position="last",
            )
        )

    def _response(self, step: Step) -> dict[str, Any]:
        return {"model_name": self.model_name, "finish_reason": "tool_calls" if step.calls else "stop"}


def _offered(step: Step, tools: list[dict[str, Any]] | None) -> Step:
    """The step, if all its tools were offered; otherwise only what the model would have done."""
    names = {tool["function"]["name"] for tool in tools or []}
    missing = sorted({call.name for call in step.calls} - names)
    if not missing:
        return step
    return Step(f"{step.text} I cannot go on: I was not given the tool {', '.join(missing)}.")


def _words(text: str) -> list[str]:
    """The text in pieces of a word each; joined, they are the text again."""
    return re.findall(r"\s*\S+|\s+$", text)


def _usage(messages: Sequence[BaseMessage], step: Step) -> UsageMetadata:
    read = sum(len(str(message.text).split()) for message in messages)
    written = len(step.text.split()) + sum(len(json.dumps(call.args).split()) for call in step.calls)
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _call_id() -> str:
    return f"call_{uuid4().hex[:24]}"
