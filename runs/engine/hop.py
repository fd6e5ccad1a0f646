"""From the event loop to the ORM and back: one hop for each transition, never one for each query."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError, connections

from runs.tools.context import DeskUnavailable

_threads = ThreadPoolExecutor(max_workers=12, thread_name_prefix="orm")


async def hop[**P, R](function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a thread that may use the ORM, and give its connection back to the pool afterwards. Raises
    DeskUnavailable when the database does not answer."""
    call = functools.partial(contextvars.copy_context().run, _with_connection, functools.partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _with_connection[R](call: Callable[[], R]) -> R:
    try:
        return call()
    except (OperationalError, InterfaceError) as error:
        raise DeskUnavailable(str(error)) from error
    finally:
        connections.close_all()
