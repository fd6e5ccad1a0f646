"""Undoing a call: the page that says what would be done, and starts it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from agentdesk.audit.record import Actor
from approvals.models import Tool
from approvals.web.display import phrase
from runs import access, undo
from runs.errors import InvalidReason, RunError
from runs.models import Run, ToolCall
from runs.web.arguments import arguments
from runs.web.calls import CallRow
from runs.web.views import person, visible


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def undo_call(request: HttpRequest, run_id: UUID, call_id: UUID) -> HttpResponse:
    """What undoing the call means, and the form that asks for it."""
    run = visible(request, run_id)
    call = get_object_or_404(ToolCall.objects.select_related("run__agent", "run__team"), pk=call_id, run=run)
    problem, status, reason = "", 200, request.POST.get("reason", "")
    if request.method == "POST":
        try:
            made = undo.undo(call.pk, reason, actor=Actor.from_request(request))
        except InvalidReason as refused:
            problem, status = str(refused), refused.status
        except RunError as refused:
            messages.error(request, str(refused))
            status = refused.status
        else:
            messages.success(request, _("The undo is on its way. It passes the rules as every call does."))
            return redirect("runs:detail", made.pk)
        call.refresh_from_db()
    return render(request, "runs/undo.html", _page(request, run, call, problem, reason), status=status)


def _page(request: HttpRequest, run: Run, call: ToolCall, problem: str, reason: str) -> dict[str, Any]:
    tool = undo.tool_of(call)
    why_not = undo.why_not(call, tool)
    given: dict[str, Any] = {}
    if not why_not and tool is not None:
        try:
            given = undo.arguments(Tool.objects.get(agent=tool.agent, name=tool.undo_tool), call)
        except RunError as refused:
            why_not = str(refused)
    return {
        "section": "runs", "run": run, "row": CallRow(call), "call": call, "ran": arguments(call.executed_args or {}),
        "tool": tool, "why_not": why_not,
        "sentence": phrase(call.tool, CallRow(call).ran_with), "given": arguments(given),
        "until": undo.until(call, tool) if tool else None, "live": undo.live_of(call),
        "may_undo": access.may_undo(person(request), run), "problem": problem, "reason": reason,
        "longest": undo.LONGEST_REASON,
    }  # fmt: skip
