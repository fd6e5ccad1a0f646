"""All addresses. What other programs rely on is listed in docs/architecture.md under "Fixed for the outside"."""

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from agentdesk.api import api
from agentdesk.health import healthz, readyz
from agentdesk.styleguide.views import page as styleguide


def signup_closed(request: HttpRequest) -> HttpResponse:
    """People are invited, made by ``createsuperuser`` or come by OIDC; there is no page to sign up."""
    raise Http404


urlpatterns = [
    path("accounts/signup/", signup_closed),
    path("accounts/sessions/", RedirectView.as_view(pattern_name="people:profile")),  # they stand there
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("language/", set_language, name="language"),
    path("styleguide/", styleguide, name="styleguide"),
    path("audit/", include("agentdesk.audit.urls")),
    path("profile/notifications/", include("agentdesk.notices.urls")),
    path("profile/", include("agentdesk.people.urls")),
    path("", include("approvals.web.urls")),
    path("", include("runs.web.urls")),
]
