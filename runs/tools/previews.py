"""A tool's own hook for dry runs: the function under ``dry_run`` in its metadata says what a call would do."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

HOOK = "dry_run"


def hook_of(tool: BaseTool | None) -> Callable[..., Any] | None:
    """The hook of a tool; None where it has none."""
    hook = ((tool.metadata if tool else None) or {}).get(HOOK)
    return hook if callable(hook) else None


async def said(tool: BaseTool | None, args: dict[str, Any], config: RunnableConfig, seconds: float) -> Any:
    """What the hook of ``tool`` says of a call with these arguments, as plain values. Raises what the hook raises, TimeoutError
    after so many seconds, TypeError for a tool without one."""
    hook = hook_of(tool)
    if tool is None or hook is None:
        raise TypeError("the tool has no hook for dry runs")
    given = _as_the_tool_gets(tool, args)
    if "config" in inspect.signature(hook).parameters:
        given["config"] = config
    async with asyncio.timeout(seconds):
        what = hook(**given) if inspect.iscoroutinefunction(hook) else asyncio.to_thread(hook, **given)
        return to_jsonable_python(await what, fallback=str)


def _as_the_tool_gets(tool: BaseTool, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments checked and converted by the tool's schema, with its defaults, without what is injected."""
    schema = tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        parsed = schema.model_validate(args)
        return {name: getattr(parsed, name) for name in type(parsed).model_fields}
    return dict(args)
