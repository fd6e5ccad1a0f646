"""Policy versions: what each changed, and the way back to it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext

from agentdesk.admin_site import ReadOnly, administered
from agentdesk.audit.record import Actor
from approvals.models import PolicyVersion
from approvals.policy.versions import CannotRollBack, differences, roll_back


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnly):
    """It holds the rules of every team, so only superusers read it here; each decision names its version to everybody."""

    list_display = ["id", "at", "author", "reason", "digest"]
    list_select_related = ["author"]
    fields = ["id", "at", "author", "reason", "digest"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows = PolicyVersion.objects.all()
        return rows if administered(request) is None else rows.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administered(request) is None

    def owns(self, request: HttpRequest, obj: Any) -> bool:
        return administered(request) is None

    def get_urls(self) -> Any:
        back = self.admin_site.admin_view(self.roll_back)
        return [path("<int:number>/roll-back/", back, name="approvals_policyversion_roll_back"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """With what the version changed, and what going back to it would change now."""
        shown = self.get_object(request, object_id)
        if shown is not None and self.owns(request, shown):
            before = PolicyVersion.objects.filter(pk__lt=shown.pk).first()
            newest = PolicyVersion.objects.first()
            extra_context = {
                **(extra_context or {}), "differences": differences(before.rules if before else [], shown.rules),
                "before": before, "newest": newest,
                "back": differences(newest.rules, shown.rules) if newest and newest != shown else [],
            }  # fmt: skip
        return super().change_view(request, object_id, form_url, extra_context)

    def roll_back(self, request: HttpRequest, number: int) -> HttpResponse:
        """POST: make the rules what they were, with a reason."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if administered(request) is not None:
            raise PermissionDenied
        shown = get_object_or_404(PolicyVersion, pk=number)
        here = HttpResponseRedirect(reverse("admin:approvals_policyversion_change", args=[number]))
        reason = request.POST.get("reason", "").strip()
        if not reason:
            messages.error(request, gettext("Give a reason: it is kept with the new version."))
            return here
        if request.POST.get("newest") != str(PolicyVersion.objects.values_list("pk", flat=True).first()):
            messages.error(request, gettext("The rules changed since you opened this page. Look again at what would change."))
            return here
        try:
            version = roll_back(shown, Actor.from_request(request, "admin"), reason[:300])
        except CannotRollBack as error:
            messages.error(request, str(error))
            return here
        told = gettext("The rules are those of version %(old)d again. This is version %(new)d.")
        messages.success(request, told % {"old": number, "new": version.pk})
        return HttpResponseRedirect(reverse("admin:approvals_policyversion_change", args=[version.pk]))
