"""What happens when somebody signs in: some of the sessions that ended long ago are cleared away."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.utils import timezone

AT_ONCE = 100


@receiver(user_logged_in)
def clear_ended_sessions(sender: object, **kwargs: Any) -> None:
    """Sessions begin by signing in, so clearing more than one then keeps their table small; no task is needed."""
    ended = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date").values_list("pk", flat=True)
    Session.objects.filter(pk__in=list(ended[:AT_ONCE])).delete()
