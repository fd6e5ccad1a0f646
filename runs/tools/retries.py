"""When a tool that failed is tried again: exponential back-off with jitter, as tenacity reckons it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential_jitter

from runs.tools.context import RunContext
from runs.tools.results import ToolError

FIRST, LONGEST = 0.5, 20.0  # seconds that are waited for after the first failure, and at most
LOOK = 0.1  # seconds between looks at whether the run is to end


@dataclass(frozen=True, slots=True)
class Tried:
    """What one try brought: a result for the graph, which may be an error of the tool's own words, or an error alone."""

    result: Any = None
    error: ToolError | None = None
    is_final: bool = False

    @property
    def may_pass(self) -> bool:
        return self.error is not None and self.error.retryable and not self.is_final


async def tried(
    ctx: RunContext, once: Callable[[], Awaitable[Tried]], may_again: Callable[[ToolError], Awaitable[bool]], retries: int
) -> Tried:
    """Try ``once``, and up to ``retries`` times more while what it brings may pass. ``may_again`` is asked after each wait,
    with the error, and puts it on record. A run that is to end is not kept waiting."""
    last = Tried()

    async def again() -> Tried:
        nonlocal last
        if last.error is not None and (ctx.is_ending() or not await may_again(last.error)):
            return Tried(last.result, last.error, is_final=True)
        last = await once()
        return last

    def result(state: RetryCallState) -> Tried:
        return last

    retrying = AsyncRetrying(
        stop=stop_after_attempt(1 + retries),
        wait=wait_exponential_jitter(multiplier=FIRST, max=LONGEST, jitter=FIRST),
        sleep=lambda seconds: _sleep(ctx, seconds),
        retry=retry_if_result(lambda outcome: outcome.may_pass),
        retry_error_callback=result,
    )
    outcome: Tried = await retrying(again)
    return outcome


async def _sleep(ctx: RunContext, seconds: float) -> None:
    ends = asyncio.get_running_loop().time() + seconds
    while (left := ends - asyncio.get_running_loop().time()) > 0 and not ctx.is_ending():
        await asyncio.sleep(min(left, LOOK))
