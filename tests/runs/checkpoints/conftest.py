"""The engine of tests/runs/engine, for tests of threads and their ends."""

from tests.runs.engine.conftest import engine

__all__ = ["engine"]
