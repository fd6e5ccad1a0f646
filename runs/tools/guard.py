"""Behind the gate: no tool starts without its permit.

LangChain calls this handler before it runs any tool, wherever it stands in a graph. It raises unless the gate has just given
leave for this tool, this call and these very arguments, so removing or reordering middleware opens nothing.
"""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from agentdesk.digests import digest
from runs.tools.context import GateMissing, permit


class Guard(BaseCallbackHandler):
    raise_error = True
    run_inline = True

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Raises GateMissing when the tool may not start."""
        name = kwargs.get("name") or (serialized or {}).get("name") or "?"
        leave = permit.get()
        if leave is None:
            raise GateMissing(f"The tool {name!r} did not pass the gate. It was not started.")
        if leave.tool != name or leave.call_id != (kwargs.get("tool_call_id") or ""):
            raise GateMissing(
                f"The tool {name!r} was called inside {leave.tool!r}, without a call of its own. It was not started."
            )
        if digest(inputs or {}) != leave.args_digest:
            raise GateMissing(f"The arguments of {name!r} changed behind the gate. It was not started.")

    def on_tool_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, tool_call_id: str = "", **kwargs: Any
    ) -> None:
        """Keep what a tool raised for the gate: a ToolNode may make words of it."""
        leave = permit.get()
        if leave is not None and tool_call_id == leave.call_id:
            leave.error = error
