"""Previews that reviewers ask for: the tool's own dry run, by a worker, beside the run and without a trace in it."""

import json
import logging
from typing import Any, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool

from agentdesk.digests import decode, encode
from agentdesk.telemetry import about
from approvals.models import Approval, Preview, Tool
from approvals.previews import done
from runs import given
from runs.engine import registry
from runs.engine.process import this_process
from runs.errors import RunError
from runs.models import Run
from runs.tools import hung, previews
from runs.tools.context import Permit, permit
from runs.tools.guard import Guard
from runs.tools.results import ToolError, raised

log = logging.getLogger(__name__)

MOST_SECONDS = 30.0
MOST_CHARACTERS = 20_000


def make(approval_id: UUID) -> None:
    """Say what the call would do that an approval is about. Nothing, where nobody waits for that any more."""
    preview = Preview.objects.filter(approval=approval_id, done_at__isnull=True).select_related("approval").first()
    if preview is None or preview.digest != preview.approval.digest:
        return
    run = Run.objects.select_related("agent").filter(pk=preview.approval.source_ref).first()
    if run is None:
        return
    with about(run=run.pk):
        try:
            would = encode(_said(run, preview.approval))
        except Exception as error:  # whatever an agent's code raises is said to who asked
            log.info("no preview of %s: %r", preview.approval.action, error)
            done(approval_id, preview.revision, error=_told(error).as_dict())
            return
        if (length := len(json.dumps(would, ensure_ascii=False))) > MOST_CHARACTERS:
            text = f"It said {length} characters; at most {MOST_CHARACTERS} are shown."
            done(approval_id, preview.revision, error=ToolError("too_long", text).as_dict())
            return
        done(approval_id, preview.revision, would=would)


def _said(run: Run, approval: Approval) -> Any:
    """Raises RunError, TypeError for a tool without a hook, TimeoutError, and what the hook raises."""
    tool = registry.get(run.agent.slug).tools.get(approval.action)
    row = Tool.objects.filter(agent=run.agent.slug, name=approval.action).first()
    seconds = min(float(row.timeout_seconds) if row else MOST_SECONDS, MOST_SECONDS)
    # The guard refuses every tool that a hook calls with this: it has no leave for any.
    config = cast(RunnableConfig, {**given.config_of(run), "callbacks": [Guard()]})
    return this_process().run(_of(tool, decode(approval.args), config, seconds))


async def _of(tool: BaseTool | None, args: dict[str, Any], config: RunnableConfig, seconds: float) -> Any:
    leave = Permit(f"dry run of {tool.name if tool else '?'}", "", "")
    token = permit.set(leave)
    try:
        return await previews.said(tool, args, config, seconds)
    except TimeoutError:
        hung.note(leave)
        raise TimeoutError(f"It did not answer within {seconds:g} s.") from None
    finally:
        permit.reset(token)


def _told(error: Exception) -> ToolError:
    if isinstance(error, RunError):
        return ToolError(error.code, str(error))
    if isinstance(error, TimeoutError):
        return ToolError("timeout", str(error) or "It did not answer in time.")
    said = raised(error)
    return ToolError(said.kind, said.message[:2000], said.retryable, said.hint)
