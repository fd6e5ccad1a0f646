"""From what a manifest names to a graph: compiled graphs, builders, and factories of every kind that LangGraph's server takes.

A factory may take the config or a ``ServerRuntime`` (or both, or nothing), be synchronous or not, and return a graph, a
builder, or a context manager that gives one. What takes arguments or opens something is asked for every attempt at a run, on
the loop that drives it; a context manager stays open for as long as the attempt lasts.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.runtime import ServerRuntime, _ExecutionRuntime, _ReadRuntime

type Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a factory is told: the run's config, its context, the store, who asked. Without a store: only to be looked at."""

    config: RunnableConfig
    context: dict[str, Any]
    store: BaseStore | None = None
    user: Any = None

    def runtime(self) -> "ServerRuntime[Any]":
        if self.store is None:
            return _ReadRuntime(access_context="assistants.read", user=self.user, store=InMemoryStore())
        return _ExecutionRuntime(
            access_context="threads.create_run", user=self.user, store=self.store, context=self.context or None
        )


A_LOOK = Occasion({"configurable": {}}, {})


class Maker:
    """Makes the graph that a manifest names. Raises TypeError for what makes none."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self.is_factory = not isinstance(value, (Pregel, StateGraph))
        if self.is_factory and not callable(value):
            raise TypeError(f"{type(value).__name__} is neither a graph nor makes one")
        self._takes = _parameters(value) if self.is_factory else ()

    @asynccontextmanager
    async def open(self, occasion: Occasion) -> AsyncIterator[Graph]:
        """The graph for one occasion. What the agent's code raises while it makes it comes out of here."""
        if not self.is_factory:
            yield _compiled(self._value)
            return
        given = {"config": occasion.config, "runtime": occasion.runtime()}
        made = await self._call([given[name] for name in self._takes])
        if isinstance(made, (Pregel, StateGraph)):
            yield _compiled(made)
        elif hasattr(made, "__aenter__"):
            async with made as graph:
                yield _compiled(graph)
        elif hasattr(made, "__enter__"):
            async with _in_threads(made) as graph:
                yield _compiled(graph)
        else:
            raise TypeError(f"the factory made {type(made).__name__}, which is no graph")

    async def _call(self, arguments: list[Any]) -> Any:
        """In a thread where it is not asynchronous: it may block, or run a loop of its own."""
        if inspect.iscoroutinefunction(self._value):
            return await self._value(*arguments)
        made = await asyncio.to_thread(self._value, *arguments)
        return await made if inspect.isawaitable(made) and not hasattr(made, "__aenter__") else made


def _compiled(value: Any) -> Graph:
    if isinstance(value, Pregel):
        return value
    if isinstance(value, StateGraph):
        return value.compile()
    raise TypeError(f"{type(value).__name__} is neither a graph nor a builder of one")


def _parameters(factory: Callable[..., Any]) -> tuple[Literal["config", "runtime"], ...]:
    """What the factory's parameters are to be given, in order. Those with defaults that are neither stay with them."""
    names: list[Literal["config", "runtime"]] = []
    hints = _hints(factory)
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        hint = hints.get(parameter.name, parameter.annotation)
        if hint is parameter.empty:
            hint = {"runtime": "ServerRuntime", "config": "RunnableConfig"}.get(parameter.name, hint)
        if "Runtime" in str(hint):
            names.append("runtime")
        elif parameter.default is parameter.empty or "RunnableConfig" in str(hint):
            names.append("config")
    if len(names) > 2 or len(set(names)) < len(names):
        raise TypeError("a factory takes the config, a ServerRuntime, both or nothing")
    return tuple(names)


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(factory)
    except (NameError, TypeError):  # names known to type checkers only; what is written there must do
        return {}


@asynccontextmanager
async def _in_threads(manager: contextlib.AbstractContextManager[Any]) -> AsyncIterator[Any]:
    """A synchronous context manager, entered and left where it may block."""
    value = await asyncio.to_thread(manager.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await asyncio.to_thread(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(manager.__exit__, None, None, None)


class Held:
    """An open graph. A task of its own opens and closes it: what is opened for asynchronous clients has to be closed by the
    task that opened it, and an attempt is driven in many."""

    def __init__(self, maker: Maker, occasion: Occasion) -> None:
        self._opened: asyncio.Future[Graph] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._hold(maker, occasion), name="hold a graph")

    async def graph(self, seconds: float) -> Graph:
        """The graph when it is made. Raises what the agent's code raised, and TimeoutError after ``seconds``."""
        async with asyncio.timeout(seconds):
            return await self._opened

    async def close(self) -> None:
        """Leave its context managers. Raises what they raise; what was never opened is given up."""
        self._closing.set()
        if not self._opened.done() or self._opened.cancelled():
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _hold(self, maker: Maker, occasion: Occasion) -> None:
        try:
            async with maker.open(occasion) as graph:
                self._opened.set_result(graph)
                await self._closing.wait()
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
