"""A person's own page: profile, theme, tokens."""

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agentdesk.audit.record import Actor
from agentdesk.people.forms import KeysForm, ProfileForm, SwitchesForm, ThemeForm, TokenForm
from agentdesk.people.keys import FIXED
from agentdesk.people.languages import of_browser
from agentdesk.people.models import Membership, Token, User
from agentdesk.people.profile import change_profile
from agentdesk.people.proofs import proof_of
from agentdesk.people.sessions import end_session, end_sessions, keep_session, places_of
from agentdesk.people.tokens import create_token, revoke_token


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    posted = request.POST if request.method == "POST" else None
    form = ProfileForm(posted, instance=User.objects.get(pk=user.pk), label_suffix="")
    if request.method == "POST" and form.is_valid():
        change_profile(user, form.cleaned_data, actor=Actor.from_request(request))
        language = form.cleaned_data["language"]
        accepted = of_browser("", request.headers.get("Accept-Language", ""))
        with translation.override(language or accepted or settings.DESK_LANGUAGE):  # that of the page to come
            messages.success(request, _("Your profile is saved."))
        response = redirect("people:profile")
        _remember(response, language)
        return response
    return _page(request, form=form, status=422 if request.method == "POST" else 200)


def _remember(response: HttpResponse, language: str) -> None:
    """Let this browser speak the person's language when they are signed out, too; none: what it asks for itself."""
    if language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME, language, max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE, httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite="Lax",
        )  # fmt: skip
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")


@login_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Set the theme and go back to the page that asked."""
    form = ThemeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("unknown theme")
    change_profile(_user(request), form.cleaned_data, actor=Actor.from_request(request))
    back = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if safe else "people:profile")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """The person's own map of keys."""
    user = _user(request)
    if "restore" in request.POST:
        change_profile(user, {"keys": {}}, actor=Actor.from_request(request))
        messages.success(request, _("The usual keys are back."))
        return redirect("people:keys")
    form = KeysForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        change_profile(user, form.changes(), actor=Actor.from_request(request))
        messages.success(request, _("Your keys are saved."))
        return redirect("people:keys")
    return render(request, "people/keys.html", {"form": form, "fixed": FIXED}, status=422 if form.is_bound else 200)


@login_required
@require_POST
def key_switches(request: HttpRequest) -> HttpResponse:
    """Set the switches of the map that every page shows."""
    form = SwitchesForm(request.POST)
    form.is_valid()  # of two check boxes nothing can be wrong
    change_profile(_user(request), form.cleaned_data, actor=Actor.from_request(request))
    return HttpResponse(status=204)


@login_required
@never_cache
@require_POST
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth is not typed
def add_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it on the answer: it is kept nowhere, so there is no address to find it at later."""
    form = TokenForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _page(request, token_form=form, status=422)
    _token, text = create_token(
        _user(request), form.cleaned_data["name"], actor=Actor.from_request(request), expires_at=form.expires_at()
    )
    return _page(request, new_token=text)


@login_required
@never_cache
@require_safe
def confirmed(request: HttpRequest) -> HttpResponse:
    """Where somebody comes who has confirmed that it is them, in a tab of its own."""
    return render(request, "people/confirmed.html", {"proof": proof_of(request)})


@login_required
@require_POST
def sign_out_others(request: HttpRequest) -> HttpResponse:
    """End all sessions of the person but this one."""
    user = _user(request)
    end_sessions(user, actor=Actor.from_request(request))
    keep_session(request, user)
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("people:profile")


@login_required
@require_POST
def sign_out_there(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one other session of the person."""
    user = _user(request)
    if any(place.is_this and place.id == session_id for place in places_of(user, request.session.session_key)):
        messages.error(request, _("That is this browser. Sign out from the menu at the top."))
    elif end_session(user, session_id, actor=Actor.from_request(request)):
        messages.success(request, _("You are signed out there."))
    else:
        messages.info(request, _("You were not signed in there any more."))
    return redirect("people:profile")


@login_required
@require_POST
def end_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    token = get_object_or_404(Token, pk=token_id, user=_user(request))
    if revoke_token(token, actor=Actor.from_request(request)):
        messages.success(request, _("The token %(name)s is revoked.") % {"name": token.name})
    return redirect("people:profile")


def _page(
    request: HttpRequest,
    *,
    form: ProfileForm | None = None,
    token_form: TokenForm | None = None,
    new_token: str = "",
    status: int = 200,
) -> HttpResponse:
    user = _user(request)
    context = {
        "form": form or ProfileForm(instance=user, label_suffix=""),
        "token_form": token_form or TokenForm(label_suffix=""),
        "new_token": new_token,
        "tokens": Token.objects.filter(user=user, revoked_at=None),
        "places": places_of(user, request.session.session_key),
        "memberships": Membership.objects.filter(user=user).select_related("team").order_by("team__name", "role"),
    }
    return render(request, "people/profile.html", context, status=status)


def _user(request: HttpRequest) -> User:
    """The signed-in user; ``login_required`` stands before every view here."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return request.user
