"""A chat model that follows a script: the tool calls to make, turn by turn. Stateless, so that any worker can go on with it."""

import json
from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCallChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class ScriptedModel(BaseChatModel):
    """The first message of the conversation is the script: ``{"turns": [[{"name", "args", "id"?}, …], …], "end": text}``.
    Turn n is played when n messages of the model are there already."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "scripted", "ls_model_name": "script-1", "ls_model_type": "chat"}

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._turn(messages))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        message = self._turn(messages)
        for word in str(message.content).split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word + " ", id=message.id))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
        calls = [
            ToolCallChunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=n, type="tool_call_chunk")
            for n, call in enumerate(message.tool_calls)
        ]
        last = AIMessageChunk(content="", id=message.id, tool_call_chunks=calls, usage_metadata=message.usage_metadata)
        yield ChatGenerationChunk(message=last)

    def _turn(self, messages: list[BaseMessage]) -> AIMessage:
        script = json.loads(str(next(m for m in messages if m.type == "human").content))
        turn = sum(m.type == "ai" for m in messages)
        usage = {"input_tokens": 10 * (turn + 1), "output_tokens": 5, "total_tokens": 10 * (turn + 1) + 5}
        if turn >= len(script["turns"]):
            return AIMessage(content=script.get("end", "Done."), usage_metadata=usage)
        calls = [
            {"name": call["name"], "args": call.get("args", {}), "id": call.get("id", f"t{turn}c{n}"), "type": "tool_call"}
            for n, call in enumerate(script["turns"][turn])
        ]
        return AIMessage(content=f"Turn {turn}.", tool_calls=calls, usage_metadata=usage)
