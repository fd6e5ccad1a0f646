"""For authors of tools: results with a type, errors that a model can act on, and the hooks for a dry run and for undoing.

Nobody has to import this. A tool that raises any exception with ``kind``, ``message``, ``retryable`` and ``hint``, and one
whose ``metadata`` has a function under ``dry_run`` or ``undo``, is understood in the same way. Neither Django nor LangChain is
needed to import it.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError


class ToolFailure(Exception):
    """Raised by a tool that could not do what it was asked. The model reads all four parts.

    ``kind``: one word for programs, such as ``already_shipped``. ``message``: a sentence for the model and for people.
    ``retryable``: whether the same call may succeed later; then a tool that is labelled idempotent is tried again by the desk
    itself. ``hint``: what to do instead.
    """

    def __init__(self, message: str, *, kind: str = "failed", retryable: bool = False, hint: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.retryable, self.hint = kind, message, retryable, hint


def typed[**P, R](function: Callable[P, R]) -> Callable[P, Any]:
    """Give what a tool's function returns its declared type, and plain JSON for the record: a Pydantic model, a dataclass, a
    TypedDict. Goes below LangChain's ``@tool``, for functions of both kinds. A result that is not of the type is a ToolFailure
    of kind ``wrong_result``. Raises TypeError for a function without a return annotation."""
    hints = get_type_hints(function, include_extras=True)
    if "return" not in hints:
        raise TypeError(f"{function.__qualname__} declares no type of its result")
    adapter: TypeAdapter[Any] = TypeAdapter(hints["return"])

    def plain(result: Any) -> Any:
        try:
            return adapter.dump_python(adapter.validate_python(result), mode="json")
        except ValidationError as error:
            text = f"The tool ran, but what it returned is not what it declares: {error.error_count()} parts are wrong."
            hint = "It may have taken effect. Look before you do anything again."
            raise ToolFailure(text, kind="wrong_result", hint=hint) from error

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            return plain(await function(*args, **kwargs))

        return awaited

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Any:
        return plain(function(*args, **kwargs))

    return called


def previewed[T](tool: T, dry_run: Callable[..., Any]) -> T:
    """Give a LangChain tool its hook for dry runs, in its metadata, and return the tool.

    ``dry_run`` takes the tool's arguments by name, checked and converted as the tool gets them, and returns what the call would
    do, as JSON; it must have no effect itself. It may be a coroutine function, raise ToolFailure, and have a parameter
    ``config`` for LangChain's configuration.
    """
    holder: Any = tool
    holder.metadata = {**(holder.metadata or {}), "dry_run": dry_run}
    return tool


def undoable[T](tool: T, undo: Callable[..., Any]) -> T:
    """Give a LangChain tool the hook that takes a call of it back, in its metadata, and return the tool.

    ``undo`` is a function or another LangChain tool. Its parameters are filled by their names: ``result`` with what the call
    returned; any other with the value of that name in the result, else in the arguments that the call ran with. It becomes a
    tool of the agent of its own (``undo:`` and the tool's name, or the name it has), which passes the gate like any other. It
    may be a coroutine function, raise ToolFailure, and have a parameter ``config`` for LangChain's configuration, where
    ``configurable`` has an ``idempotency_key``.
    """
    holder: Any = tool
    holder.metadata = {**(holder.metadata or {}), "undo": undo}
    return tool
