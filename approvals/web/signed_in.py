"""Pages for people who are signed in."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponse]


def signed_in[**P](view: View[P]) -> View[P]:
    """Sends others to the sign-in page, and lets no answer be stored.

    A request from within a page gets an empty 401 instead: the sign-in page would take the place of a half-filled form. The
    page says that its session ended and keeps what was typed.
    """
    guarded = never_cache(login_required(view))

    @wraps(view)
    def guard(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.headers.get("HX-Request") and not request.user.is_authenticated:
            return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Reswap": "none"})
        answer: HttpResponse = guarded(request, *args, **kwargs)
        return answer

    return guard
