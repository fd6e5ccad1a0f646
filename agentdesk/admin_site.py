"""Django admin for this desk: admins of teams see and change what their teams own, superusers everything."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from agentdesk import masking
from agentdesk.people.models import Role, User

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


def administered(request: HttpRequest) -> set[UUID] | None:
    """Teams that the signed-in user administers; None: all of them."""
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return set()
    return None if user.is_superuser else user.team_ids(Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something on the front page that an admin has to look at: one sentence, and where."""

    text: str
    address: str


_alarms: list[Callable[[HttpRequest], Iterable[Alarm]]] = []


def alarming(tell: Callable[[HttpRequest], Iterable[Alarm]]) -> Callable[[HttpRequest], Iterable[Alarm]]:
    """Decorator: let ``tell`` say what alarms there are for the admin of a request."""
    _alarms.append(tell)
    return tell


class DeskAdminSite(admin.AdminSite):
    site_title = site_header = _("AgentDesk")
    index_title = _("Administration")
    index_template = "admin/desk_index.html"
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        alarms = [alarm for tell in _alarms for alarm in tell(request)]
        return super().index(request, {**(extra_context or {}), "alarms": alarms})

    def has_permission(self, request: HttpRequest) -> bool:
        return administered(request) != set()

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The desk has one place to sign in; who is signed in already and is no admin has no business here."""
        index = reverse("admin:index", current_app=self.name)
        target = request.GET.get("next", index)
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
            target = index
        if self.has_permission(request):
            return HttpResponseRedirect(target)
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(target, resolve_url("account_login"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return HttpResponseRedirect(reverse("account_logout"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return HttpResponseRedirect(reverse("account_change_password"))


class TeamScoped(ModelAdmin):
    """Rows of the teams that the user administers. ``team_path`` leads from the model to its team; a row without a team
    belongs to the whole desk and only superusers change it."""

    team_path = "team"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        teams = administered(request)
        return rows if teams is None else rows.filter(**{f"{self.team_path}__in": teams})

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        """Whether the user administers the team of ``obj``."""
        teams = administered(request)
        if teams is None:
            return True
        value: Any = obj
        for name in self.team_path.split("__"):
            value = getattr(value, name)
        return value is not None and value.pk in teams

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administered(request) != set()

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.has_module_permission(request) if obj is None else self.owns(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.has_module_permission(request) if obj is None else self.owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.has_module_permission(request) if obj is None else self.owns(request, obj)

    def formfield_for_foreignkey(self, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """A team is chosen among those that the user administers."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        teams = administered(request)
        if field is not None and teams is not None and db_field.name == self.team_path:
            field.queryset = field.queryset.filter(pk__in=teams)  # type: ignore[union-attr]
        return field


class ReadOnly(TeamScoped):
    """Kept for reading: what the desk did is changed by nobody."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The row with its secrets masked; it is only shown, never saved."""
        row = super().get_object(request, object_id, from_field)
        for field in row._meta.concrete_fields if row is not None else ():
            if isinstance(field, models.JSONField | models.TextField):
                setattr(row, field.attname, masking.value(getattr(row, field.attname)))
        return row

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
