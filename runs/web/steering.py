"""Going back and going on: the checkpoints of a run, forking from one, new input."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from agentdesk.audit.record import Actor
from agentdesk.ids import new_id
from runs import access, lifecycle, threads
from runs.errors import RunError
from runs.models import Agent, Run
from runs.states import RunStatus
from runs.web.forms import ABOUT, StartForm, takes_words
from runs.web.views import person, visible

_posts = Signer(salt="runs.fork")


class InputForm(StartForm):
    """New input on a thread that is there: what a start takes, without its choices."""

    def __init__(self, agent: Agent, *, as_json: bool, data: Any = None) -> None:
        super().__init__(agent, as_json=as_json, data=data)
        for name in ("dry_run", *ABOUT, *self.limits):
            del self.fields[name]
        self.limits = []


class ForkForm(forms.Form):
    """``post`` is the new run's id, signed: the same form sent twice makes one run."""

    checkpoint = forms.CharField(max_length=64)
    post = forms.CharField(max_length=200)
    effects = forms.BooleanField(required=False, label=gettext_lazy("Let tools take effect"))

    def clean_post(self) -> UUID:
        try:
            return UUID(_posts.unsign(self.cleaned_data["post"]))
        except (BadSignature, ValueError) as error:
            raise ValidationError(_("Open the page again, then fork.")) from error


@require_safe
@login_required
def checkpoints(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Where the run can be forked, newest first, and the form for new input."""
    run = visible(request, run_id)
    return _page(request, run, InputForm(run.agent, as_json="json" in request.GET))


@require_POST
@login_required
def fork(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = visible(request, run_id)
    form = ForkForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return _page(request, run, InputForm(run.agent, as_json=False), status=422)
    sent = form.cleaned_data
    try:
        new = lifecycle.fork(
            run.pk, sent["checkpoint"], actor=Actor.from_request(request), dry_run=not sent["effects"], as_id=sent["post"]
        )
    except RunError as refused:
        messages.error(request, str(refused))
        return _page(request, run, InputForm(run.agent, as_json=False), status=refused.status)
    return redirect("runs:detail", new.pk)


@require_POST
@login_required
def give_input(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = visible(request, run_id)
    form = InputForm(run.agent, as_json="json" in request.POST, data=request.POST)
    status = 422
    if form.is_valid():
        try:
            lifecycle.give_input(run.pk, form.run_input(), actor=Actor.from_request(request))
        except RunError as refused:
            status = form.refuse(refused)
        else:
            messages.success(request, _("The run was given new input."))
            return redirect("runs:detail", run.pk)
    return _page(request, run, form, status=status)


def _page(request: HttpRequest, run: Run, form: InputForm, *, status: int = 200) -> HttpResponse:
    may = access.may_operate(person(request), run)
    found = threads.checkpoints(run.thread_id)
    context = {
        "section": "runs",
        "run": run,
        "rows": [(one, _posts.sign(str(new_id())) if may else "") for one in found],
        "forks": list(Run.objects.visible_to(person(request)).filter(parent=run).order_by("pk")),
        "may_fork": may and run.agent.enabled,
        "may_give_input": may and run.pruned_at is None and run.status in (RunStatus.WAITING, RunStatus.SUCCEEDED),
        "form": form,
        "takes_words": takes_words(run.agent),
    }
    return render(request, "runs/checkpoints.html", context, status=status)
