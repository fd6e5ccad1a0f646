"""Tables of runs: agents, runs with their steps, and the ledger of tool calls."""

from runs.models.agents import Agent
from runs.models.calls import ToolCall
from runs.models.runs import Run, Step

__all__ = ["Agent", "Run", "Step", "ToolCall"]
