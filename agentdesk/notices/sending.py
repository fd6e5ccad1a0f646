"""Sending what is due: webhooks one after the other for each place, e-mail in one message for each person."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone, translation

from agentdesk.english import in_english
from agentdesk.live import registry
from agentdesk.notices import outbox, subjects, wording
from agentdesk.notices.models import Delivery, Event, Subscription
from agentdesk.notices.posting import Answer, post
from agentdesk.notices.signing import headers
from agentdesk.people.absence import is_away
from agentdesk.people.languages import language_of
from agentdesk.people.models import User

log = logging.getLogger(__name__)

AT_MOST = 20.0  # seconds for which one task sends; the next sweep goes on
REST = timedelta(seconds=30)  # for a place that does not answer at all
NO_REST = timedelta(0)
TOGETHER = 100  # notifications in one e-mail
_FOR_WHO_DECIDES = frozenset({Event.ASKED, Event.ASSIGNED, Event.DUE, Event.REMINDED})


def deliver(lane: str) -> None:
    """Send what is due at the place ``lane``, unless somebody is at it: a subscription's id, or :data:`outbox.MAIL`."""
    if not outbox.enter_lane(lane):
        return
    rest = NO_REST
    try:
        rest = _mail() if lane == outbox.MAIL else _webhooks(UUID(lane))
    finally:
        outbox.leave_lane(lane, rest)


def _webhooks(subscription_id: UUID) -> timedelta:
    deliveries = Delivery.objects.filter(subscription=subscription_id)
    until = time.monotonic() + AT_MOST
    while time.monotonic() < until:
        subscription = Subscription.objects.get(pk=subscription_id)
        if not subscription.active:
            outbox.drop(deliveries, "The subscription is switched off.")
            return NO_REST
        for delivery in outbox.claim(deliveries, 1):
            answer = _post(subscription, delivery)
            outbox.settle(delivery, answer)
            if answer.code is None and not answer.refused:
                return REST
            break
        else:
            return NO_REST
    return NO_REST


def _post(subscription: Subscription, delivery: Delivery) -> Answer:
    given = {
        "Content-Type": "application/json", "Accept-Encoding": "identity", "Connection": "close",
        "User-Agent": f"AgentDesk/{settings.VERSION}",
    }  # fmt: skip
    if subscription.kind == Subscription.Kind.SLACK:
        with translation.override(settings.DESK_LANGUAGE):
            body = wording.slack_body(delivery.announcement)
    else:
        body = wording.webhook_body(delivery.announcement)
        given |= headers(subscription, str(delivery.pk), body, timezone.now())
    with in_english():  # what comes of it is stored
        return post(subscription.url, body, given)


def _mail() -> timedelta:
    """One message for each person to whom something is due. A mail server that fails for one is not asked for the others."""
    until = time.monotonic() + AT_MOST
    while time.monotonic() < until:
        due = Delivery.objects.filter(state=Delivery.State.WAITING, next_at__lte=timezone.now(), user__isnull=False)
        user_id = due.order_by("next_at").values_list("user", flat=True).first()
        if user_id is None:
            return NO_REST
        deliveries = outbox.claim(due.filter(user=user_id), TOGETHER)
        if deliveries and not _mail_to(User.objects.get(pk=user_id), deliveries):
            return REST
    return NO_REST


def _mail_to(user: User, claimed: Sequence[Delivery]) -> bool:
    deliveries = _still_worth_it(user, claimed)
    if not deliveries:
        return True
    answer = _write(user, deliveries)
    for delivery in deliveries:
        outbox.settle(delivery, answer)
    return answer.ok


def _still_worth_it(user: User, claimed: Sequence[Delivery]) -> list[Delivery]:
    """Those that the person may still see and can still do something about; the others are dropped."""
    if not user.is_active or not user.email or not settings.NOTICES_MAIL:
        outbox.drop(Delivery.objects.filter(pk__in=[each.pk for each in claimed]), "No e-mail can be sent to this person.")
        return []
    by_kind: dict[str, set[str]] = defaultdict(set)
    for delivery in claimed:
        by_kind[delivery.announcement.kind].add(delivery.announcement.object_id)
    visible = {kind: _visible(user, kind, ids) for kind, ids in by_kind.items()}
    still_open = {kind: subjects.get(kind).open_of(ids) for kind, ids in by_kind.items()}
    is_gone = is_away(user, timezone.now())
    kept, unseen, closed, gone = [], [], [], []
    for delivery in claimed:
        about = delivery.announcement
        if about.object_id not in visible[about.kind]:
            unseen.append(delivery.pk)
        elif about.event in _FOR_WHO_DECIDES and about.share != 100 and about.object_id not in still_open[about.kind]:
            closed.append(delivery.pk)
        elif is_gone and outbox.waits_for_return(about.facts.get("risk", "")):
            gone.append(delivery.pk)
        else:
            kept.append(delivery)
    outbox.drop(Delivery.objects.filter(pk__in=unseen), "The person may not see it any more.")
    outbox.drop(Delivery.objects.filter(pk__in=closed), "It was closed before the e-mail was due.")
    outbox.drop(Delivery.objects.filter(pk__in=gone), "The person is away.")
    return kept


def _visible(user: User, kind: str, ids: set[str]) -> set[str]:
    pushed = registry.get(kind)
    return pushed.visible_ids([user], ids)[user.pk] if pushed else set()


def _write(user: User, deliveries: Sequence[Delivery]) -> Answer:
    with translation.override(language_of(user)):
        subject, text = wording.mail([each.announcement for each in deliveries], user.zone)
    first = deliveries[0].pk
    message = EmailMessage(
        subject, text, settings.DEFAULT_FROM_EMAIL, [user.email],
        headers={"Message-ID": f"<{first}@agentdesk>", "Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    began = time.monotonic()
    try:
        message.send()
    except (OSError, SMTPException) as error:
        log.warning("an e-mail could not be sent", exc_info=True)
        return Answer(None, int((time.monotonic() - began) * 1000), error=f"{type(error).__name__}: {error}"[:300])
    return Answer(250, int((time.monotonic() - began) * 1000), text=f"One e-mail with {len(deliveries)} notifications.")
