"""Which language somebody reads: what they chose in their profile, else what their browser says, else the desk's.

What their browser says is the choice that was made in it (on the page to sign in, kept in a cookie) before what it asks for
in ``Accept-Language``. Programs have neither profile nor cookie: the API answers in what ``Accept-Language`` asks for, else in
English.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from agentdesk.english import SOURCE
from agentdesk.people.models import User

API = "/api/"
PROBES = frozenset({"/healthz", "/readyz"})  # they answer without the database, and so ask nobody's profile


def language_of(user: User) -> str:
    """The language to write to a person in who is not at a browser now."""
    return chosen_by(user) or settings.DESK_LANGUAGE


def chosen_by(user: User) -> str:
    """What the person chose in their profile; empty: as the browser."""
    return user.language if user.language in dict(settings.LANGUAGES) else ""


def of_browser(cookie: str, accepted: str) -> str:
    """The language of a browser with this cookie and this ``Accept-Language``; empty where it asks for none that there is."""
    for code in (cookie, *(code for code, _quality in parse_accept_lang_header(accepted))):
        try:
            return str(translation.get_supported_language_variant(code))
        except LookupError:  # one that there is not, none at all, or "*"
            continue
    return ""


def language_for(request: HttpRequest) -> str:
    """The language to answer a request in."""
    accepted = request.headers.get("Accept-Language", "")
    if request.path_info.startswith(API):
        return of_browser("", accepted) or SOURCE
    user = None if request.path_info in PROBES else request.user
    chosen = chosen_by(user) if isinstance(user, User) else ""
    return chosen or of_browser(request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""), accepted) or settings.DESK_LANGUAGE


def speak(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware, after the one that knows who is signed in: answer each request in its language."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        language = language_for(request)
        with translation.override(language):
            request.LANGUAGE_CODE = language  # as Django's own middleware does
            response = get_response(request)
            patch_vary_headers(response, ("Accept-Language",))
            response.headers.setdefault("Content-Language", language)
            return response

    return answer
