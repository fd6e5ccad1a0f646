"""The engine of the engine's own tests: agents of tests/agents in this process."""

from tests.runs.engine.conftest import Engine, engine

__all__ = ["Engine", "engine"]
