"""Inviting people: a link by mail with which a new user chooses a password."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.people.languages import language_of
from agentdesk.people.models import User


class NoAddress(Exception):
    """The user has no e-mail address."""


def password_link(user: User) -> str:
    """Where ``user`` can choose a password, once, within the days of PASSWORD_RESET_TIMEOUT."""
    key = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return f"{settings.AGENTDESK_URL}{reverse('account_reset_password_from_key', kwargs=key)}"


def invite(user: User, *, actor: Actor) -> None:
    """Send the link to the user's address, in the user's language. Raises NoAddress, and OSError or SMTPException where mail
    cannot be sent."""
    if not user.email:
        raise NoAddress(NoAddress.__doc__)
    context = {"user": user, "link": password_link(user), "inviter": actor.label, "desk": settings.AGENTDESK_URL}
    with translation.override(language_of(user)):
        subject, text = _("Your access to AgentDesk"), render_to_string("people/invitation.txt", context)
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [user.email])
    record("user.changed", actor=actor, object_type="user", object_id=user.pk, object_label=user.label, after={"invited": True})
