"""Searches that people keep."""

from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from agentdesk.people.models import User
from approvals.models import SavedView
from approvals.web.filters import Filter
from approvals.web.signed_in import signed_in

MOST = 30  # for one person


class SaveForm(forms.Form):
    """A search and its name."""

    name = forms.CharField(label=gettext_lazy("Name of this search"), max_length=60)
    q = forms.CharField(max_length=200)

    def clean_q(self) -> str:
        wanted = Filter.parse(self.cleaned_data["q"])
        if wanted.mistakes:
            raise forms.ValidationError(list(wanted.mistakes))
        return wanted.text


@signed_in
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep a search under a name; the same name again takes the new search."""
    if not isinstance(request.user, User):
        raise Http404
    form = SaveForm(request.POST)
    typed = Filter.parse(request.POST.get("q", "")).text
    if not form.is_valid():
        for texts in form.errors.values():
            for text in texts:
                messages.error(request, _("Not kept: %(reason)s") % {"reason": text})
        return redirect(_address(typed))
    name = form.cleaned_data["name"]
    mine = SavedView.objects.filter(user=request.user)
    if mine.exclude(name=name).count() >= MOST:
        messages.error(request, _("Not kept: you have %(most)d saved searches already.") % {"most": MOST})
        return redirect(_address(typed))
    SavedView.objects.update_or_create(user=request.user, name=name, defaults={"query": form.cleaned_data["q"]})
    messages.success(request, _("“%(name)s” is kept.") % {"name": name})
    return redirect(_address(form.cleaned_data["q"]))


@signed_in
@require_POST
def forget(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Forget one of one's own."""
    if not isinstance(request.user, User):
        raise Http404
    kept = SavedView.objects.filter(pk=view_id, user=request.user).first()
    if kept is None:
        raise Http404
    kept.delete()
    messages.success(request, _("“%(name)s” is forgotten.") % {"name": kept.name})
    return redirect("approvals:inbox")


def _address(query: str) -> str:
    return f"{reverse('approvals:inbox')}?{urlencode({'q': query})}" if query else reverse("approvals:inbox")
