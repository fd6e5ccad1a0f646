"""The API at ``/api/v1/``: bearer tokens, one shape of errors, and the routers of the apps."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer

from agentdesk.people import tokens
from agentdesk.people.models import Token
from agentdesk.wire import BadCursor
from approvals.api import conflict_facts
from approvals.api import router as approvals_router
from approvals.errors import ApprovalError
from runs.api import router as runs_router
from runs.errors import RunError

logger = logging.getLogger(__name__)


class Bearer(HttpBearer):
    """``Authorization: Bearer`` with a personal token (acts as its owner) or a service account's. Cookies count for
    nothing here, so no other site can act in somebody's name."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        found = tokens.authenticate(token)
        if found is None:
            return None
        request.user, personal_or_service = found
        return personal_or_service


class DeskAPI(NinjaAPI):
    def create_response(self, request: HttpRequest, data: Any, **options: Any) -> HttpResponse:
        """Every answer is somebody's own: no cache keeps it."""
        response = super().create_response(request, data, **options)
        response["Cache-Control"] = "no-store"
        return response


api = DeskAPI(
    title="AgentDesk",
    version=settings.VERSION,
    description="Start and read runs, ask people, read approvals and decide them.",
    urls_namespace="api",
    docs_url=None,
    auth=Bearer(),
)
api.add_router("/runs", runs_router)
api.add_router("/approvals", approvals_router)


def _failure(request: HttpRequest, status: int, code: str, message: str, **facts: Any) -> HttpResponse:
    return api.create_response(request, {"error": {"code": code, "message": message, **facts}}, status=status)


@api.exception_handler(AuthenticationError)
def _not_signed_in(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    message = _("Send a valid token: Authorization: Bearer TOKEN.")
    response = _failure(request, 401, "not_authenticated", message)
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(ApprovalError)
def _approval_error(request: HttpRequest, error: ApprovalError) -> HttpResponse:
    return _failure(request, error.status, error.code, str(error), **conflict_facts(error))


@api.exception_handler(RunError)
def _run_error(request: HttpRequest, error: RunError) -> HttpResponse:
    return _failure(request, error.status, error.code, str(error))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return _failure(request, 404, "not_found", _("There is no such thing here, or it is not yours to see."))


@api.exception_handler(BadCursor)
def _bad_cursor(request: HttpRequest, error: BadCursor) -> HttpResponse:
    return _failure(request, error.status, error.code, str(error), errors={"cursor": [str(error)]})


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Field errors by path. An id in the address that is no id names nothing: 404."""
    if any(problem["loc"][0] == "path" for problem in error.errors):
        return _not_found(request, Http404())
    errors: dict[str, list[str]] = {}
    for problem in error.errors:
        source, *path = problem["loc"]
        # The body's first part is only the name of a Python parameter.
        field = ".".join(str(part) for part in (path[1:] if source == "body" else path))
        errors.setdefault(field, []).append(problem["msg"])
    return _failure(request, 422, "invalid", _("The request is not valid."), errors=errors)


@api.exception_handler(RequestDataTooBig)
def _too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    message = _("The request is larger than %(most)s bytes.") % {"most": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
    return _failure(request, 413, "too_large", message)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """What django-ninja itself refuses: a body that is no JSON."""
    return _failure(request, error.status_code, "malformed", str(error))


@api.exception_handler(Exception)
def _broken(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return _failure(request, 500, "internal", _("The desk failed to do that. The log says why."))
