"""Tables of runs: agents, runs with their steps, and the ledger of tool calls."""

from runs.models.agents import Agent, PartialAnswers, PinnedAnswer
from runs.models.calls import ToolCall
from runs.models.prices import ModelPrice
from runs.models.runs import Run, Step

__all__ = ["Agent", "ModelPrice", "PartialAnswers", "PinnedAnswer", "Run", "Step", "ToolCall"]
