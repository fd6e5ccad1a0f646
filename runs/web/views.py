"""Pages of runs and agents."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from agentdesk import masking
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals.models import Tool
from approvals.web.display import sentence
from approvals.web.fragments import votes_of
from approvals.web.reading import state_of as state_of_approval
from runs import access, lifecycle
from runs.errors import RunError
from runs.limits import LIMITS, name_of
from runs.models import Agent, Run
from runs.states import LIVE, RunStatus
from runs.web.calls import loaded
from runs.web.forms import StartForm, takes_words
from runs.web.fragments import ICONS, render_call, render_line, render_run
from runs.web.lists import Filter, agents_of, listing
from runs.web.record import approvals_of, entries_of, given, limit_of, may_read_record, reads_code_of, spent
from runs.web.story import in_order, lines
from runs.web.timeline import timeline
from runs.web.undoable import undoable

LINES = 400  # steps on one page
CALLS = 300


def person(request: HttpRequest) -> User:
    """Who is signed in. Raises TypeError where a view forgot to ask for that."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return request.user


@require_safe
@login_required
def runs(request: HttpRequest) -> HttpResponse:
    wanted = Filter.read(request.GET)
    context = {
        "section": "runs",
        "wanted": wanted,
        "listing": listing(person(request), wanted),
        "agents": [(one, wanted.address(agent=one.slug)) for one in agents_of(person(request))],
        "statuses": [(one, ICONS[one], wanted.address(status=one)) for one in RunStatus],
        "every_status": wanted.address(status=""),
        "every_agent": wanted.address(agent=""),
        "here": wanted.address(after=str(wanted.after or "")),
    }
    return render(request, "runs/_rows.html" if request.headers.get("HX-Request") else "runs/list.html", context)


