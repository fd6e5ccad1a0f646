"""The agent of τ²'s retail tasks: a scripted model that makes the calls of a task's own solution in their order, and τ²'s tools
as an agent's author would offer them. The first message of the conversation is the task's id."""

from functools import cache
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from benchmarks.agents.shop import Execution, Shop, kinds, tasks, toolkit

# What a further call puts back as it was. Everything else that writes cannot be taken back: a cancelled order stays so, and
# items, payment, return and exchange of an order are settled once.
REVERSIBLE = frozenset({"modify_pending_order_address", "modify_user_address"})


def effect_of(tool: str, kind: str) -> str:
    """The desk's label for a tool of τ²'s ``kind``. Calculating and handing over to a person change nothing in the shop."""
    if kind != "write":
        return "read"
    return "write" if tool in REVERSIBLE else "irreversible"


class Solution(BaseChatModel):
    """Plays call n when n messages of the model are there already. Stateless, so that any worker can go on with it."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._turn(messages))])

    def _turn(self, messages: list[BaseMessage]) -> AIMessage:
        actions = tasks()[str(messages[0].content)]
        number = sum(message.type == "ai" for message in messages)
        if number == len(actions):
            return AIMessage(content="Done.")
        call = ToolCall(name=actions[number].tool, args=dict(actions[number].arguments), id=f"action-{number}")
        return AIMessage(content="", tool_calls=[call])


@cache
def _untouched() -> Any:
    """The shop as it was in the beginning, for those who only look."""
    return toolkit()


def _tool(name: str, kind: str) -> BaseTool:
    described = _untouched().get_tools()[name]

    def call(config: RunnableConfig, **arguments: Any) -> Any:
        from tau2.environment.environment import Environment

        own = config["configurable"]
        shop = Shop(own["thread_id"])
        shop.note(Execution(own["idempotency_key"], name, arguments))
        if kind == "write":
            with shop.changing() as tools:
                return Environment.to_json_str(tools.use_tool(name, **arguments))
        return Environment.to_json_str((shop.toolkit() if shop.has_changed else _untouched()).use_tool(name, **arguments))

    tool = StructuredTool.from_function(
        call, name=name, description=described.openai_schema["function"]["description"], args_schema=described.params
    )
    tool.metadata = {"effect": effect_of(name, kind), "egress": False, "idempotent": kind != "write"}
    return tool


def build() -> Any:
    """The graph, not yet compiled. Raises NotInstalled."""
    model = Solution()

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("tools", ToolNode([_tool(name, kind) for name, kind in kinds().items()]))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", tools_condition)
    builder.add_edge("tools", "think")
    return builder


graph = build().compile()
