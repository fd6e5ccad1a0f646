"""Switching off and on in Django admin: a button, a page that asks, a post that does it."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import ReadOnly, administered
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Halt, Rehearsal


def switch_page(shown: Any, request: HttpRequest, thing: Any) -> HttpResponse:
    """Ask, then switch ``thing``, a row of the admin ``shown`` that is a tool or an agent."""
    if not shown.has_change_permission(request, thing):
        raise PermissionDenied
    here = reverse(f"admin:{shown.opts.app_label}_{shown.opts.model_name}_change", args=[thing.pk])
    if request.method == "POST":
        on, because = request.POST.get("to") == "on", request.POST.get("because", "").strip()
        seen = parse_datetime(request.POST.get("seen", ""))
        actor = Actor.from_request(request, "admin")
        _tell(request, on, lambda: switches.switch(thing, on=on, actor=actor, because=because, seen=seen), str(thing))
        return HttpResponseRedirect(here)
    seen_at = thing.switched_at.isoformat() if thing.switched_at else ""
    return _ask(shown, request, str(thing), on=not thing.enabled, seen=seen_at, here=here)


def _ask(shown: Any, request: HttpRequest, name: str, *, on: bool, seen: str, here: str) -> HttpResponse:
    whole_desk = shown.opts.model_name == "halt"
    title = gettext("Switch %(name)s on") if on else gettext("Switch %(name)s off")
    if whole_desk:
        title = gettext("Switch the desk on") if on else gettext("Switch the desk off")
    context = {
        **shown.admin_site.each_context(request), "opts": shown.opts, "title": title % {"name": name}, "name": name, "on": on,
        "seen": seen, "here": here, "whole_desk": whole_desk,
    }  # fmt: skip
    return TemplateResponse(request, "admin/approvals/switch.html", context)


def _tell(request: HttpRequest, on: bool, act: Any, name: str) -> None:
    try:
        done = act()
    except switches.Stale as error:
        messages.error(request, str(error))
        return
    if not done:
        told = gettext("%(name)s was on already.") if on else gettext("%(name)s was off already.")
    else:
        told = gettext("%(name)s is on.") if on else gettext("%(name)s is off, from the next gate on.")
    messages.success(request, told % {"name": name})


class DeskWideAdmin(ReadOnly):
    """What is so for the whole desk, with the times it was: for who administers all of it. Its page ``switch/`` begins and
    ends it."""

    list_display = ["began_at", "began_by_label", "because", "ended_at", "ended_by_label"]
    list_title: Any = ""

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows if administered(request) is None else rows.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administered(request) is None

    def owns(self, request: HttpRequest, obj: Any) -> bool:
        return administered(request) is None

    def get_urls(self) -> Any:
        name = f"approvals_{self.opts.model_name}_switch"
        return [path("switch/", self.admin_site.admin_view(self.switch), name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {**(extra_context or {}), "title": self.list_title, "standing": self.model.standing().first()}
        return super().changelist_view(request, context)

    def switch(self, request: HttpRequest) -> HttpResponse:
        raise NotImplementedError


@admin.register(Halt)
class HaltAdmin(DeskWideAdmin):
    list_title = _("When the desk was off")

    def switch(self, request: HttpRequest) -> HttpResponse:
        """Ask, then switch the desk off or on."""
        if administered(request) is not None:
            raise PermissionDenied
        here = reverse("admin:approvals_halt_changelist")
        name = gettext("The desk")
        if request.method == "POST":
            on, actor = request.POST.get("to") == "on", Actor.from_request(request, "admin")
            because = request.POST.get("because", "").strip()
            seen = _uuid(request.POST.get("seen", ""))
            _tell(request, on, lambda: switches.end_halt(seen, actor) if on else switches.halt(actor, because), name)
            return HttpResponseRedirect(here)
        standing = Halt.standing().first()
        return _ask(self, request, name, on=standing is not None, seen=str(standing.pk) if standing else "", here=here)


@admin.register(Rehearsal)
class RehearsalAdmin(DeskWideAdmin):
    list_title = _("When the desk was in dry run")

    def switch(self, request: HttpRequest) -> HttpResponse:
        """Ask, then begin or end the dry run of the desk."""
        if administered(request) is not None:
            raise PermissionDenied
        here = reverse("admin:approvals_rehearsal_changelist")
        if request.method == "POST":
            self._act(request, Actor.from_request(request, "admin"))
            return HttpResponseRedirect(here)
        standing = Rehearsal.standing().first()
        title = gettext("Begin a dry run of the desk") if standing is None else gettext("End the dry run of the desk")
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "title": title, "standing": standing, "here": here
        }  # fmt: skip
        return TemplateResponse(request, "admin/approvals/rehearsal/switch.html", context)

    def _act(self, request: HttpRequest, actor: Actor) -> None:
        because = request.POST.get("because", "").strip()
        if request.POST.get("to") == "begin":
            done = switches.rehearse(actor, because)
            told = gettext("The desk is in dry run, from the next gate on.") if done else gettext("It was in dry run already.")
            messages.success(request, told)
            return
        try:
            done = switches.end_rehearsal(_uuid(request.POST.get("seen", "")), actor)
        except switches.Stale as error:
            messages.error(request, str(error))
            return
        told = gettext("The dry run is over: calls take effect again.") if done else gettext("It was over already.")
        messages.success(request, told)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