@require_safe
@login_required
def detail(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = visible(request, run_id)
    return render(request, "runs/run.html", _page(request, run))


@require_safe
@login_required
def story(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """All live parts of the page in one answer: state, story, tool calls."""
    return render(request, "runs/_live.html", _story(request, visible(request, run_id)))


@require_safe
@login_required
def panel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """What is made for this viewer: acts, facts, the record, the traceback."""
    return HttpResponse(_panel(request, visible(request, run_id)))


@require_safe
@login_required
def drawn(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The timeline, as of now."""
    run = visible(request, run_id)
    return render(request, "runs/_timeline.html", {"run": run, "timeline": timeline(run)})


@require_POST
@login_required
def cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = visible(request, run_id)
    try:
        run = lifecycle.cancel(run.pk, actor=Actor.from_request(request))
    except RunError as refused:
        return _refusal(request, run, refused)
    is_over = run.status == RunStatus.CANCELLED
    messages.success(request, _("The run was cancelled.") if is_over else _("The run is being cancelled."))
    return redirect("runs:detail", run.pk)


@require_POST
@login_required
def go_on(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Continue a run that failed or was stopped; ``more`` is granted of the limit that it stopped at."""
    run = visible(request, run_id)
    limit, more = limit_of(run), request.POST.get("more", "").strip()
    granted = {limit: more} if limit in LIMITS and more else {}
    try:
        lifecycle.continue_(run.pk, actor=Actor.from_request(request), more=granted)
    except RunError as refused:
        return _refusal(request, run, refused)
    messages.success(request, _("The run goes on from its last checkpoint."))
    return redirect("runs:detail", run.pk)


@require_POST
@login_required
def reveal(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The page once, with what is masked on it open, and an entry in the record. What is pushed to it later is masked again."""
    run = visible(request, run_id)
    if not access.may_reveal(person(request), run):
        raise PermissionDenied
    lifecycle.enter_revealed(run, Actor.from_request(request))
    with masking.revealed():
        response = render(request, "runs/run.html", {**_page(request, run), "is_open": True, "may_reveal": False})
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@login_required
def reask(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Ask anew what the run's thread has stored an answer to that its graph raises on."""
    run = visible(request, run_id)
    try:
        lifecycle.reask(run.pk, actor=Actor.from_request(request))
    except RunError as refused:
        return _refusal(request, run, refused)
    messages.success(request, _("The answer is void. The run asks anew."))
    return redirect("runs:detail", run.pk)


@login_required
def start(request: HttpRequest) -> HttpResponse:
    """The form, and its post."""
    startable = [one for one in Agent.objects.visible_to(person(request)) if access.may_start(person(request), one)]
    wanted = (request.POST if request.method == "POST" else request.GET).get("agent", "")
    if not wanted and len(startable) != 1:
        return render(request, "runs/start.html", {"section": "runs", "agents": startable})
    agent = next((one for one in startable if one.slug == wanted or not wanted), None)
    if agent is None:
        raise Http404
    if request.method == "POST":
        return _started(request, agent, startable)
    return _start_page(request, agent, startable, StartForm(agent, as_json="json" in request.GET))


@require_safe
@login_required
def agents(request: HttpRequest) -> HttpResponse:
    user = person(request)
    found = list(Agent.objects.visible_to(user).select_related("team"))
    tools: dict[str, list[Tool]] = defaultdict(list)
    for tool in Tool.objects.select_related("breaker").filter(agent__in=[one.slug for one in found]):
        tools[tool.agent].append(tool)
    shown = [(one, tools[one.slug], access.may_start(user, one), reads_code_of(user, one)) for one in found]
    return render(request, "runs/agents.html", {"section": "agents", "agents": shown})


def visible(request: HttpRequest, run_id: UUID) -> Run:
    """The run, or 404 where it is none of the user's teams."""
    return get_object_or_404(
        Run.objects.visible_to(person(request)).select_related("agent", "team", "parent", "undoes"), pk=run_id
    )


def _page(request: HttpRequest, run: Run) -> dict[str, Any]:
    words, is_json = given(run)
    made = {"panel": _panel(request, run), "timeline": timeline(run), "given": words, "given_as_json": is_json}
    page = {"section": "runs", **made, **_story(request, run)}
    parts = [page["head"], *page["lines"], *page["calls"], made["panel"], masking.text(words)]
    is_masked = any(masking.MARK in str(part) for part in parts)
    return {**page, "may_reveal": is_masked and access.may_reveal(person(request), run)}


def _story(request: HttpRequest, run: Run) -> dict[str, Any]:
    before = request.GET.get("before", "")
    steps = run.steps.order_by("-id")
    if before.isdecimal():
        steps = steps.filter(pk__lt=min(int(before[:20]), 2**63 - 1))
    found = list(steps[: LINES + 1])
    shown = found[:LINES][::-1]
    newest = list(loaded().filter(run=run).order_by("-proposed_at", "-id")[: CALLS + 1])
    calls = newest[:CALLS][::-1]
    return {
        "run": run,
        "head": render_run(run),
        "lines": [render_line(line) for line in in_order(lines(shown))],
        "calls": [render_call(call) for call in calls],
        "calls_shown": CALLS if len(newest) > CALLS else None,
        "earlier": shown[0].pk if len(found) > LINES else None,
        "is_newest": not before,
    }


def _panel(request: HttpRequest, run: Run) -> SafeString:
    user = person(request)
    asked = list(approvals_of(run))
    context = {
        "run": run,
        "is_live": run.status in LIVE,
        "spent": spent(run),
        "approvals": [(one, sentence(one), state_of_approval(one, min(len(votes_of(one)), one.need))) for one in asked],
        "may_continue": run.pruned_at is None
        and run.undoes_id is None
        and run.status in (RunStatus.FAILED, RunStatus.STOPPED)
        and access.may_operate(user, run),
        "may_reask": bool((run.error or {}).get("poisoned")) and access.may_operate(user, run),
        "limit_name": name_of(limit_of(run)),
        "grant": settings.RUN_LIMITS.get(limit_of(run), 0) if access.may_grant(user, run) else 0,
        "grant_step": "any" if limit_of(run) in LIMITS and LIMITS[limit_of(run)].is_money else 1,
        "undoable": undoable(run) if access.may_undo(user, run) else [],
        "may_cancel": run.status in LIVE and not run.cancel_requested_at and access.may_operate(user, run),
        "entries": entries_of(user, run, [one.pk for one in asked]) if may_read_record(user, run) else None,
        "traceback": run.traceback if access.may_see_traceback(user, run) else "",
    }
    return mark_safe(render_to_string("runs/_side.html", context, request))  # noqa: S308 - a template's output


def _started(request: HttpRequest, agent: Agent, startable: list[Agent]) -> HttpResponse:
    form = StartForm(agent, as_json="json" in request.POST, data=request.POST)
    status = 422
    if form.is_valid():
        try:
            dry_run = form.cleaned_data["dry_run"]
            who = Actor.from_request(request)
            run = lifecycle.start(agent.slug, form.run_input(), actor=who, dry_run=dry_run, lower=form.lower(), **form.about())
        except RunError as refused:
            status = form.refuse(refused)
        else:
            return redirect("runs:detail", run.pk)
    response = _start_page(request, agent, startable, form)
    response.status_code = status
    return response


def _start_page(request: HttpRequest, agent: Agent, startable: list[Agent], form: StartForm) -> HttpResponse:
    context = {"section": "runs", "agents": startable, "agent": agent, "form": form, "takes_words": takes_words(agent)}
    return render(request, "runs/start.html", context)


def _refusal(request: HttpRequest, run: Run, refused: RunError) -> HttpResponse:
    """The run's page as it is now, with the reason on top."""
    messages.error(request, str(refused))
    return render(request, "runs/run.html", _page(request, run), status=refused.status)
