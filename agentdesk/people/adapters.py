"""How accounts come to be: never by sign-up. People are invited, made by ``createsuperuser`` or come by OIDC."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.internal.userkit import filter_users_by_email
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.people.address import client_address
from agentdesk.people.languages import chosen_by
from agentdesk.people.models import User
from agentdesk.people.oidc import bring_in_line, may_come
from agentdesk.people.sessions import keep_session


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """A service account is a program: it carries a token and never signs in."""
        if user.is_service:
            refusal: HttpResponse = self.respond_user_inactive(request, user)
            return refusal
        answer: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return answer

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """In the language of whom it is about, who may have asked from a browser of another."""
        user = context.get("user")
        with translation.override((chosen_by(user) if user else "") or translation.get_language()):
            super().send_mail(template_prefix, email, context)

    def reauthenticate(self, user: User, password: str) -> bool:
        """Whoever gives the right password stays signed in, also where it is hashed anew meanwhile, with the rounds of a newer
        Django: the session holds a hash of that hash."""
        if not super().reauthenticate(user, password):
            return False
        before = user.password
        user.refresh_from_db(fields=["password"])
        if user.password != before:
            keep_session(context.request, user)
        return True


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """People who come by OIDC. Who they are says the provider's subject, never an e-mail address."""

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:
        """Never: whoever gets a provider to name somebody's address would get that person's account with it."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Somebody known signs in: their roles follow their groups. People who may not sign in change nothing."""
        if sociallogin.state.get("process") in {AuthProcess.CONNECT, AuthProcess.REDIRECT} or not sociallogin.is_existing:
            return
        user: User = sociallogin.user
        if not user.is_active or user.is_service:
            raise ImmediateHttpResponse(get_account_adapter(request).respond_user_inactive(request, user))
        bring_in_line(user, sociallogin, actor=_provider(request, sociallogin))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """True, or a page that says why there is no account: no group with a role, or an address that is somebody's."""
        if not may_come(sociallogin):
            raise _refusal(request, sociallogin, "group")
        addresses = {each.email for each in sociallogin.email_addresses} | {sociallogin.user.email} - {""}
        if any(filter_users_by_email(address) for address in addresses):
            raise _refusal(request, sociallogin, "address")
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """The account, its roles and the record of both, or nothing."""
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            actor = _provider(request, sociallogin)
            record(
                "user.changed", actor=actor, object_type="user", object_id=user.pk, object_label=user.label,
                after={"username": user.username, "email": user.email},
            )  # fmt: skip
            bring_in_line(user, sociallogin, actor=actor)
        return user


def _provider(request: HttpRequest, login: SocialLogin) -> Actor:
    """The identity provider acts: nobody gives a role to themselves."""
    agent = request.headers.get("User-Agent", "")[:300]
    return Actor(login.provider.name, AuditEntry.Via.WEB, None, client_address(request), agent)


def _refusal(request: HttpRequest, login: SocialLogin, reason: str) -> ImmediateHttpResponse:
    tried = (login.user.email or login.user.username or login.account.uid)[:200]
    record(
        "login.failed", actor=_provider(request, login), object_type="user", object_id="",
        after={"reason": reason}, content={"tried": tried},
    )  # fmt: skip
    context = {"reason": reason, "provider": login.provider.name}
    return ImmediateHttpResponse(render(request, "people/no_account.html", context, status=403))
